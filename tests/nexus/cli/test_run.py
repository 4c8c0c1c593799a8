"""One call in, one envelope out, whatever happens on the way."""

import asyncio
import json
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nexus.call import Call
from nexus.cli.run import run
from nexus.client.way import Way
from nexus.dispatch.runtime import Runtime
from nexus.fronts import CommandFronts
from nexus.registry.index import CommandIndex
from nexus.schemas.envelope import Envelope


@dataclass
class Folders:
    config: Path
    state: Path
    data: Path


class NoKernel:
    async def way(self) -> Way:
        raise AssertionError("this command needs no kernel")

    async def session_transport(self, name: str) -> Any:
        raise AssertionError("this command needs no kernel")


@pytest.fixture
def runtime(tree: CommandIndex, tmp_path: Path) -> Runtime:
    return Runtime(NoKernel(), Folders(tmp_path / "config", tmp_path / "state", tmp_path / "data"), CommandFronts, tree)


async def answer(call: Call, runtime: Runtime) -> tuple[int, dict[str, Any]]:
    status = await run(call, runtime)
    written = bytes(call.stdout.written)  # type: ignore[attr-defined]
    assert written.count(b"\n") == 1, "one line"
    Envelope.model_validate_json(written)
    return status, json.loads(written)


async def test_a_result_comes_in_an_envelope_with_all_six_keys(runtime: Runtime, make_call: Any) -> None:
    status, envelope = await answer(make_call("talk", "word", "say", "-t", "hi", "--tags", "a,b", "--tags=c"), runtime)
    assert status == 0
    assert set(envelope) == {"status", "data", "message", "requestId", "timestamp", "errors"}
    assert envelope["data"] == {"said": {"text": "hi", "times": 1, "tags": ["a", "b", "c"], "loud": False, "extra": {}}}


@pytest.mark.parametrize(
    "argv",
    [
        ("--timeout", "5", "talk", "word", "say", "--text", "hi"),
        ("talk", "--timeout=5", "word", "say", "--text=hi"),
        ("talk.word.say", "--text", "hi", "--timeout", "5"),
        ("say", "--text", "hi"),
    ],
)
async def test_global_flags_stand_anywhere(runtime: Runtime, make_call: Any, argv: tuple[str, ...]) -> None:
    status, envelope = await answer(make_call(*argv), runtime)
    assert (status, envelope["data"]["said"]["text"]) == (0, "hi")


async def test_words_after_two_dashes_are_arguments(runtime: Runtime, make_call: Any) -> None:
    _, envelope = await answer(make_call("talk", "word", "echo", "a b", "--", "--yes", "-x"), runtime)
    assert envelope["data"]["said"]["words"] == ["a b", "--yes", "-x"]


