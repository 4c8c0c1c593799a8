"""What the launcher says first: the command, and the surroundings that it is to be run in."""

import posix
import sys

from nexus.launcher.frames import PROTOCOL


def hello(version: str, site: str, key: str, argv: list[bytes], *, again: bool = False, reached: bytes = b"") -> bytes:
    """Return the payload of a HELLO: fields with a NUL between, which none of them can contain.

    protocol, version, site folder's identity, key of the places, cwd, umask, columns, rows, terminals (three digits,
    one each for stdin, stdout, stderr), again, the position that a stream reached, limits, how many words, the words,
    the environment as NAME=value.
    """
    columns, rows = window()
    fields = [
        b"%d" % PROTOCOL,
        version.encode(),
        identity(site),
        key.encode(),
        folder(),
        b"%d" % mask(),
        b"%d" % columns,
        b"%d" % rows,
        b"".join(b"1" if posix.isatty(end) else b"0" for end in (0, 1, 2)),
        b"1" if again else b"0",
        reached,
        limits(),
        b"%d" % len(argv),
        *argv,
    ]
    fields += [b"%b=%b" % item for item in posix.environ.items()]
    return b"\0".join(fields)


def identity(site: str) -> bytes:
    """Return what is the same for a folder by whatever path it was reached."""
    found = posix.stat(site)
    return b"%d:%d" % (found.st_dev, found.st_ino)


def folder() -> bytes:
    """Return the working directory; where it was deleted, the path it had, so that only what needs it fails."""
    try:
        return posix.getcwdb()
    except OSError:
        pass
    try:
        # $PWD will not do: the shell that finds the interpreter empties it.
        return posix.readlink(b"/proc/self/cwd").removesuffix(b" (deleted)")
    except OSError:
        return b"/"


def mask() -> int:
    """Return the umask, which can only be read by setting it."""
    found = posix.umask(0o077)
    posix.umask(found)
    return found


def window() -> tuple[int, int]:
    """Return columns and rows of the terminal that one of the standard ends is, else of the controlling one."""
    for end in (1, 2, 0):
        try:
            size = posix.get_terminal_size(end)
        except OSError:
            continue
        return sane(size)
    try:
        terminal = posix.open("/dev/tty", posix.O_RDONLY | posix.O_NOCTTY | posix.O_CLOEXEC)
    except OSError:
        return 80, 24
    try:
        return sane(posix.get_terminal_size(terminal))
    except OSError:
        return 80, 24
    finally:
        posix.close(terminal)


def sane(size: "posix.terminal_size") -> tuple[int, int]:
    """Return a size that one can print to: a terminal that was told none says 0 by 0."""
    return size.columns or 80, size.lines or 24


def limits() -> bytes:
    """Return the resource limits as the kernel writes them down; elsewhere than on Linux in the same form."""
    if sys.platform == "linux":
        try:
            table = posix.open("/proc/self/limits", posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return posix.read(table, 4096)
        finally:
            posix.close(table)
    import resource

    names = ((name, getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_"))
    return b"\n".join(b"%b  %d  %d" % (name.encode(), *resource.getrlimit(number)) for name, number in names)


def encode(text: str) -> bytes:
    """Return the bytes that the operating system knows a name by."""
    return text.encode(sys.getfilesystemencoding(), "surrogateescape")


def decode(name: bytes) -> str:
    """Return a name of the operating system's as text."""
    return name.decode(sys.getfilesystemencoding(), "surrogateescape")
