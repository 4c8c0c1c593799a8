"""Commands without a namespace: help, schema, version."""
