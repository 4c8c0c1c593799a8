"""`python -I …/nexus/resident/__main__.py`: become the resident of some places, and say so through a pipe."""

import sys

if "nexus" not in sys.modules:
    # -I keeps PYTHONPATH, the working directory and the user's own packages out: the package is the one we are part of.
    sys.path.append(__file__.rsplit("/", 2)[0] + "/launcher")
    from start import pin  # type: ignore[import-not-found]  # nexus.launcher.start, before there is a nexus

    sys.path.pop()
    pin(__file__.rsplit("/", 3)[0])

from nexus.resident.process import main

if __name__ == "__main__":
    main(__file__.rsplit("/", 3)[0], sys.argv[1:])
