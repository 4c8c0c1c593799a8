"""The context engine: named sets of selections on disk, and which of flag, environment and file decides."""
