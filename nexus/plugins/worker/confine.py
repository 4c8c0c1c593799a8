"""Confinement of a worker before any code of the plugin runs: limits, the kernel's walls if there are some, a watch.

On Linux files are walled off by Landlock and system calls by a seccomp filter, which hold for native code too.
Everywhere an audit hook refuses the same from Python, with an error that names the right that is missing.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

from nexus.confinement.limits import limit
from nexus.plugins.worker.failures import RightMissing

_NETWORK = (
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
)
_INTERNET = (2, 10, 30)
"""AF_INET, and AF_INET6 of Linux and of macOS: socket itself is not imported before a plugin wants it."""
_PROCESSES = ("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "pty.spawn")
_NATIVE = ("ctypes.dlopen",)
_READ = ("os.listdir", "os.scandir")
_WRITE = (
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate",
    "os.utime", "os.setxattr",
)  # fmt: skip


def confine(rights: Mapping[str, Any]) -> dict[str, bool]:
    """Give up what the plugin was not granted; return which walls stand. It cannot be undone.

    `rights` has `read`, `write` and `list` (absolute paths; what is listed is not read), `network`, `processes`,
    `memory` (MiB) and `files`.
    """
    limit(int(rights["files"]), int(rights["memory"]) << 20, mapped=True)
    walls = {"landlock": False, "seccomp": False}
    if sys.platform == "linux":
        from nexus.confinement import landlock, seccomp
        from nexus.confinement.system import end_with_parent, give_up_privileges

        give_up_privileges()
        end_with_parent()
        walls["landlock"] = landlock.restrict(
            rights["read"],
            rights["write"],
            rights["list"],
            network=rights["network"],
            execute=rights["processes"],
            scoped=not rights["processes"],
        )
        walls["seccomp"] = seccomp.restrict(network=rights["network"], processes=rights["processes"])
    _watch(rights, files=not walls["landlock"])
    return walls


def _watch(rights: Mapping[str, Any], *, files: bool) -> None:
    """Install the audit hook. `files` says that it is the only wall there is for files."""
    network, processes = rights["network"], rights["processes"]
    own = os.getpid()
    reach = _Reach(rights) if files else None

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if not network and (event in _NETWORK or (event == "socket.__new__" and given[1] in _INTERNET)):
            raise RightMissing("network", "use the network")
        if not processes and (event in _PROCESSES or event in _NATIVE):
            raise RightMissing("processes", "start programs or load native code")
        if not processes and event in ("os.kill", "os.killpg") and given[0] != own:
            raise RightMissing("processes", "signal other processes")
        if reach is not None:
            reach.check(event, given)

    sys.addaudithook(hook)


class _Reach:
    """Files by their real paths, where no kernel holds them."""

    def __init__(self, rights: Mapping[str, Any]) -> None:
        self._readable = tuple(map(os.path.realpath, (*rights["read"], *rights["write"])))
        self._writable = tuple(map(os.path.realpath, rights["write"]))
        self._listed = tuple(map(os.path.realpath, rights["list"]))

    def check(self, event: str, given: tuple[Any, ...]) -> None:
        """Raise `RightMissing` for a path that is out of reach."""
        if event == "open":
            flags = given[2] if len(given) > 2 and isinstance(given[2], int) else 0
            mode = given[1] if isinstance(given[1], str) else ""
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)) or any(c in mode for c in "wax+")
            self._check(given[0], writes=writes)
        elif event in _READ:
            self._check(given[0], writes=False, also=self._listed)
        elif event in _WRITE:
            for path in given[: 2 if event in ("os.rename", "os.link", "os.symlink") else 1]:
                self._check(path, writes=True)

    def _check(self, path: Any, *, writes: bool, also: tuple[str, ...] = ()) -> None:
        if path is None or isinstance(path, int):
            return
        real = os.path.realpath(os.fsdecode(path))
        allowed = self._writable if writes else (*self._readable, *also)
        if real != os.devnull and not any(real == base or real.startswith(base + os.sep) for base in allowed):
            right = f"{'write' if writes else 'read'}:{real}"
            raise RightMissing(right, f"{'write' if writes else 'read'} {real}")