@pytest.mark.parametrize(
    ("argv", "code", "exit_status"),
    [
        (("talk", "word", "sya"), "COMMAND_NOT_FOUND", 4),
        (("talk", "word", "s"), "AMBIGUOUS_COMMAND", 2),
        (("talk", "word", "say"), "VALIDATION_ERROR", 2),
        (("talk", "word", "say", "--text"), "PARSE_ERROR", 2),
        (("talk", "word", "say", "--text", "--loud"), "PARSE_ERROR", 2),
        (("talk", "word", "say", "--text", "x", "--query", "--fields=a"), "PARSE_ERROR", 2),
        (("talk", "word", "say", "--text", "x", "--extra", "[" * 100_000), "PARSE_ERROR", 2),
        (("talk", "word", "say", "--text", "x", "--server", "http://a:b@c.example"), "VALIDATION_ERROR", 2),
        (("talk", "word", "say", "--text", "x", "--times", "many"), "VALIDATION_ERROR", 2),
        (("talk", "word", "say", "--text", "x", "--times", "99"), "VALIDATION_ERROR", 2),
        (("talk", "word", "say", "--text", "x", "--extra", "{"), "PARSE_ERROR", 2),
        (("talk", "word", "say", "--text", "x", "--txet", "y"), "UNKNOWN_OPTION", 2),
        (("talk", "word", "say", "--text", "x", "stray"), "PARSE_ERROR", 2),
        (("talk", "--filter", "x"), "UNKNOWN_OPTION", 2),
        (("talk", "word", "say", "--text", "\udcff"), "VALIDATION_ERROR", 2),
        (("talk", "word", "say", "--text", "x", "--output", "xml"), "VALIDATION_ERROR", 2),
        (("talk", "word", "say", "--text", "x", "--timeout", "-1"), "VALIDATION_ERROR", 2),
        (("talk", "word", "say", "--text", "x", "--request-id", "a b"), "VALIDATION_ERROR", 2),
        (("talk", "word", "say", "--text", "x", "--query", "[["), "QUERY_INVALID", 2),
        (("talk", "word", "say", "--text", "x", "--fields", "nope"), "VALIDATION_ERROR", 2),
        (("talk", "word", "say", "--text", "x", "--context", "../x"), "VALIDATION_ERROR", 2),
        (("talk", "memory", "forget"), "CONFIRMATION_REQUIRED", 2),
        (("talk", "memory", "break"), "EXECUTION_ERROR", 1),
        (("talk", "memory", "lie"), "OUTPUT_INVALID", 1),
        (("talk", "word", "wait", "--timeout", "0.05"), "TIMEOUT", 5),
    ],
)
async def test_every_failure_is_an_envelope(
    runtime: Runtime, make_call: Any, argv: tuple[str, ...], code: str, exit_status: int
) -> None:
    status, envelope = await answer(make_call(*argv), runtime)
    assert envelope["errors"][0]["code"] == code
    assert status == exit_status == envelope["errors"][0]["details"]["exitCode"]
    assert envelope["data"] is None
    assert envelope["message"]


async def test_a_fault_leaves_its_traceback_in_the_log_that_the_error_names(runtime: Runtime, make_call: Any) -> None:
    _, envelope = await answer(make_call("talk", "memory", "break"), runtime)
    log = Path(envelope["errors"][0]["details"]["log"]).read_text()
    assert envelope["requestId"] in log
    assert "the handler broke" in log
    assert "Traceback" in log


async def test_every_missing_and_wrong_argument_is_told_at_once(runtime: Runtime, make_call: Any) -> None:
    _, envelope = await answer(make_call("talk", "word", "say", "--times", "many"), runtime)
    assert [error["details"]["field"] for error in envelope["errors"]] == ["text", "times"]


@pytest.mark.parametrize(
    ("sent", "code", "exit_status"),
    [(signal.SIGINT, "INTERRUPTED", 130), (signal.SIGTERM, "TERMINATED", 143), (signal.SIGHUP, "HUNG_UP", 129)],
)
async def test_a_signal_ends_the_work_with_an_envelope(
    runtime: Runtime, make_call: Any, sent: int, code: str, exit_status: int
) -> None:
    call = make_call("talk", "word", "wait")
    running = asyncio.create_task(answer(call, runtime))
    call.signals.queue.put_nowait(sent)
    status, envelope = await asyncio.wait_for(running, 5)
    assert (status, envelope["errors"][0]["code"]) == (exit_status, code)


async def test_a_reader_that_went_away_ends_the_command_quietly(runtime: Runtime, make_call: Any) -> None:
    call = make_call("talk", "word", "say", "--text", "x")
    call.stdout.gone = True
    assert await run(call, runtime) == 141


async def test_a_handler_that_blocks_runs_in_a_thread(runtime: Runtime, make_call: Any) -> None:
    _, envelope = await answer(make_call("talk", "word", "block"), runtime)
    assert envelope["data"]["said"]["thread"] is True


