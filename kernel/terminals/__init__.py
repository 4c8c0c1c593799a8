"""Terminals: shells and commands of a project, held by the holder, shown by sessions of type terminal."""
