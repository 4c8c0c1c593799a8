"""`python -I -B …/nexus/plugins/worker/__main__.py DESCRIPTOR`: become the worker of a plugin."""

import site
import sys

_FOLDER = __file__.rsplit("/", 3)[0]

if "nexus" not in sys.modules:
    # -I keeps PYTHONPATH, the working directory and the user's own packages out: the package is the one we are part of.
    from importlib.util import module_from_spec, spec_from_file_location

    found = spec_from_file_location("nexus", f"{_FOLDER}/__init__.py", submodule_search_locations=[_FOLDER])
    if found is None or found.loader is None:
        raise ImportError(f"{_FOLDER} cannot be imported")
    package = sys.modules["nexus"] = module_from_spec(found)
    found.loader.exec_module(package)

from nexus.plugins.worker.main import main  # noqa: E402 -- first there must be a nexus to import it from

if __name__ == "__main__":
    packages = _FOLDER.rpartition("/")[0]
    if packages.endswith("-packages") and packages not in sys.path:
        # A user's own packages, which -I leaves out, are where nexus itself was installed.
        site.addsitedir(packages)
    main(int(sys.argv[1]))