async def test_a_dry_run_shows_what_would_run(runtime: Runtime, make_call: Any) -> None:
    status, envelope = await answer(make_call("talk", "memory", "forget", "--dry-run"), runtime)
    assert status == 0
    assert envelope["data"]["handlerId"] == "handler_talk_memory_forget"


async def test_input_gives_arguments_and_flags_win_over_it(runtime: Runtime, make_call: Any) -> None:
    call = make_call("talk", "word", "say", "--input", "-", "--times", "2", stdin=b'{"text": "in", "times": 7}')
    _, envelope = await answer(call, runtime)
    assert (envelope["data"]["said"]["text"], envelope["data"]["said"]["times"]) == ("in", 2)


async def test_input_begins_with_a_mark_of_its_encoding_or_not(runtime: Runtime, make_call: Any) -> None:
    call = make_call("talk", "word", "say", "--input", "-", stdin=b'\xef\xbb\xbf{"text": "in"}')
    assert (await answer(call, runtime))[1]["data"]["said"]["text"] == "in"


async def test_a_key_that_input_says_twice_is_an_error(runtime: Runtime, make_call: Any) -> None:
    call = make_call("talk", "word", "say", "--input", "-", stdin=b'{"text": "in", "text": "out"}')
    _, envelope = await answer(call, runtime)
    assert (envelope["errors"][0]["code"], envelope["errors"][0]["details"]["field"]) == ("INPUT_INVALID", "text")


@pytest.mark.parametrize("flag", ["--project", "--roadmap", "--chat", "--context", "--profile", "--server", "--config"])
async def test_an_empty_flag_never_means_what_is_selected(runtime: Runtime, make_call: Any, flag: str) -> None:
    status, envelope = await answer(make_call("talk", "word", "say", "--text", "x", flag, ""), runtime)
    assert (status, envelope["message"]) == (2, f"{flag} is empty.")


@pytest.mark.parametrize("given", [("--config", "missing.toml"), ("--config=~nobody/x",), ("--config", "~/missing")])
async def test_a_configuration_that_is_named_must_be_there(
    runtime: Runtime, make_call: Any, given: tuple[str, ...]
) -> None:
    _, envelope = await answer(make_call("talk", "word", "say", "--text", "x", *given), runtime)
    assert envelope["errors"][0]["code"] == "CONFIG_INVALID"
    home = {"HOME": "/nonexistent", "NEXUS_CONFIG": given[-1].removeprefix("--config=")}
    _, envelope = await answer(make_call("talk", "word", "say", "--text", "x", environment=home), runtime)
    assert envelope["errors"][0]["code"] == "CONFIG_INVALID"


async def test_a_format_that_cannot_be_is_told_of(runtime: Runtime, make_call: Any) -> None:
    call = make_call("talk", "word", "say", "--text", "x", environment={"NEXUS_OUTPUT_FORMAT": "xml"})
    status, envelope = await answer(call, runtime)
    assert (status, envelope["errors"][0]["details"]["hint"]) == (2, "unset NEXUS_OUTPUT_FORMAT")


async def test_what_looks_like_a_flag_is_a_value_where_it_is_tied_to_its_own_or_is_no_flag(
    runtime: Runtime, make_call: Any
) -> None:
    for words, text in ((("--text=--loud",), "--loud"), (("--text", "--nope"), "--nope"), (("-t", "-x"), "-x")):
        assert (await answer(make_call("talk", "word", "say", *words), runtime))[1]["data"]["said"]["text"] == text


