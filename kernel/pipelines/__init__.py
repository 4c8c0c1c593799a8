"""Pipelines: what is kept of them, and the coordinator that runs their steps."""
