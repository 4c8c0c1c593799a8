"""Plugins: found by their manifests, described without importing them, run in worker processes of their own."""
