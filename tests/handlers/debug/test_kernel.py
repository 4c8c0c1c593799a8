"""The kernel by command."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


async def test_status_and_metrics_tell_of_the_kernel_that_answers(nexus: Nexus) -> None:
    status = (await nexus("debug kernel status")).data
    assert (status["mode"], status["pid"]) == ("one-shot", os.getpid())
    assert status["memoryBytes"] > 0
    await nexus.all("agent project list")
    metrics = (await nexus("debug kernel metrics")).data
    assert metrics["requests"]["agent.project.list"] == 1


async def test_stop_and_restart_say_which_process(nexus: Nexus) -> None:
    stopping = (await nexus("debug kernel stop")).data
    assert stopping == {"pid": os.getpid(), "stopping": True, "restarts": False, "change": "updated"}
    assert (await nexus("debug kernel restart")).data["restarts"] is True
