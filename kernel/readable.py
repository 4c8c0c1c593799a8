"""Names that the system gives are bytes; what is told of them is text."""


def readable(name: str) -> str:
    """Return a name of the system's as text: its bytes that are no UTF-8 (a process's may be cut) become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
