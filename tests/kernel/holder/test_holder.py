"""The holder outlives whoever uses it, is found again, and is one for each place."""

import asyncio
import os
import resource
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from nexus.kernel.holder import client
from nexus.kernel.holder.client import Holder, HolderLost
from nexus.kernel.holder.frames import FrameReader, encode
from nexus.kernel.holder.place import HolderPlace, PlaceUnsafe
from nexus.kernel.holder.refusal import Refused
from nexus.kernel.holder.spool import Kind, SpoolReader
from tests.kernel.holder.programs import PATIENCE, Reading, Run, alive, end, eventually, shell

exists = os.path.lexists


async def test_it_belongs_to_nobody_and_has_nothing_of_who_started_it(holder: Holder) -> None:
    assert os.getsid(holder.pid) not in (os.getsid(0), 0)
    assert os.getpgid(holder.pid) == holder.pid
    if sys.platform == "linux":
        process = psutil.Process(holder.pid)
        assert process.ppid() != os.getpid()
        assert process.cwd() == "/"
        assert set(process.environ()) == {"PATH", "LANG"}


async def test_its_own_memory_is_small(holder: Holder) -> None:
    assert (await holder.status())["peakMemory"] < 24 * 1024 * 1024


async def test_only_its_user_gets_in(holder: Holder) -> None:
    for path in (holder.place.folder, holder.place.spools):
        assert os.stat(path).st_mode & 0o777 == 0o700
    assert os.stat(holder.place.socket).st_mode & 0o777 == 0o600


async def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", tmp_path / "holder")
    with pytest.raises(PlaceUnsafe):
        HolderPlace(str(tmp_path / "holder")).prepare()


async def test_many_that_start_it_at_once_get_one(place: HolderPlace) -> None:
    await asyncio.gather(*(client.start_holder(place, idle=2) for _ in range(6)))
    holder = await Holder.connect(place)
    await holder.spawn("p", shell("sleep 30"))
    await asyncio.gather(*(client.start_holder(place, idle=2) for _ in range(3)))
    assert [held.name for held in await holder.programs()] == ["p"]
    await holder.close()
    await end(place)


async def test_the_next_kernel_finds_what_the_last_one_started(holder: Holder, run: Run) -> None:
    reading = await run("echo one; read x; echo two $x", name="kept", label="session-7")
    await reading.until_printed(b"one\r\n")
    await holder.close()
    again = await Holder.open(holder.place)
    assert again.pid == holder.pid
    [held] = again.found
    assert (held.name, held.running, held.label) == ("kept", True, "session-7")
    await again.write("kept", b"x\n", writer="w", number=1)
    reading = Reading(again, "kept")
    assert (await reading.to_exit())["code"] == 0
    assert reading.stdout == b"one\r\nx\r\ntwo x\r\n"
    await again.close()


async def test_the_newest_kernel_is_the_one_that_counts(holder: Holder) -> None:
    newer = await Holder.connect(holder.place)
    assert await holder.until_lost() == "another kernel took over"
    with pytest.raises(HolderLost):
        await holder.programs()
    assert await newer.programs() == []
    await newer.close()


