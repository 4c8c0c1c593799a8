"""Projects and everything done in them."""
