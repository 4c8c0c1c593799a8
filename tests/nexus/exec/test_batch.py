"""`nexus batch`: a record a line in, an envelope a line out, in order and in bounded memory."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from nexus.cli.run import run
from nexus.dispatch.runtime import Runtime
from nexus.exec import batch as batches
from nexus.exec.record import LONGEST_RECORD
from nexus.schemas.envelope import Envelope


def fed(*records: Any) -> bytes:
    return b"".join(record if isinstance(record, bytes) else json.dumps(record).encode() + b"\n" for record in records)


def told(call: Any) -> list[dict[str, Any]]:
    lines = bytes(call.stdout.written).splitlines()
    for line in lines:
        Envelope.model_validate_json(line)
    return [json.loads(line) for line in lines]


SAY = {"path": "talk.word.say", "args": {"text": "hi"}}


class Slowly:
    """A stdin that gives one record when the test says so."""

    is_terminal = False

    def __init__(self) -> None:
        self.records: asyncio.Queue[bytes] = asyncio.Queue()

    async def chunks(self) -> AsyncIterator[bytes]:
        while record := await self.records.get():
            yield record


async def test_records_are_answered_in_their_order(runtime: Runtime, make_call: Any) -> None:
    records = [
        {"command": "talk word say --text 'a b'"},
        SAY | {"id": 7},
        {"path": ["talk", "word", "echo"], "args": {"words": ["x", "--y"]}, "id": "mine"},
        {"path": "say", "args": {"text": "by alias"}},
        {"path": "help", "args": {"path": ["talk"]}},
        {"path": "talk"},
        {"command": "nexus exec 'say --text z'"},
    ]
    call = make_call("batch", "--parallel", "3", stdin=fed(*records))
    assert await run(call, runtime) == 0, told(call)
    one, two, three, four, five, six, seven = told(call)
    assert one["data"]["said"]["text"] == "a b"
    assert (two["data"]["said"]["text"], two["requestId"]) == ("hi", "7")
    assert (three["data"]["said"]["words"], three["requestId"]) == (["x", "--y"], "mine")
    assert four["data"]["said"]["text"] == "by alias"
    assert five["data"] == six["data"]
    assert seven["data"]["said"]["text"] == "z"


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (b"{\n", "INPUT_INVALID"),
        (b"[1]\n", "INPUT_INVALID"),
        (b"\xff\n", "INPUT_INVALID"),
        (b"[" * 100_000 + b"\n", "INPUT_INVALID"),
        ({}, "INPUT_INVALID"),
        ({"command": "version", "path": "version"}, "INPUT_INVALID"),
        ({"command": 1}, "INPUT_INVALID"),
        ({"command": "version", "args": {}}, "INPUT_INVALID"),
        ({"path": "version", "arg": {}}, "INPUT_INVALID"),
        ({"path": "version", "args": []}, "INPUT_INVALID"),
        ({"path": "version", "id": {}}, "INPUT_INVALID"),
        ({"path": 1}, "INPUT_INVALID"),
        ({"path": "version", "id": "ä"}, "VALIDATION_ERROR"),
        ({"command": "talk 'word"}, "PARSE_ERROR"),
        ({"command": "ta word say --text x"}, "COMMAND_NOT_FOUND"),
        ({"path": "talk.word.sya"}, "COMMAND_NOT_FOUND"),
        ({"path": "talk word say --text x"}, "VALIDATION_ERROR"),
        ({"path": "talk.word.say"}, "VALIDATION_ERROR"),
        ({"path": "talk.word.say", "args": {"text": "x", "no": 1}}, "VALIDATION_ERROR"),
        ({"path": "talk.word.say", "args": {"text": "x", "timeout": "5"}}, "VALIDATION_ERROR"),
        ({"path": "talk.word.say", "args": {"text": "x", "output": "yaml"}}, "VALIDATION_ERROR"),
        ({"path": "talk.memory.forget"}, "CONFIRMATION_REQUIRED"),
        ({"path": "batch"}, "COMMAND_NOT_OFFERED"),
        ({"command": "exec batch"}, "COMMAND_NOT_OFFERED"),
        ({"command": "talk word say --input -"}, "VALIDATION_ERROR"),
        ({"path": "talk.memory.break"}, "EXECUTION_ERROR"),
    ],
)
async def test_a_record_that_fails_is_one_envelope_among_the_others(
    runtime: Runtime, make_call: Any, record: Any, code: str
) -> None:
    call = make_call("batch", stdin=fed(SAY, b"\n", record, SAY))
    status = await run(call, runtime)
    before, failed, after = told(call)
    assert (before["status"], after["status"]) == ("ok", "ok")
    assert failed["errors"][0]["code"] == code
    assert status == failed["errors"][0]["details"]["exitCode"]


async def test_a_hint_has_the_words_of_the_record(runtime: Runtime, make_call: Any) -> None:
    call = make_call("batch", stdin=fed({"path": "talk.memory.forget", "args": {}}))
    await run(call, runtime)
    assert told(call)[0]["errors"][0]["details"]["hint"] == "nexus talk memory forget --yes"


async def test_flags_are_given_by_name_and_those_around_the_batch_hold_for_all(
    runtime: Runtime, make_call: Any
) -> None:
    records = [
        {"path": "talk.memory.forget", "args": {"yes": True}},
        {"path": "talk.memory.forget", "args": {"dryRun": True}},
        SAY | {"args": {"text": "x", "query": "said.text"}},
        {"path": "talk.word.wait", "args": {"timeout": 0.05}},
    ]
    call = make_call("batch", stdin=fed(*records))
    assert await run(call, runtime) == 5
    done, dry, queried, late = told(call)
    assert done["data"] == {"said": {"forgotten": True}}
    assert dry["data"]["dryRun"] is True
    assert queried["data"] == "x"
    assert late["errors"][0]["code"] == "TIMEOUT"
    call = make_call("batch", "--timeout", "0.05", "--dry-run", stdin=fed({"command": "talk word wait"}))
    assert await run(call, runtime) == 0
    call = make_call("batch", "--timeout", "0.05", stdin=fed({"command": "talk word wait"}, SAY))
    assert await run(call, runtime) == 5
    assert [envelope["status"] for envelope in told(call)] == ["error", "ok"]


async def test_after_an_error_nothing_begins_when_told_so(runtime: Runtime, make_call: Any) -> None:
    records = [SAY, {"path": "talk.word.sya"}, *[SAY] * 100]
    call = make_call("batch", "--stop-on-error", stdin=fed(*records))
    assert await run(call, runtime) == 4
    assert [envelope["status"] for envelope in told(call)] == ["ok", "error"]
    call = make_call("batch", "--stop-on-error", "--parallel", "4", stdin=fed(*records))
    assert await run(call, runtime) == 4
    begun = [envelope["status"] for envelope in told(call)]
    assert begun[:2] == ["ok", "error"]
    assert len(begun) < 20


async def test_an_envelope_comes_before_the_next_record_is_there(runtime: Runtime, make_call: Any) -> None:
    stdin = Slowly()
    call = replace(make_call("batch"), stdin=stdin)
    running = asyncio.create_task(run(call, runtime))
    for number in range(1, 4):
        stdin.records.put_nowait(fed(SAY))
        async with asyncio.timeout(5):
            while bytes(call.stdout.written).count(b"\n") < number:  # noqa: ASYNC110 -- an end that only keeps bytes
                await asyncio.sleep(0)
    stdin.records.put_nowait(b"")
    assert await asyncio.wait_for(running, 5) == 0


async def test_commands_run_beside_each_other_and_no_more_than_told(runtime: Runtime, make_call: Any) -> None:
    records = [{"path": "talk.word.wait", "args": {"timeout": 3}}] * 8
    call = make_call("batch", "--parallel", "8", stdin=fed(*records))
    begun = asyncio.get_running_loop().time()
    assert await run(call, runtime) == 5
    assert asyncio.get_running_loop().time() - begun < 8 * 3


async def test_a_signal_ends_what_runs_and_nothing_begins_any_more(runtime: Runtime, make_call: Any) -> None:
    stdin = Slowly()
    call = replace(make_call("batch", "--parallel", "2"), stdin=stdin)
    running = asyncio.create_task(run(call, runtime))
    stdin.records.put_nowait(fed({"path": "talk.word.wait"}, SAY, {"path": "talk.word.wait"}))
    stdin.records.put_nowait(fed(*[SAY] * 50))
    for _ in range(200):
        await asyncio.sleep(0)
    call.signals.queue.put_nowait(signal.SIGTERM)
    assert await asyncio.wait_for(running, 5) == 143
    assert [envelope["status"] for envelope in told(call)] == ["error", "ok", "error"]
    assert told(call)[0]["errors"][0]["code"] == "INTERRUPTED"


async def test_a_reader_that_went_away_ends_the_batch(runtime: Runtime, make_call: Any) -> None:
    call = replace(make_call("batch"), stdin=Slowly())
    call.stdin.records.put_nowait(fed(SAY))
    call.stdout.gone = True
    assert await asyncio.wait_for(run(call, runtime), 5) == 141


async def test_a_record_that_is_too_long_is_told_and_skipped(runtime: Runtime, make_call: Any) -> None:
    stdin = Slowly()
    call = replace(make_call("batch"), stdin=stdin)
    for _ in range(LONGEST_RECORD // (1 << 20) + 2):
        stdin.records.put_nowait(b"x" * (1 << 20))
    stdin.records.put_nowait(b"\n" + fed(SAY) + json.dumps(SAY).encode())
    stdin.records.put_nowait(b"")
    assert await run(call, runtime) == 2
    assert [envelope["status"] for envelope in told(call)] == ["error", "ok", "ok"]


async def test_a_slow_printer_is_not_read_ahead_of(runtime: Runtime, make_call: Any) -> None:
    class Blocked:
        is_terminal = False
        free = asyncio.Event()

        async def write(self, data: bytes, reached: object = None) -> None:
            await self.free.wait()

    taken = 0

    class Endless:
        is_terminal = False

        async def chunks(self) -> AsyncIterator[bytes]:
            nonlocal taken
            while True:
                taken += 1
                yield fed(SAY | {"args": {"text": "x" * 10_000}})
                await asyncio.sleep(0)

    call = replace(make_call("batch"), stdin=Endless(), stdout=Blocked())
    running = asyncio.create_task(run(call, runtime))
    before = -1
    async with asyncio.timeout(20):
        while taken != before:
            before = taken
            for _ in range(2000):
                await asyncio.sleep(0)
    assert taken < batches.MOST_HELD_BYTES // 10_000 * 4
    call.signals.queue.put_nowait(signal.SIGINT)
    assert await asyncio.wait_for(running, 10) == 130
