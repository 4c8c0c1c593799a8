"""Completion for shells: the scripts that ask, and the answers."""
