"""What the script `nexus` runs on a bare interpreter: it makes this package importable, and calls the launcher.

The package is found by its path and not by searching: listing a folder of a hundred packages costs more than the whole
way to the resident.
"""

import sys
from _frozen_importlib import module_from_spec
from _frozen_importlib_external import FileFinder, SourceFileLoader, spec_from_file_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Type checkers know this name too; typing would cost the launcher a third of its budget.
    from typing import NoReturn


def start() -> "NoReturn":
    """Run the command in `sys.argv`, which is `-c`, the site folder, and the command's words."""
    site = sys.argv[1]
    if not site.startswith("/"):
        from posix import getcwd

        site = f"{getcwd()}/{site}"
    pin(site)
    from nexus.launcher.main import main

    main(site, sys.argv[2:])


def pin(site: str) -> None:
    """Make `nexus` the package in this site folder, whatever else the search path has under that name."""
    package = f"{site}/nexus"
    for folder in (package, f"{package}/launcher"):
        sys.path_importer_cache[folder] = FileFinder(folder, (SourceFileLoader, [".py"]))
    spec = spec_from_file_location("nexus", f"{package}/__init__.py", submodule_search_locations=[package])
    if spec is None or spec.loader is None:
        raise ImportError(f"{package} cannot be imported")
    sys.modules["nexus"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["nexus"])
