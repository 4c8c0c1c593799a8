"""The MCP front: one tool a namespace, over stdio and streamable HTTP; and its place in clients' configurations."""
