"""Processes: those that were started here, held by the holder, and the user's others, by pid."""
