"""Pipelines: definitions, runs and steps."""
