"""The kernel's state on PostgreSQL, which several kernels may share. Imported where a URL asks for it."""
