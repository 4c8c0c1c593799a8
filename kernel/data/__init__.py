"""Data sets and artifacts: bytes kept once each, sent and fetched by signed URLs."""
