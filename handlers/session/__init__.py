"""Live sessions of every type: terminals, chats, logs, runs."""
