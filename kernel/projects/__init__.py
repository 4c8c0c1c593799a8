"""Projects, their content, and what belongs to them: roadmaps, chats, messages."""
