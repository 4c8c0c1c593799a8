"""The backend behind the API: an ASGI app over a store, reached in process, by socket or over a network."""
