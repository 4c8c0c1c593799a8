"""A proxy in between that fails every third request: transfers succeed all the same, and nothing happens twice."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nexus.kernel.data import local
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from tests.handlers.data.faulty import FAULTS, Fault, faulty
from tests.sessions.servers import served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.handlers.conftest import Answer, Nexus

CONTENT = os.urandom(5_000_000)
PARTS = 10


async def until_done(nexus: Nexus, line: str, environment: dict[str, str]) -> Answer:
    """Give the command again as long as it says that it may pass; each answer is a clean one."""
    for _ in range(20):
        answer = await nexus(line, environment=environment)
        if answer.status == 0:
            return answer
        error = answer.error
        assert error["code"] in ("BACKEND_ERROR", "BACKEND_UNAVAILABLE", "TRANSFER_BROKEN", "TIMEOUT"), error
    raise AssertionError(f"{line} never succeeds: {error}")


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_file_arrives_whole_and_once_through_a_bad_proxy(
    nexus: Nexus, tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "PART_BYTES", len(CONTENT) // PARTS)
    monkeypatch.setattr(local, "CHUNK", 1)
    (nexus.cwd / "file").write_bytes(CONTENT)
    kernel = await Kernel.open(tmp_path / "server", OneShotHost())
    try:
        async with served(kernel) as port, faulty(port, fault) as proxy:
            environment = {
                "NEXUS_SERVER_URL": f"http://127.0.0.1:{proxy.port}",
                "NEXUS_DATA_STALL": "1" if fault == "stall" else "30",
                "NEXUS_TOKEN": "none is asked for",
            }
            pushed = await until_done(nexus, "data dataset push file --replace", environment)
            await until_done(nexus, "data dataset pull file copy --overwrite", environment)
            assert proxy.faults > PARTS // 3
            straight = {**environment, "NEXUS_SERVER_URL": f"http://127.0.0.1:{port}"}
            listed = (await nexus("data dataset list", environment=straight)).data["items"]
            assert [item["id"] for item in listed] == [pushed.data["id"]]
    finally:
        await kernel.close()
    assert (nexus.cwd / "copy").read_bytes() == CONTENT
    kept = [path for path in (tmp_path / "server" / "blobs").rglob("*") if path.is_file()]
    assert [path.read_bytes() == CONTENT for path in kept] == [True]
