"""The resident's birth: two forks and an exec, after which nothing of the first caller is left."""

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import posix
import select
import sys
from contextlib import suppress
from typing import NoReturn

from nexus.launcher.process import encode, end, variable
from nexus.places import Places, own_runtime, user_home

READY = b"ready"
"""What the resident writes when it listens; anything else is why it does not."""
OWNED = b"owned"
"""What it writes when another has the places already."""
READY_DESCRIPTOR = 3
SEARCH_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MOST_FILES = 65_536
LARGEST_LOG = 1 << 20


def spawn(places: Places, site: str, log: str, seconds: float) -> str:
    """Start a resident and wait until it listens; return why it does not, empty when it or another does."""
    if hard_limit_kills():
        return "this process's hard limits on CPU time or file size would end it."
    arguments = [
        encode(word)
        for word in (
            *(sys.executable, "-I", f"{site}/nexus/resident/__main__.py"),
            *("--config", places.config, "--state", places.state, "--data", places.data),
            *("--socket", places.socket, "--ready", str(READY_DESCRIPTOR)),
        )
    ]
    scope = user_scope()
    reason = attempt([*scope, *arguments], log, seconds)
    if reason:
        # A user's systemd that is there and refuses must not keep the command from running; nor must a kill.
        reason = attempt(arguments, log, seconds)
    return reason


def attempt(arguments: list[bytes], log: str, seconds: float) -> str:
    """Start one process and return what it says against itself."""
    try:
        errors = open_log(log)
    except OSError as error:
        return f"its log {log} cannot be written: {error.strerror}."
    told, tells = posix.pipe()
    child = posix.fork()
    if child == 0:
        detach(arguments, tells, errors)
    posix.close(errors)
    posix.close(tells)
    posix.waitpid(child, 0)
    try:
        reason = verdict(told, seconds)
        return reason and f"{reason} {last_words(log)}".rstrip()
    finally:
        posix.close(told)


def verdict(told: int, seconds: float) -> str:
    """Wait for the resident's word. Its silence and its end are words too."""
    poll = select.poll()
    poll.register(told, select.POLLIN)
    said = b""
    while said not in (READY, OWNED):
        if not poll.poll(int(seconds * 1000)):
            return f"it said nothing for {seconds:.0f} seconds."
        data = posix.read(told, 4096)
        if not data:
            return said.decode("utf-8", "replace") or "it ended at once."
        said += data
    return ""


def last_words(log: str) -> str:
    """Return the last line of the log: Python's own word on what went wrong."""
    try:
        file = posix.open(log, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return ""
    try:
        posix.lseek(file, max(0, posix.fstat(file).st_size - 1000), 0)
        lines = posix.read(file, 1000).decode("utf-8", "replace").splitlines()
        return f"({lines[-1]})" if lines else ""
    finally:
        posix.close(file)


def detach(arguments: list[bytes], tells: int, errors: int) -> NoReturn:
    """Become the resident. Whatever fails is told through the pipe."""
    try:
        posix.setsid()
        if posix.fork():
            end(0)
        reset_signals()
        posix.chdir("/")
        posix.umask(0o077)
        raise_limits()
        arrange_descriptors(tells, errors)
        tells = READY_DESCRIPTOR
        posix.execve(arguments[0], arguments, clean_environment())
    except BaseException as error:  # noqa: BLE001 -- a forked copy of the launcher must end here
        with suppress(OSError):
            posix.write(tells, f"{type(error).__name__}: {error}.".encode())
    end(127)


def reset_signals() -> None:
    """Give every signal its default: what the caller ignores or blocks stays ignored and blocked over exec."""
    for number in _signal.valid_signals():
        with suppress(OSError, ValueError):
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def arrange_descriptors(tells: int, errors: int) -> None:
    """Leave four: stdin on nothing, stdout and stderr in the log, and the pipe."""
    nothing = posix.open("/dev/null", posix.O_RDONLY)
    high = [posix.dup(end) for end in (nothing, errors, errors, tells)]
    # dup() gives the lowest free number: copies of copies until all are above the four.
    while min(high) <= READY_DESCRIPTOR:
        high = [posix.dup(end) for end in high]
    for target, source in enumerate(high):
        posix.dup2(source, target, inheritable=True)
    for name in posix.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"):
        if int(name) > READY_DESCRIPTOR:
            with suppress(OSError):
                posix.close(int(name))


def raise_limits() -> None:
    """Raise what the caller lowered, as far as may be; no core files, for they would hold secrets."""
    import resource

    for name in ("RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_MEMLOCK"):
        number = getattr(resource, name, None)
        if number is not None:
            with suppress(OSError, ValueError):
                resource.setrlimit(number, (resource.getrlimit(number)[1],) * 2)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def hard_limit_kills() -> bool:
    """Say whether the caller's hard limits would kill the resident some day: they cannot be raised again."""
    import resource

    return any(
        resource.getrlimit(number)[1] != resource.RLIM_INFINITY
        for number in (resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)
    )


def clean_environment() -> dict[bytes, bytes]:
    """Return the resident's environment: where its user lives, and nothing of the caller's."""
    kept = {b"HOME": encode(user_home(variable)) or b"/", b"PATH": SEARCH_PATH, b"LC_ALL": b"C.UTF-8"}
    for name, value in (
        ("XDG_RUNTIME_DIR", own_runtime(variable)),
        ("NEXUS_RUNTIME_IDLE", variable("NEXUS_RUNTIME_IDLE")),
    ):
        if value:
            kept[name.encode()] = encode(value)
    return kept


def user_scope() -> list[bytes]:
    """Return the words that put the resident into a scope of the user's systemd, none where that does not run."""
    runtime = posix.environ.get(b"XDG_RUNTIME_DIR", b"/run/user/%d" % posix.geteuid())
    program = b"/usr/bin/systemd-run"
    if not posix.access(program, posix.X_OK):
        return []
    try:
        posix.stat(runtime + b"/systemd/private")
    except OSError:
        return []
    return [program, b"--user", b"--scope", b"--quiet", b"--collect", b"--description=nexus resident", b"--"]


def bound_log(path: str) -> None:
    """Begin a new log under this process's stdout and stderr when the old one has grown large. Raises `OSError`."""
    if posix.fstat(2).st_size > LARGEST_LOG:
        fresh = open_log(path)
        posix.dup2(fresh, 1)
        posix.dup2(fresh, 2)
        posix.close(fresh)


def open_log(path: str) -> int:
    """Open the log for appending; one that has grown large is set aside first."""
    with suppress(OSError):
        if posix.stat(path).st_size > LARGEST_LOG:
            posix.rename(path, f"{path}.1")
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC | posix.O_NOFOLLOW
    return posix.open(path, flags, 0o600)
