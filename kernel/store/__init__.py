"""The kernel's state: one SQLite database in WAL mode, owned by one kernel at a time."""
