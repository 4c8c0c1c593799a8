"""Walls around a process: what it may read, write and reach, held by the kernel of the system."""
