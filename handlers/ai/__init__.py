"""Conversations with models and coding agents."""
