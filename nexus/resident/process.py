"""The resident's process: from its arguments to its end."""

import asyncio
import ctypes
import gc
import logging
import os
import signal
import sys
from pathlib import Path

from nexus.launcher.exchange import Unavailable
from nexus.launcher.spawn import OWNED, READY
from nexus.places import Places
from nexus.resident.alone import complete
from nexus.resident.installation import Installation
from nexus.resident.owner import AlreadyOwned, OwnerLock
from nexus.resident.prints import Prints

_PR_SET_DUMPABLE = 4

_log = logging.getLogger(__name__)


def main(site: str, arguments: list[str]) -> None:
    """Serve the places that the arguments name, then end the process. `--ready` is the descriptor to tell it on."""
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    socket = given["--socket"]
    runtime = socket.rpartition("/")[0]
    places = Places(given["--config"], given["--state"], given["--data"], runtime, socket)
    report = Report(int(given.get("--ready", "-1")))
    # Launchers wake who holds the lock by it; until there is a handler it would kill.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # Libraries tell of every request, and a command would wait for each line.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("nexus").setLevel(logging.INFO)
    try:
        restarts = _serve(site, places, report)
    except AlreadyOwned:
        report.tell(OWNED)
        os._exit(0)
    except (OSError, Unavailable, ImportError) as error:
        _log.exception("the resident does not start")
        report.tell(f"{error}.".encode())
        os._exit(1)
    logging.shutdown()
    if restarts:
        words = [word for name, value in given.items() if name != "--ready" for word in (name, value)]
        os.execv(sys.executable, [sys.executable, "-I", f"{site}/nexus/resident/__main__.py", *words])  # noqa: S606
    # A handler that blocks in a thread must not hold the process.
    os._exit(0)


def _serve(site: str, places: Places, report: "Report") -> bool:
    sys.stdout = Prints()  # noqa: TID251 -- so that nothing else in this process has to
    installation = Installation(site)
    hide_memory()
    # Nothing that is imported becomes garbage: collecting meanwhile is a tenth of the time.
    gc.disable()
    complete(site)
    lock = OwnerLock(Path(places.state) / f"resident-{places.key}.lock", Path(places.socket))
    from nexus.resident.resident import Resident

    environment = dict(os.environ)  # noqa: TID251 -- the process's own entry point

    async def serve() -> bool:
        resident = Resident(places, installation, lock, environment)
        return await resident.serve(report.ready)

    with asyncio.Runner() as runner:
        # Not run(): its SIGINT is ours, and its end waits for threads.
        restarts = runner.get_loop().run_until_complete(serve())
        lock.release()
        logging.shutdown()
        if not restarts:
            os._exit(0)
    return restarts


def hide_memory() -> None:
    """Keep other processes of this user from reading our memory, and core files from holding it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


class Report:
    """The pipe on which the starter waits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ready(self) -> None:
        """Say that commands may come."""
        self.tell(READY)

    def tell(self, said: bytes) -> None:
        """Say it once; a starter that has gone does not mind."""
        if self._descriptor < 0:
            return
        try:
            os.write(self._descriptor, said)
            os.close(self._descriptor)
        except OSError:
            _log.info("the starter has gone")
        self._descriptor = -1
