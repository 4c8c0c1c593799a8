"""A session type of a plugin: sessions of it are opened, read, sent to and closed as all others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.nexus.plugins.conftest import Home, action, manifest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Shell

CODE = """
def counts(given, context):
    total = int(given.options.get("start", 0))
    yield {"type": "log", "level": "info", "message": f"starts at {total}", "source": "counter"}
    for text in context.inputs():
        total += int(text)
        yield {"type": "log", "level": "info", "message": f"the sum is {total}", "source": "counter"}

def opened(context):
    return context.api.post("/api/sessions", {"type": "counter", "options": {"start": context.args.start}})
"""


def counter() -> dict[str, Any]:
    kind = {"description": "Counts.", "call": "counter_code:counts", "capabilities": ["send"]}
    flags = {"start": {"type": "integer", "default": 0, "description": "Where to start."}}
    return manifest(
        "counter",
        {"open": action("counter_code:opened", flags=flags, effects=["write"])},
        permissions={"api": ["write"]},
        contributes={"sessionTypes": {"counter": kind}},
    )


def test_a_session_type_of_a_plugin_is_like_every_other(shell: Shell, tmp_path: Path) -> None:
    home = tmp_path / "nexus home"
    Home.write_into(home / "data" / "plugins", counter(), CODE)

    def run(line: str) -> list[dict[str, Any]]:
        done = shell.run(f"nexus {line}")
        assert done.stdout, done.stderr
        return [json.loads(text) for text in done.stdout.splitlines()]

    [refused] = run("counter it open || true")
    assert refused["errors"][0]["code"] == "PLUGIN_RIGHT_MISSING"
    run("settings plugin trust --name counter")
    session = run("counter it open --start 5")[0]["data"]["sessionId"]
    run(f"session live send {session} 3")
    run(f"session live send {session} 4")
    events = run(f"session live attach {session} --limit 3")
    said = [event["payload"].get("message") for event in events if event["event"] == "data"]
    assert said == ["starts at 5", "the sum is 8", "the sum is 12"]
    [viewed] = run(f"session live view {session}")
    assert (viewed["data"]["type"], viewed["data"]["capabilities"]["send"]) == ("counter", True)
    assert viewed["data"]["capabilities"]["resize"] is False
    [listed] = run("session live list")
    assert [each["sessionId"] for each in listed["data"]["items"]] == [session]
    run(f"session live close {session}")
    [gone] = run(f"session live send {session} 1 || true")
    assert gone["errors"][0]["code"] == "SESSION_CLOSED"
