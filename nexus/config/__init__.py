"""The client's configuration: what can be set, and which of flag, environment, file and default decides."""
