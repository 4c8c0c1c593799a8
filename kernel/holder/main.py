"""The holder's process: nobody's child, one for each place, gone when it holds nothing.

`start` runs it. The process that is started waits until the holder listens, then ends with 0; the holder is a session
of its own, and belongs to init.
"""

import fcntl
import os
import resource
import signal

from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.holder.reactor import Reactor
from nexus.kernel.holder.service import Service

OPEN_FILES = 65_536


def main(folder: str, idle: float) -> int:
    """Become the holder of the place, unless it has one. Returns the exit status of the process that was started."""
    place = HolderPlace(folder)
    os.umask(0o077)
    place.prepare()
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        return 0 if os.read(reading, 1) == b"1" else 1
    os.close(reading)
    os.setsid()
    os.chdir("/")
    lock = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.write(writing, b"1")  # there is one, and it listens or will at once
        return 0
    _serve(place, idle, writing)
    return 0


def _serve(place: HolderPlace, idle: float, ready: int) -> None:
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    core = resource.getrlimit(resource.RLIMIT_CORE)
    most = OPEN_FILES if files[1] == resource.RLIM_INFINITY else min(OPEN_FILES, files[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files[0], most), files[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, core[1]))  # it holds environments, and secrets are in them
    reactor = Reactor()
    # Programs get the limits of the command that wants them, and these where it says nothing.
    limits = {resource.RLIMIT_NOFILE: files, resource.RLIMIT_CORE: core}
    service = Service(place, reactor, idle=idle, limits=limits)
    service.listen()
    # What goes wrong up to here is told to who starts us; from here on nobody of theirs is left with us.
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.write(ready, b"1")
    os.close(ready)
    service.run()
    reactor.close()
