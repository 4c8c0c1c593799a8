"""What signs this machine in to servers: kept in the keyring or in a file, refreshed by one process at a time."""
