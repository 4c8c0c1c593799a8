"""Logs: lines of held programs and of files, followed, read by time and level, searched."""
