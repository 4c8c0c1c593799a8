"""The network costs a kernel nothing before somebody asks for it."""

import subprocess
import sys

PROGRAM = """
import asyncio, pathlib, sys, tempfile
import httpx
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel

DEAR = {"psutil", "nexus.schemas.network", "nexus.kernel.network.view", "nexus.kernel.network.health"}

async def main():
    with tempfile.TemporaryDirectory() as folder:
        kernel = await Kernel.open(pathlib.Path(folder) / "data", OneShotHost())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
            assert (await api.get("/api/projects")).status_code == 200
            assert not DEAR & sys.modules.keys(), DEAR & sys.modules.keys()
            assert (await api.get("/api/network/servers")).status_code == 200
            assert "psutil" not in sys.modules
        await kernel.close()

asyncio.run(main())
"""


def test_nothing_of_it_is_imported_before_it_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
