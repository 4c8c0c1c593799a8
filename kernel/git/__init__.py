"""The git program, run so that neither a repository nor an address can make it run anything else."""
