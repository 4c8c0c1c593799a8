"""What was done, by whom: a chain of records, each holding the one before it."""
