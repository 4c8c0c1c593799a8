"""The kernel's state: a SQLite database of its own, or a PostgreSQL database that several kernels share."""