async def test_a_kernel_of_another_protocol_is_told_so(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PROTOCOLS", (99,))
    with pytest.raises(Refused) as caught:
        await Holder.connect(holder.place)
    assert (caught.value.code, caught.value.data) == ("version", {"protocols": [1]})
    assert await holder.programs() == []


async def test_rubbish_on_the_socket_harms_nobody(holder: Holder, run: Run) -> None:
    reading = await run("read x; echo $x")
    for data in (b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", encode({"op": "programs", "n": 1}), b""):
        reader, writer = await asyncio.open_unix_connection(holder.place.socket)
        writer.write(data)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
        if answer:
            assert FrameReader().feed(answer)[0][0]["error"]["code"] == "version"
        writer.close()
    for head in ({"op": "_do_spawn"}, {"op": "spawn", "name": "../x", "spec": {}}, {"op": "write"}, {"op": None}):
        with pytest.raises(Refused):
            await holder._ask(head)
    await holder.write("p0", b"fine\n", writer="w", number=1)
    await reading.to_exit()
    assert reading.stdout.endswith(b"fine\r\n")


async def test_it_leaves_when_it_holds_nothing(place: HolderPlace) -> None:
    holder = await Holder.open(place, idle=0.3)
    await holder.spawn("p", shell("sleep 0.8"))
    await Reading(holder, "p").to_exit()
    await holder.forget("p")
    before = time.monotonic()
    assert await asyncio.wait_for(holder.until_lost(), PATIENCE) == "the holder ended"
    assert time.monotonic() - before > 0.2
    assert not exists(place.socket)
    await holder.close()


async def test_it_stays_for_a_kernel_that_comes_while_it_is_about_to_leave(place: HolderPlace) -> None:
    holder = await Holder.open(place, idle=1.0)
    await holder.spawn("p", shell("echo done"))
    await Reading(holder, "p").to_exit()
    await holder.close()
    again = await Holder.connect(place)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(again.until_lost(), 2.0)
    assert [held.name for held in await again.programs()] == ["p"]
    await again.close()
    await end(place)


async def test_a_program_that_ended_while_nobody_looked_is_read_later(place: HolderPlace) -> None:
    holder = await Holder.open(place, idle=0.2)
    await holder.spawn("p", shell("read x; echo bye; exit 9"))
    pid = holder.pid
    await holder.write("p", b"\n", writer="w", number=1)
    await holder.close()
    await eventually(lambda: not alive(pid))
    later = await Holder.open(place, idle=5)
    assert later.left == ["p"]
    with SpoolReader(place.spool("p")) as spool:
        records = spool.read()
    assert records[-1].kind == Kind.EXIT
    assert b'"code":9' in records[-1].payload
    await later.forget("p")
    assert place.names() == []
    await later.close()
    await end(place)


async def test_what_a_killed_holder_had_written_is_not_lost(place: HolderPlace) -> None:
    holder = await Holder.open(place, idle=5)
    await holder.spawn("p", shell("echo before; sleep 100"))
    reading = await Reading(holder, "p").until_printed(b"before")
    pid = reading.told(Kind.STARTED)[0]["pid"]
    os.kill(holder.pid, signal.SIGKILL)
    with pytest.raises(HolderLost):
        await reading.to_exit()
    await holder.close()
    later = await Holder.open(place, idle=5)
    assert later.pid != holder.pid
    assert later.left == ["p"]
    await eventually(lambda: not alive(pid))  # the terminal went with the holder, and the shell was hung up
    await later.close()
    await end(place)


async def test_a_socket_that_was_swept_away_comes_back(holder: Holder) -> None:
    await holder.spawn("p", shell("sleep 100"))
    os.unlink(holder.place.socket)
    await eventually(lambda: exists(holder.place.socket))
    again = await Holder.connect(holder.place)
    assert again.pid == holder.pid
    await again.close()


async def test_a_path_too_long_for_a_socket_gets_a_shorter_one(tmp_path: Path) -> None:
    place = HolderPlace(str(tmp_path / ("long" * 40) / "holder"))
    assert len(place.socket) <= 100
    holder = await Holder.open(place, idle=5)
    await holder.close()
    await end(place)
    assert not exists(place.socket)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="another process's limits can be set on Linux only")
async def test_a_full_disk_pauses_and_nothing_is_lost(holder: Holder) -> None:
    unlimited = resource.prlimit(holder.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(holder.pid, resource.RLIMIT_FSIZE, (300_000, unlimited[1]))
    await holder.spawn("p", shell("seq 1 200000", terminal=None))
    with SpoolReader(holder.place.spool("p")) as spool:
        await eventually(lambda: not spool.read() and spool.position > 290_000 - 65_536)
    assert (await holder.programs())[0].paused == ("disk",)
    resource.prlimit(holder.pid, resource.RLIMIT_FSIZE, unlimited)
    reading = Reading(holder, "p")
    assert (await reading.to_exit())["code"] == 0
    assert reading.stdout == b"".join(b"%d\n" % number for number in range(1, 200_001))
    assert {"resumed": "disk"} in reading.told(Kind.NOTICE)


async def test_two_hundred_programs_at_once(holder: Holder) -> None:
    async def one(number: int) -> bytes:
        await holder.spawn(f"p{number}", shell(f"seq 1 500; read x; echo {number} $x"))
        reading = Reading(holder, f"p{number}")
        await reading.until_printed(b"500\r\n")
        await holder.write(f"p{number}", b"ok\n", writer="w", number=1)
        assert (await reading.to_exit())["code"] == 0
        return reading.stdout

    printed = await asyncio.gather(*(one(number) for number in range(200)))
    lines = b"".join(b"%d\r\n" % number for number in range(1, 501))
    assert printed == [lines + b"ok\r\n%d ok\r\n" % number for number in range(200)]
