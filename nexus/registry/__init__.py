"""Which commands there are: the prebuilt index, resolution of words, and handlers imported on use."""
