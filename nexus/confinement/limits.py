"""Limits of a process, which all that it starts has too."""

import sys


def limit(files: int, memory: int | None, *, mapped: bool) -> None:
    """Bound open files and memory (bytes), as far as may be; no core is written.

    With `mapped` all that a process maps counts as memory, else what is its own and can be written.
    """
    try:
        import resource
    except ImportError:
        return
    of_memory = "RLIMIT_AS" if mapped else "RLIMIT_DATA"
    for name, most in ((of_memory, memory), ("RLIMIT_NOFILE", files), ("RLIMIT_CORE", 0)):
        number = getattr(resource, name, None)
        if most is None or number is None or (name == of_memory and sys.platform == "darwin"):
            continue
        hard = resource.getrlimit(number)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (bound, bound))
