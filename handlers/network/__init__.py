"""The machines and links that nexus knows."""
