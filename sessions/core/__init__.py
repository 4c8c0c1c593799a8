"""The part of a session without any I/O: positions, duplicates, gaps and the end, as tables that both ends share."""
