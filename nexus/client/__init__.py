"""The client of the kernel's API: in process, by the owner's socket, or over a network."""
