"""Data sets and artifacts: files that arrive whole or not at all."""
