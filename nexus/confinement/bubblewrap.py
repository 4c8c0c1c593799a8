"""The command of bubblewrap for a step: namespaces of its own, in which only what was named is there."""

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import os
import sys
from os.path import basename, isdir, islink, lexists, realpath

from nexus.confinement import reach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nexus.confinement.spec import Spec

PROGRAM = "bwrap"
_PLACES = "/usr/bin:/usr/local/bin:/bin:/run/current-system/sw/bin"

DEAF_TO = tuple(getattr(_signal, f"SIG{name}") for name in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2"))
"""What is sent to a step's group is the step's: bubblewrap would end of it, and all inside at once."""

_TO_DEFAULTS = """
import _signal, os, sys
for number in range(1, _signal.NSIG):
    try:
        _signal.signal(number, _signal.SIG_DFL)
    except (OSError, ValueError):
        pass
try:
    os.execvp(sys.argv[1], sys.argv[1:])
except OSError as error:
    os.write(2, f"{sys.argv[1]}: {error.strerror}\\n".encode())
    os._exit(127 if isinstance(error, FileNotFoundError) else 126)
"""


def program() -> "str | None":
    """Return where bubblewrap is: where a system has its programs, whatever a step's own PATH says."""
    found = (f"{folder}/{PROGRAM}" for folder in _PLACES.split(":"))
    return next((path for path in found if os.access(path, os.X_OK)), None)


def command(spec: "Spec", bwrap: str, *, filter_at: int, status_at: int) -> list[str]:
    """Return what runs the step; two open files are handed over. Raises `Unwalled`."""
    words = [bwrap, "--unshare-all", *(("--share-net",) if spec.network else ()), "--die-with-parent"]
    words += ["--cap-drop", "ALL", "--seccomp", str(filter_at), "--json-status-fd", str(status_at)]
    return [*words, *_places(spec), "--chdir", spec.cwd, "--", *_to_defaults(spec), *spec.argv]


def _places(spec: "Spec") -> list[str]:
    """Return what is where: outer folders before inner ones, so that each stands in what is around it."""
    own = dict.fromkeys(spec.read, "--ro-bind") | dict.fromkeys((*spec.write, spec.tmp), "--bind")
    for path in own:
        if not lexists(path):
            raise reach.Unwalled(f"{path} is not there")
    links, of_system = ([], {}) if "/" in own else _system(spec)
    # What lies in one of its own is there with that.
    bound = {path: how for path, how in of_system.items() if not any(reach.below(path, folder) for folder in own)} | own
    hidden = {place for _, place in reach.covers(bound, spec.hidden) if place not in own and lexists(place)}
    # Two that are the system's own, and one that is gone with the step.
    made = {"/proc": "--proc", "/dev": "--dev", "/tmp": "--tmpfs"}  # noqa: S108
    words = links
    for path in sorted({*made, *bound, *hidden}, key=lambda path: (path.rstrip("/").count("/"), path)):
        if path in hidden:
            words += ["--tmpfs", path] if isdir(path) else ["--ro-bind", os.devnull, path]
        elif path in bound:
            words += [bound[path], path, path]
        else:
            words += [made[path], path]
    # What lies in a hidden folder is bound there first. What leads to what is bound is no place to write either.
    closed = [path for path in sorted(hidden) if isdir(path)] + ([] if "/" in bound else ["/"])
    if os.geteuid() == 0 and "/proc" not in bound:
        # What root owns there sets the whole machine, and asks for no capability.
        closed.append("/proc")
    return words + [word for path in closed for word in ("--remount-ro", path)]


def _system(spec: "Spec") -> tuple[list[str], dict[str, str]]:
    """Return the links to make, and the folders and files of the machine to bind."""
    links: list[str] = []
    bound: dict[str, str] = {}
    for path in reach.system(spec):
        if islink(path) and path.count("/") == 1:
            links += ["--symlink", os.readlink(path), path]
        elif not any(reach.below(path, outer) for outer in bound):
            bound[path] = "--ro-bind"
    return links, bound


def _to_defaults(spec: "Spec") -> list[str]:
    """Return what gives signals their defaults again: bubblewrap itself is made deaf to them."""
    if spec.env is not None and basename(spec.env) == "env" and "=" not in spec.argv[0]:
        return [spec.env, "--default-signal", "--"]
    return [realpath(sys.executable), "-I", "-S", "-B", "-c", _TO_DEFAULTS]
