"""`python -I …/nexus/resident/__main__.py`: become the resident of some places, and say so through a pipe."""

import sys

if "nexus" not in sys.modules:
    # -I keeps PYTHONPATH, the working directory and the user's own packages out: the package is the one we are part of.
    from importlib.util import module_from_spec, spec_from_file_location

    folder = __file__.rsplit("/", 2)[0]
    found = spec_from_file_location("nexus", f"{folder}/__init__.py", submodule_search_locations=[folder])
    if found is None or found.loader is None:
        raise ImportError(f"{folder} cannot be imported")
    package = sys.modules["nexus"] = module_from_spec(found)
    found.loader.exec_module(package)

from nexus.resident.process import main

if __name__ == "__main__":
    main(__file__.rsplit("/", 3)[0], sys.argv[1:])
