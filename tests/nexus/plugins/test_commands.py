"""A plugin's commands are as every other, in help, schema, exec and completion, before its code is imported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nexus.plugins.process import Worker
from tests.nexus.plugins.conftest import action, manifest

if TYPE_CHECKING:
    import pytest

    from tests.nexus.plugins.conftest import Home

CODE = """
from nexus.plugin import CommandHandler, Conflict, Event, Invalid, NexusPlugin, Outcome

def add(context):
    context.log("adding")
    print("printed")
    return Outcome({"sum": context.args.a + context.args["b"], "color": context.args.get("color")}, message="Added.")

def shout(text):
    return text.upper()

def even(value):
    if value % 2:
        raise Invalid("It must be even.", field="b")
    return value

def taken(context):
    raise Conflict("It is taken.", code="SEAT_TAKEN", hint="nexus help", seat=7)

async def later(context):
    return {"cwd": context.cwd, "home": context.environment.get("HOME"), "token": context.token}

def count(context):
    for number in range(context.args.to):
        yield {"number": number}
    yield Event({"status": "idle", "message": "done"}, event="status")

async def breaks(context):
    yield {"number": 1}
    raise ValueError("in the middle")

plugin = NexusPlugin()

class Registered(CommandHandler):
    def execute(self, context):
        return {"by": "class"}

class Sums(NexusPlugin):
    def initialize(self, registry, runtime):
        registry.register("sums", "it", "registered", Registered())
"""

ACTIONS = {
    "add": action(
        "sums_code:add",
        flags={
            "a": {"type": "integer", "required": True, "description": "One.", "short": "a"},
            "b": {"type": "integer", "default": 2, "description": "Two.", "minimum": 0, "validator": "sums_code:even"},
            "color": {"type": "paint", "description": "Three."},
        },
        result={"type": "object", "required": ["sum"], "properties": {"sum": {"type": "integer"}}},
    ),
    "taken": action("sums_code:taken"),
    "later": action("sums_code:later"),
    "count": action(
        "sums_code:count",
        effects=["read", "streaming"],
        flags={"to": {"type": "integer", "default": 3, "description": "Where to end."}},
    ),
    "break": action("sums_code:breaks", effects=["read", "streaming"]),
    "registered": {key: value for key, value in action("x:y").items() if key != "call"},
}
SUMS = manifest(
    "sums",
    ACTIONS,
    entry="sums_code:Sums",
    contributes={
        "argumentTypes": {"paint": {"description": "A colour.", "choices": ["red", "blue"], "call": "sums_code:shout"}}
    },
)


async def test_a_folder_dropped_in_is_a_namespace_at_once_and_nothing_of_it_is_imported(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await home("sums it add")).error["code"] == "COMMAND_NOT_FOUND"

    async def never(_spec: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr(Worker, "start", never)
    home.write(SUMS, "raise SystemExit('imported')")
    assert {child["name"] for child in (await home("help sums it")).data["children"]} == set(ACTIONS)
    options = {option["flag"]: option for option in (await home("sums it add --help")).data["options"]}
    assert options["--color COLOR"]["choices"] == ["red", "blue"]
    schema = (await home("schema sums it add")).data["commands"][0]
    assert schema["result"] == ACTIONS["add"]["result"]
    assert schema["arguments"]["properties"]["b"]["minimum"] == 0
    assert (await home("sums it add --a 1 --dry-run")).data["arguments"]["b"] == 2
    assert (await home("sums it add")).error["code"] == "VALIDATION_ERROR"
    assert (await home("sums it add --a 1 --color green")).error["code"] == "VALIDATION_ERROR"
    assert b"count" in (await home("completion bash --line 'nexus sums it c'")).stdout


async def test_its_commands_answer_as_others_do(home: Home) -> None:
    home.write(SUMS, CODE)
    done = await home("sums it add -a 1 --color red")
    assert done.data == {"sum": 3, "color": "RED"}
    assert json.loads(done.stdout)["message"] == "Added."
    assert [log["message"] for log in done.logs] == ["sums: adding", "sums: printed"]
    assert (await home("exec 'sums it add --a 4 --b 4'")).data["sum"] == 8
    refused = (await home("sums it add --a 1 --b 3")).error
    assert (refused["code"], refused["details"]["field"]) == ("VALIDATION_ERROR", "b")
    taken = (await home("sums it taken")).error
    assert (taken["type"], taken["code"], taken["details"]["seat"]) == ("conflict", "SEAT_TAKEN", 7)
    assert (await home("sums it registered")).data == {"by": "class"}
    later = (await home("sums it later")).data
    assert later == {"cwd": str(home.project), "home": None, "token": None}
    batch = await home("batch", stdin=b'{"path":"sums.it.add","args":{"a":1,"b":6}}\n{"command":"sums it taken"}\n')
    assert [json.loads(line)["status"] for line in batch.stdout.splitlines()] == ["ok", "error"]


async def test_a_stream_has_metadata_first_and_one_close_last(home: Home) -> None:
    home.write(SUMS, CODE)
    events = (await home("sums it count")).events
    assert [event["event"] for event in events] == ["metadata", "data", "data", "data", "status", "close"]
    assert [event.get("seq") for event in events] == [None, 1, 2, 3, 4, 5]
    assert events[-1]["payload"] == {"reason": "completed", "exitCode": 0, "lastSeq": 5}
    assert len((await home("sums it count --to 2 --collect")).data["items"]) == 5
    broken = await home("sums it break")
    assert [event["event"] for event in broken.events] == ["metadata", "data", "error", "close"]
    assert broken.events[2]["payload"]["code"] == "PLUGIN_ERROR"
    assert broken.status == 1


async def test_changed_code_runs_without_a_reload_and_a_worker_is_used_again(home: Home) -> None:
    home.write(SUMS, CODE)
    assert (await home("sums it add --a 1")).data["sum"] == 3
    assert (await home("sums it add --a 1")).data["sum"] == 3
    assert (await home("settings plugin view --name sums")).data["workers"] == 1
    home.write(SUMS, CODE.replace("context.args.a +", "100 +"))
    assert (await home("sums it add --a 1")).data["sum"] == 102
    assert (await home("settings plugin reload")).data["items"][0]["change"] == "updated"
    assert (await home("settings plugin view --name sums")).data["workers"] == 0
