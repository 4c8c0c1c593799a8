"""What the script `nexus` runs on a bare interpreter: it makes this package importable, and calls the launcher.

Packages and modules are found by their paths and not by searching: listing a folder of a hundred packages, and looking
for each module in each folder, costs more than the way to the resident.
"""

import sys
from _frozen_importlib import module_from_spec
from _frozen_importlib_external import spec_from_file_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Type checkers know this name too; typing would cost the launcher a third of its budget.
    from typing import NoReturn

    from nexus.launcher.main import Command

ON_THE_WAY = ("places", "launcher.frames", "launcher.process", "launcher.exchange", "launcher.main")
"""What a command with a resident needs, in the order of need."""


def start() -> "NoReturn":
    """Run the command in `sys.argv`, which is `-c`, the site folder, and the command's words."""
    site = sys.argv[1]
    if not site.startswith("/"):
        from posix import getcwd

        site = f"{getcwd()}/{site}"
    # The package in this site folder, whatever else the search path has under that name.
    load("nexus", f"{site}/nexus/__init__.py", f"{site}/nexus")
    load("nexus.launcher", f"{site}/nexus/launcher/__init__.py", f"{site}/nexus/launcher")
    for name in ON_THE_WAY:
        load(f"nexus.{name}", f"{site}/nexus/{name.replace('.', '/')}.py")
    from nexus.launcher.main import main

    main(site, sys.argv[2:], alone)


def alone(command: "Command", reason: str) -> int:
    """Run a command in this process, for which no resident is had; return its exit status."""
    from nexus.resident.alone import run_alone

    return run_alone(command, reason)


def load(name: str, path: str, folder: str | None = None) -> None:
    """Import the module in this file; `folder` says that it is a package, and where its modules are."""
    spec = spec_from_file_location(name, path, submodule_search_locations=[folder] if folder else None)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
