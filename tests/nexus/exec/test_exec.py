"""`nexus exec 'LINE'` gives the answer that the same words give in argv."""

import json
import shlex
from typing import Any

import pytest

from nexus.cli.run import run
from nexus.dispatch.runtime import Runtime

VOLATILE = ("requestId", "timestamp")


async def answer(call: Any, runtime: Runtime) -> tuple[int, dict[str, Any]]:
    status = await run(call, runtime)
    return status, json.loads(call.stdout.written)


def lasting(envelope: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in envelope.items() if key not in VOLATILE}


@pytest.mark.parametrize(
    "argv",
    [
        ("talk", "word", "say", "--text", "a b 'c' \"d\" $HOME; \\ e", "--tags", "x,y"),
        ("say", "--text", "hi"),
        ("talk.word.say", "-t", "hi", "--request-id", "mine"),
        ("talk", "word", "echo", "a b", "--", "--yes", "-x", ""),
        ("talk", "word", "sya"),
        ("talk", "word", "say"),
        ("talk", "word", "say", "--text", "x", "--txet", "y"),
        ("talk", "memory", "forget"),
        ("talk", "memory", "forget", "--yes"),
        ("talk", "memory", "forget", "--dry-run"),
        ("talk", "word", "say", "--help"),
        ("talk", "word"),
        ("--version",),
        (),
    ],
)
async def test_the_answer_is_that_of_the_same_words(runtime: Runtime, make_call: Any, argv: tuple[str, ...]) -> None:
    status, envelope = await answer(make_call(*argv), runtime)
    for line in shlex.join(argv), shlex.join(("nexus", *argv)):
        again, told = await answer(make_call("exec", line), runtime)
        assert (again, lasting(told)) == (status, lasting(envelope))
        if "--request-id" in argv:
            assert told["requestId"] == envelope["requestId"]


async def test_names_are_never_abbreviated_in_a_line(runtime: Runtime, make_call: Any) -> None:
    assert (await answer(make_call("ta", "wo", "say", "-t", "x"), runtime))[0] == 0
    status, envelope = await answer(make_call("exec", "ta wo say -t x"), runtime)
    assert (status, envelope["errors"][0]["code"]) == (4, "COMMAND_NOT_FOUND")


async def test_flags_around_the_line_hold_unless_the_line_says_otherwise(runtime: Runtime, make_call: Any) -> None:
    line = "talk word say --text x"
    _, envelope = await answer(make_call("--fields", "said", "exec", line, "--query", "said.text"), runtime)
    assert envelope["data"] == "x"
    _, envelope = await answer(make_call("exec", f"{line} --query said.times", "--query", "said.text"), runtime)
    assert envelope["data"] == 1
    _, envelope = await answer(make_call("exec", "talk memory forget", "--dry-run"), runtime)
    assert envelope["data"]["handlerId"] == "handler_talk_memory_forget"


async def test_a_confirmation_is_asked_for_with_the_words_of_the_line(runtime: Runtime, make_call: Any) -> None:
    _, envelope = await answer(make_call("exec", "talk memory forget"), runtime)
    assert envelope["errors"][0]["details"]["hint"] == "nexus talk memory forget --yes"


async def test_the_line_of_a_command_may_come_from_a_file(runtime: Runtime, make_call: Any) -> None:
    call = make_call("exec", "--input", "-", stdin=b'{"line": "talk word say --text in"}')
    assert (await answer(call, runtime))[1]["data"]["said"]["text"] == "in"


@pytest.mark.parametrize("line", ["exec version", "exec 'exec version'", "nexus exec version"])
async def test_exec_does_not_run_exec(runtime: Runtime, make_call: Any, line: str) -> None:
    status, envelope = await answer(make_call("exec", line), runtime)
    assert (status, envelope["errors"][0]["code"]) == (2, "COMMAND_NOT_OFFERED")


async def test_a_line_that_cannot_be_read_is_a_parse_error_with_its_place(runtime: Runtime, make_call: Any) -> None:
    status, envelope = await answer(make_call("exec", "talk word say --text 'x"), runtime)
    assert (status, envelope["errors"][0]["code"]) == (2, "PARSE_ERROR")
    assert envelope["errors"][0]["details"]["tokenPosition"] == 21


async def test_a_format_asked_for_in_the_line_is_used(runtime: Runtime, make_call: Any) -> None:
    call = make_call("exec", "talk word say --text x --output yaml")
    assert await run(call, runtime) == 0
    assert call.stdout.written.startswith(b"status: ok")
