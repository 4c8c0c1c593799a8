"""The kernel as a network reaches it: who asks, how much, how fast, and what is written down of it."""
