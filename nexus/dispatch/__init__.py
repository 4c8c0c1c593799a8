"""The one path of a command: validate, execute, apply what it changed, validate its answer."""
