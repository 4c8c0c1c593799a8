"""What runs inside a plugin's worker process: confinement first, then the plugin's code, one request at a time."""
