"""A step's program behind its walls, of each kind that there is."""

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import os
import sys

from nexus.confinement import reach
from nexus.confinement.limits import limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from nexus.confinement.spec import Spec

UNWALLED, NOT_RUN, NOT_FOUND = 125, 126, 127
LEAST_LANDLOCK = 3
"""Before it any file could be emptied (Linux 6.2)."""
SCOPED_LANDLOCK = 6
"""Before it any process of the user could be signalled (Linux 6.12)."""

_DEVICES = ("/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero")
_FACTS = (
    "cpuinfo", "filesystems", "loadavg", "meminfo", "self", "stat", "sys/kernel/osrelease", "sys/kernel/random",
    "sys/vm/overcommit_memory", "uptime", "version",
)  # fmt: skip
"""What of /proc tells nothing of others."""


def run(spec: "Spec") -> "NoReturn":
    """Run the program, and end as it ends. Raises `Unwalled`, `OSError` when it could not begin."""
    os.closerange(3, 1 << 20)
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    os.chdir(spec.cwd)
    if spec.kind == "bubblewrap":
        _in_bubblewrap(spec)
    if sys.platform != "linux":
        if spec.kind != "none":
            raise reach.Unwalled(f"this system has no {spec.kind}")
        _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
        _become(spec, os.close)
    from nexus.confinement.attributes import Attributes
    from nexus.confinement.guard import stand_by
    from nexus.confinement.system import end_with_parent

    end_with_parent()
    writable = (*spec.write, spec.tmp)
    stand_by(
        lambda hand_over: _become(spec, hand_over),
        lambda listener: Attributes(listener, writable).answer,
        scoped=spec.kind == "landlock",
    )


def fail(message: str, status: int = UNWALLED) -> "NoReturn":
    """End with one line that says why."""
    os.write(2, f"nexus: {message}\n".encode("utf-8", "backslashreplace"))
    os._exit(status)


def _become(spec: "Spec", hand_over: "Callable[[int], None]") -> "NoReturn":
    try:
        limit(spec.files, spec.memory, mapped=False)
        if spec.kind == "landlock":
            _landlock(spec, hand_over)
    except (reach.Unwalled, OSError, ValueError) as error:
        fail(str(error))
    try:
        os.execvp(spec.argv[0], spec.argv)  # noqa: S606 -- a shell is not wanted
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        fail(f"{spec.argv[0]}: {reason}", NOT_FOUND if missing else NOT_RUN)


def _landlock(spec: "Spec", hand_over: "Callable[[int], None]") -> None:
    """Stand behind Landlock and a filter from here on, and hand over the file by which it asks. Raises `Unwalled`."""
    from nexus.confinement import landlock, seccomp
    from nexus.confinement.system import drop_capabilities, give_up_privileges

    version = landlock.version()
    if version < LEAST_LANDLOCK:
        raise reach.Unwalled(f"Landlock of version {version} holds too little; {LEAST_LANDLOCK} is needed")
    own = (*spec.read, *spec.write, spec.tmp)
    for path in own:
        if not os.path.lexists(path):
            raise reach.Unwalled(f"{path} is not there")
    readable = (*reach.system(spec), *spec.read, *(f"/proc/{name}" for name in _FACTS))
    for path, hidden in reach.covers((*readable, *own), spec.hidden):
        if path in own or os.path.lexists(hidden):
            raise reach.Unwalled(f"{hidden} is hidden from every step, and Landlock cannot leave it out of {path}")
    give_up_privileges()
    drop_capabilities()
    walled = landlock.restrict(
        readable, (*spec.write, spec.tmp, *_DEVICES), (), network=spec.network, execute=True, scoped=True
    )
    if not walled:
        raise reach.Unwalled("Landlock refuses to stand")
    listener = seccomp.supervised(network=spec.network, signals=version >= SCOPED_LANDLOCK)
    if listener is None:
        raise reach.Unwalled("system calls cannot be filtered")
    if listener >= 0:
        hand_over(listener)
        os.close(listener)


def _in_bubblewrap(spec: "Spec") -> "NoReturn":
    from nexus.confinement import bubblewrap, seccomp
    from nexus.confinement.guard import status_of
    from nexus.confinement.system import end_with_parent

    bwrap = bubblewrap.program()
    if bwrap is None:
        raise reach.Unwalled("bubblewrap is not installed")
    if not seccomp.known():
        raise reach.Unwalled(f"system calls cannot be filtered on {os.uname().machine}")
    filter_at = os.memfd_create("filter", 0)
    os.write(filter_at, seccomp.program(network=spec.network, processes=True))
    os.lseek(filter_at, 0, os.SEEK_SET)
    told, telling = os.pipe()
    os.set_inheritable(telling, True)
    words = bubblewrap.command(spec, bwrap, filter_at=filter_at, status_at=telling)
    end_with_parent()
    for number in bubblewrap.DEAF_TO:
        _signal.signal(number, _signal.SIG_IGN)
    own = os.getpid()
    if (child := os.fork()) == 0:
        end_with_parent()
        if os.getppid() != own:
            os._exit(UNWALLED)
        try:
            limit(spec.files, spec.memory, mapped=False)
            os.execv(bwrap, words)  # noqa: S606 -- a shell is not wanted
        except (OSError, ValueError) as error:
            fail(f"{bwrap}: {error}")
    os.close(telling)
    status = status_of(os.waitpid(child, 0)[1])
    # Its own failures end with 1 too; it tells of an end where there was a beginning.
    if status == 1 and b'"exit-code"' not in _all_of(told):
        fail("bubblewrap could not make the walls")
    os._exit(status)


def _all_of(end: int) -> bytes:
    whole = b""
    while chunk := os.read(end, 4096):
        whole += chunk
    return whole
