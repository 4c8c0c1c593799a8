"""The command-line front: from argv to a dispatched command to bytes on stdout."""
