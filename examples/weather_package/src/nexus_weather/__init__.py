"""A plugin of nexus: made-up weather."""
