"""Sessions in the kernel: their event log, their registry, their drivers, and the faces that readers reach them by."""
