"""Starting the holder of a place: by exec, with nothing of whoever starts it."""

import asyncio
import os
import sys

from nexus.kernel.holder.place import HolderPlace

IDLE = 30.0
START_TIMEOUT = 20.0

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from nexus.kernel.holder.main import main; "
    "sys.exit(main(sys.argv[2], float(sys.argv[3])))"
)


class HolderFailed(Exception):
    """The holder did not start."""


def _site() -> str:
    """The folder that holds our whole package, also where only links there make it one."""
    whole = sys.modules[__name__.partition(".")[0]]
    return os.path.dirname(os.path.dirname(os.path.abspath(str(whole.__file__))))


async def start_holder(place: HolderPlace, *, idle: float = IDLE) -> None:
    """Start the holder and wait until it listens; where there is one already, that one stays. Raises `HolderFailed`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, _site(), place.folder, str(idle)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        cwd="/",
        umask=0o077,
        start_new_session=True,
    )
    try:
        _, said = await asyncio.wait_for(process.communicate(), START_TIMEOUT)
    except TimeoutError as error:
        process.kill()
        raise HolderFailed(f"it did not listen within {START_TIMEOUT:g} seconds") from error
    if process.returncode:
        raise HolderFailed(said.decode(errors="replace").strip().rpartition("\n")[2])
