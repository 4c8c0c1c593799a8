"""Preferences, and the selections that commands work in."""
