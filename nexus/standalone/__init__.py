"""One file as a command line and an MCP tool by itself: commands declared as a table, run on the one dispatcher."""
