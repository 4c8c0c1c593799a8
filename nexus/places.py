"""Where Nexus keeps its files, told from a caller's environment and never from this process's own.

The launcher computes this on every command, so nothing is imported that the bare interpreter has not: paths are plain
strings. A test holds the rules equal to platformdirs.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Type checkers know this name too; typing and collections would cost the launcher half of its budget.
    from collections.abc import Callable

LONGEST_SOCKET = 100
"""Bytes; the kernel takes 107 on Linux and 103 on macOS, and a temporary name must fit too."""


class Places:
    """Absolute folders (`config`, `state`, `data`, `runtime`) and the resident's `socket`; none need exist.

    `key` is 16 hexadecimal digits that differ where config, state or data differ: different places are served by
    different residents.
    """

    __slots__ = ("config", "data", "key", "runtime", "socket", "state")

    def __init__(self, config: str, state: str, data: str, runtime: str, socket: str) -> None:
        self.config = config
        self.state = state
        self.data = data
        self.runtime = runtime
        self.socket = socket
        self.key = key(config, state, data)


def find(get: "Callable[[str], str | None]", cwd: str) -> Places:
    """Return the places of the caller whose environment `get` reads; a relative NEXUS_HOME counts from `cwd`."""
    home = get("NEXUS_HOME")
    if home:
        return under(home if home.startswith("/") or sys.platform == "win32" else f"{cwd}/{home}", get)
    if sys.platform == "win32":
        return of_windows()
    user = user_home(get)
    if sys.platform == "darwin":
        fallbacks = (f"{user}/Library/Application Support",) * 3
    else:
        fallbacks = (f"{user}/.config", f"{user}/.local/state", f"{user}/.local/share")
    names = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")
    config, state, data = (
        (absolute(get(name)) or fallback).rstrip("/") + "/nexus"
        for name, fallback in zip(names, fallbacks, strict=True)
    )
    runtime = runtime_folder(get)
    return Places(config, state, data, runtime, f"{runtime}/{key(config, state, data)}.sock")


def under(home: str, get: "Callable[[str], str | None]") -> Places:
    """Return the places of NEXUS_HOME; a socket whose path would be too long moves to the user's runtime folder."""
    home = home.rstrip("/")
    folders = (f"{home}/config", f"{home}/state", f"{home}/data")
    runtime = f"{home}/run"
    socket = f"{runtime}/nexus.sock"
    if size(socket) > LONGEST_SOCKET and sys.platform != "win32":
        runtime = runtime_folder(get)
        socket = f"{runtime}/{key(*folders)}.sock"
    return Places(*folders, runtime, socket)


def runtime_folder(get: "Callable[[str], str | None]") -> str:
    """Return the user's own folder for sockets: in XDG_RUNTIME_DIR where that is ours, else below /tmp."""
    from posix import geteuid

    base = own_runtime(get)
    if base and size(base) <= LONGEST_SOCKET - len("/nexus/0123456789abcdef.sock"):
        return f"{base}/nexus"
    return f"/tmp/nexus-{geteuid()}"  # noqa: S108 -- made with mode 0700, and refused when it is not ours


def own_runtime(get: "Callable[[str], str | None]") -> str | None:
    """Return the user's runtime folder if there is one that is private: sudo -E brings somebody else's."""
    from posix import geteuid, lstat

    uid = geteuid()
    for base in (absolute(get("XDG_RUNTIME_DIR")), f"/run/user/{uid}"):
        if base:
            try:
                status = lstat(base)
            except OSError:
                continue
            if status.st_uid == uid and status.st_mode & 0o170077 == 0o040000:
                return base.rstrip("/")
    return None


def user_home(get: "Callable[[str], str | None]") -> str:
    """Return HOME, else what the user database says; under sudo a HOME of somebody else is left alone."""
    home = absolute(get("HOME"))
    if home and get("SUDO_UID"):
        from posix import geteuid, stat

        try:
            foreign = stat(home).st_uid != geteuid()
        except OSError:
            foreign = True
        if foreign:
            home = None
    return home.rstrip("/") if home else database_home()


def database_home() -> str:
    """Return the home folder in the user database, `/` when the user is not in it."""
    import pwd
    from posix import geteuid

    try:
        return pwd.getpwuid(geteuid()).pw_dir.rstrip("/")
    except KeyError:
        return ""


def of_windows() -> Places:
    """Return platformdirs' folders; there is no resident, so the socket is never bound."""
    from platformdirs import PlatformDirs

    user = PlatformDirs("nexus", appauthor=False)
    runtime = user.user_runtime_dir
    return Places(user.user_config_dir, user.user_state_dir, user.user_data_dir, runtime, f"{runtime}\\nexus.sock")


def absolute(path: str | None) -> str | None:
    """Return the path if it is absolute; the XDG specification has others ignored."""
    return path if path and path.startswith("/") else None


def size(path: str) -> int:
    """Return the path's length in bytes."""
    return len(path.encode(sys.getfilesystemencoding(), "surrogateescape"))


def key(config: str, state: str, data: str) -> str:
    """Return FNV-1a in 64 bits over the three, as 16 hexadecimal digits: hashlib would cost the launcher its budget."""
    value = 0xCBF29CE484222325
    for byte in f"{config}\0{state}\0{data}".encode("utf-8", "surrogateescape"):
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"
