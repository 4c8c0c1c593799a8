"""Secrets: values by name, sealed at rest, given to programs by name, masked in what they print."""
