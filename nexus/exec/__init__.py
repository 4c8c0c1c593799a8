"""Command lines as text and as records: tokenizing without a shell, exec, batch."""
