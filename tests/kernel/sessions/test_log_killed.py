"""kill -9 of the process that writes the log, under load: what was seen is there, once, and nothing has a hole."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nexus.kernel.sessions.database import LogDatabase

ROOT = Path(__file__).parents[3]
SEEN_BEFORE_THE_KILL = 200

WRITER = """
import asyncio, sys
from pathlib import Path
from nexus.kernel.sessions.log import EventLog
from tests.kernel.sessions.logs import new_session, numbered

async def main(folder):
    log = EventLog(Path(folder) / "log.db")
    await log.open()
    try:
        stream = await log.stream("ses_1")
    except Exception:
        stream = await new_session(log)
    spool = await log.mark("spool")
    assert spool == stream.landed, (spool, stream.landed)

    async def flood():
        position = spool
        while True:
            await log.append("ses_1", numbered(position + 1, position + 37), mark=("spool", position + 37))
            position += 37

    async def show():
        after = stream.landed
        while True:
            await stream.wait(after, 10)
            for batch in await log.read(stream, after):
                sys.stdout.buffer.write(batch.lines)
                after = batch.last
            sys.stdout.buffer.flush()

    await asyncio.gather(flood(), show())

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("round_", range(3))
def test_what_was_seen_is_in_the_log_once(tmp_path: Path, round_: int) -> None:
    printed = b""
    for life in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            seen = [writer.stdout.readline() for _ in range(SEEN_BEFORE_THE_KILL)]
            time.sleep(0.003 * (life + round_))  # another moment of its work each time
            os.kill(writer.pid, signal.SIGKILL)
            printed = b"".join(seen) + writer.stdout.read()
        assert writer.returncode == -signal.SIGKILL
        whole = printed[: printed.rindex(b"\n") + 1].splitlines()
        log = stored(tmp_path)
        assert [json.loads(line)["seq"] for line in log] == list(range(1, len(log) + 1))
        first = json.loads(whole[0])["seq"]
        assert log[first - 1 : first - 1 + len(whole)] == whole
        numbers = [int(json.loads(line)["payload"]["message"].split()[1]) for line in log]
        assert numbers == list(range(1, len(log) + 1))


def stored(folder: Path) -> list[bytes]:
    database = LogDatabase(folder / "log.db")
    try:
        return b"".join(batch.lines for batch in database.read(1, 1, 0, 1 << 40)).splitlines()
    finally:
        database.close()
