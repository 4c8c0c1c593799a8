"""Nexus: one command line for scripts, AI agents and people."""

# Read by the launcher on every command: nothing is imported here.
__version__ = "0.1.0"