async def test_a_flag_that_decides_a_setting_is_told_of_as_the_flag(runtime: Runtime, make_call: Any) -> None:
    _, envelope = await answer(make_call("talk", "word", "say", "--text", "x", "--timeout", "0"), runtime)
    assert envelope["message"].startswith("--timeout: ")
    assert envelope["errors"][0]["details"]["hint"] == "nexus help talk word say"


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe", b"null", b"[" * 100_000, b'{"text": "\x00'])
async def test_input_that_is_no_object_is_an_error(runtime: Runtime, make_call: Any, content: bytes) -> None:
    status, envelope = await answer(make_call("talk", "word", "say", "--input", "-", stdin=content), runtime)
    assert (status, envelope["errors"][0]["code"]) == (2, "INPUT_INVALID")


async def test_query_sees_the_complete_result(runtime: Runtime, make_call: Any) -> None:
    _, envelope = await answer(make_call("talk", "word", "say", "--text", "x", "--query", "said.text"), runtime)
    assert envelope["data"] == "x"


@pytest.mark.parametrize("output", ["human", "table", "yaml", "toon"])
@pytest.mark.parametrize(
    "argv", [("talk", "word", "say", "--text", "x\x1b[31m"), ("talk", "nope"), ("talk", "word", "say")]
)
async def test_every_format_writes_every_answer(
    runtime: Runtime, make_call: Any, output: str, argv: tuple[str, ...]
) -> None:
    call = make_call(*argv, "--output", output)
    await run(call, runtime)
    written = bytes(call.stdout.written)
    assert written.endswith(b"\n")
    assert b"\x1b" not in written


async def test_json_on_a_terminal_is_indented_and_coloured_unless_told_not_to(runtime: Runtime, make_call: Any) -> None:
    call = make_call("talk", "word", "say", "--text", "x", terminal=True, environment={"TERM": "xterm-256color"})
    await run(call, runtime)
    assert b"\x1b[" in call.stdout.written
    for environment in {"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1"}:
        call = make_call("talk", "word", "say", "--text", "x", terminal=True, environment=environment)
        await run(call, runtime)
        assert b"\x1b[" not in call.stdout.written
        assert json.loads(bytes(call.stdout.written))["status"] == "ok"


async def test_a_person_is_asked_before_anything_is_destroyed(runtime: Runtime, make_call: Any) -> None:
    for given, status in ((b"y\n", 0), (b"n\n", 2), (b"", 2)):
        call = make_call("talk", "memory", "forget", stdin=given, terminal=True)
        assert await run(call, runtime) == status
        assert b"[y/N]" in call.stderr.written


async def test_a_damaged_configuration_is_told_with_its_line(runtime: Runtime, make_call: Any) -> None:
    runtime.folders.config.mkdir()
    (runtime.folders.config / "config.toml").write_text('[output]\nformat = "json\n')
    status, envelope = await answer(make_call("talk", "word", "say", "--text", "x"), runtime)
    assert (status, envelope["errors"][0]["code"]) == (2, "CONFIG_INVALID")
    assert envelope["errors"][0]["details"]["line"] == 2


async def test_begun_again_after_a_death_a_read_runs_and_a_write_is_told_as_unknown(
    runtime: Runtime, make_call: Any
) -> None:
    status, _ = await answer(replace(make_call("talk", "word", "say", "-t", "hi"), again=True), runtime)
    assert status == 0
    status, envelope = await answer(replace(make_call("talk", "memory", "forget", "--yes"), again=True), runtime)
    assert (status, envelope["errors"][0]["code"]) == (5, "OUTCOME_UNKNOWN")


async def test_a_profile_that_does_not_exist_is_told(runtime: Runtime, make_call: Any) -> None:
    status, envelope = await answer(make_call("talk", "word", "say", "--text", "x", "--profile", "nope"), runtime)
    assert (status, envelope["errors"][0]["details"]["resource"]) == (4, "profile")


async def test_verbose_tells_what_ran_on_stderr_as_json_lines(runtime: Runtime, make_call: Any) -> None:
    call = make_call("talk", "word", "say", "--text", "x", "--verbose")
    _, envelope = await answer(call, runtime)
    (record,) = [json.loads(line) for line in bytes(call.stderr.written).splitlines()]
    assert (record["level"], record["requestId"]) == ("debug", envelope["requestId"])
    assert "handler_talk_word_say" in record["message"]
