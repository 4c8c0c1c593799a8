"""A proxy in between that fails every third request: a command succeeds or fails cleanly, and nothing is done twice."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from tests.handlers.data.faulty import FAULTS, LIES, Fault, faulty
from tests.sessions.servers import served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.handlers.conftest import Nexus

SAID = 5
CLEAN = {"BACKEND_ERROR", "BACKEND_UNAVAILABLE", "TIMEOUT", "OUTCOME_UNKNOWN"}
SEEN_THROUGH = {"drop", "refuse", "garbage", "page", "cut", "long"}
"""What shows that no kernel answered: it is asked again, and the person hears nothing of it."""


@pytest.mark.parametrize("fault", [*FAULTS, *LIES])
async def test_a_command_succeeds_or_fails_cleanly_and_nothing_is_done_twice(
    nexus: Nexus, tmp_path: Path, fault: Fault
) -> None:
    kernel = await Kernel.open(tmp_path / "server", OneShotHost())
    try:
        async with served(kernel) as port, faulty(port, fault) as proxy:
            straight = {"NEXUS_SERVER_URL": f"http://127.0.0.1:{port}", "NEXUS_TOKEN": "none is asked for"}
            through = {**straight, "NEXUS_SERVER_URL": f"http://127.0.0.1:{proxy.port}"}
            through["NEXUS_RUNTIME_TIMEOUT"] = "1" if fault == "stall" else "60"
            for line in (
                "agent project create --name p --select",
                "agent roadmap create --title r --select",
                "agent chat create --title c --select",
            ):
                assert (await nexus(line, environment=straight)).status == 0
            outcomes: dict[str, bool] = {}
            for number in range(3 if fault == "stall" else SAID):
                told = await nexus(f"agent chat send --message 'said {number}'", environment=through)
                outcomes[f"said {number}"] = told.status == 0
                if told.status:
                    assert told.error["code"] in CLEAN, told.error
                    assert told.status == 5
                    assert told.envelope["data"] is None
            assert proxy.faults >= 1
            listed = (await nexus("agent chat messages", environment=straight)).data["items"]
    finally:
        await kernel.close()
    said = Counter(item["content"] for item in listed)
    assert max(said.values()) == 1
    assert {content for content, done in outcomes.items() if done} <= said.keys()
    if fault in SEEN_THROUGH:
        assert all(outcomes.values()), outcomes
