"""`python -I -S -B …/nexus/confinement/__main__.py FILE`: run what the file says behind the walls that it says.

It ends as the program ends. 125: the walls could not be made, 126: the program cannot be run, 127: it is not there;
with one line that says why. `--probe` tells, as JSON, which walls this machine has.
"""

import sys

if "nexus" not in sys.modules:
    # -I keeps PYTHONPATH, the working directory and the user's own packages out: the package is the one we are part of.
    sys.path.append(__file__.rsplit("/", 3)[0])

from nexus.confinement.reach import Unwalled
from nexus.confinement.spec import SpecInvalid, read
from nexus.confinement.step import fail, run

if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["--probe"]:
            from nexus.confinement.probe import tell

            tell(__file__)
        elif len(sys.argv) == 2:
            run(read(sys.argv[1]))
        else:
            fail("one file is named, that says what to run")
    except (Unwalled, SpecInvalid, OSError) as error:
        fail(str(error))
