"""A broken, slow or hostile plugin harms nothing but its own answer, and can always be removed."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.handlers.conftest import Kept
from tests.nexus.plugins.conftest import Signals, action, manifest
from tests.processes import gone

if TYPE_CHECKING:
    from tests.nexus.plugins.conftest import Home

CODE = """
import os, sys, time

def raises(context):
    raise ValueError("boom")

def exits(context):
    sys.exit(3)

def dies(context):
    os._exit(9)

def loops(context):
    while True:
        pass

def prints(context):
    print("to python's stdout")
    os.write(1, b"to the descriptor\\n")
    return {}

def lies(context):
    return {"other": 1}

def no_object(context):
    return [1]

def no_json(context):
    return {"a": object()}

def huge(context):
    return {"a": "x" * (17 << 20)}

def reads(context):
    with open(context.args.path) as file:
        return {"text": file.read(100)}

def writes(context):
    with open(context.args.path, "w") as file:
        file.write("x")
    return {}

def lists(context):
    return {"names": os.listdir(context.args.path)}

def connects(context):
    import socket
    socket.create_connection(("127.0.0.1", 9), 1)

def unix(context):
    import socket
    s = socket.socket(socket.AF_UNIX)
    s.connect("/run/nothing")

def spawns(context):
    import subprocess
    return {"out": subprocess.run(["id"], capture_output=True).returncode}

def native(context):
    import ctypes
    return {"got": ctypes.CDLL(None).getpid()}

def kills(context):
    os.kill(os.getppid(), 15)
    return {}

def secrets(context):
    return {"names": sorted(os.environ)}

def own(context):
    path = os.path.join(context.data, "kept")
    with open(path, "a") as file:
        file.write("x")
    return {"size": os.path.getsize(path)}

def forever(context):
    number = 0
    try:
        while True:
            yield {"number": number}
            number += 1
            time.sleep(0.01)
    finally:
        with open(os.path.join(context.data, "let go"), "w") as file:
            file.write("x")

def deaf(context):
    yield {"number": 0}
    while True:
        try:
            time.sleep(1000)
        except KeyboardInterrupt:
            pass
"""

PATH = {"path": {"required": True, "description": "A path."}}
PLAIN = (
    "raises", "exits", "dies", "prints", "no_object", "no_json", "huge", "connects", "unix", "spawns", "native",
    "kills", "secrets", "own",
)  # fmt: skip


def hostile(**more: Any) -> dict[str, Any]:
    actions: dict[str, Any] = {name.replace("_", "-"): action(f"hostile_code:{name}") for name in PLAIN}
    actions |= {name: action(f"hostile_code:{name}", flags=PATH) for name in ("reads", "writes", "lists")}
    actions["loops"] = action("hostile_code:loops", timeout=0.5)
    actions["waits"] = action("hostile_code:loops")
    actions["lies"] = action("hostile_code:lies", result={"type": "object", "required": ["a"]})
    for name in ("forever", "deaf"):
        actions[name] = action(f"hostile_code:{name}", effects=["read", "streaming"])
    return manifest("hostile", actions, **more)


def children() -> list[psutil.Process]:
    """The workers of this process, and what they began; other tests have children of other kinds."""
    found: list[psutil.Process] = []
    for child in psutil.Process().children():
        if child.status() != psutil.STATUS_ZOMBIE and any("plugins/worker" in word for word in child.cmdline()):
            found += [child, *child.children(recursive=True)]
    return found


async def test_what_its_code_does_wrong_is_its_own_answer_alone(home: Home) -> None:
    home.write(hostile(), CODE)
    expected = {
        "raises": "PLUGIN_ERROR",
        "exits": "PLUGIN_ERROR",
        "dies": "PLUGIN_CRASHED",
        "loops": "TIMEOUT",
        "lies": "OUTPUT_INVALID",
        "no-object": "PLUGIN_ERROR",
        "no-json": "PLUGIN_ERROR",
        "huge": "PLUGIN_ERROR",
    }
    for name, code in expected.items():
        done = await home(f"hostile it {name}")
        assert done.error["code"] == code, done.stdout
        assert (await home("version")).status == 0
    failed = (await home("hostile it raises")).error["details"]
    assert "boom" in failed["log"] or "ValueError: boom" in open(failed["log"]).read()  # noqa: ASYNC230, SIM115 -- a test
    assert (await home("settings plugin remove --name hostile --yes")).data["change"] == "deleted"
    assert (await home("hostile it raises")).error["code"] == "COMMAND_NOT_FOUND"


async def test_a_plugin_that_raises_on_import_is_listed_answered_and_removed(home: Home) -> None:
    home.write(hostile(), "raise RuntimeError('on import')")
    assert (await home("help hostile")).status == 0
    failed = (await home("hostile it raises")).error
    assert failed["code"] == "PLUGIN_ERROR"
    assert "on import" in failed["message"]
    assert [plugin["state"] for plugin in (await home("settings plugin list")).data["items"]] == ["active"]
    assert (await home("settings plugin remove --name hostile --yes")).status == 0
    assert (await home("settings plugin list")).data["items"] == []


async def test_what_it_prints_reaches_stderr_and_never_the_answer(home: Home) -> None:
    home.write(hostile(), CODE)
    done = await home("hostile it prints")
    assert done.data == {}
    told = " ".join(log["message"] for log in done.logs)
    assert "to python's stdout" in told
    assert "to the descriptor" in told


async def test_another_command_goes_on_while_one_loops_for_ever(home: Home) -> None:
    home.write(hostile(), CODE)
    signals = Signals()
    looping = asyncio.create_task(home("hostile it waits", signals=signals))
    while not children() and not looping.done():  # noqa: ASYNC110 -- processes tell nobody that they have begun
        await asyncio.sleep(0.01)
    assert (await home("hostile it own")).data["size"] == 1
    assert not looping.done()
    signals.sent.put_nowait(signal.SIGINT)
    assert (await looping).error["code"] == "INTERRUPTED"
    assert (await home("hostile it own --timeout 60")).data["size"] == 2


async def test_workers_end_with_their_commands_time_and_with_the_process(home: Home) -> None:
    home.write(hostile(), CODE)
    assert (await home("hostile it waits --timeout 1")).error["code"] == "TIMEOUT"
    await home("hostile it own")
    await home.runtime.close()
    assert all(gone(child.pid, 30) for child in children())


async def test_it_reaches_nothing_outside_of_its_folders(home: Home) -> None:
    folder = home.write(hostile(), CODE)
    secret = home.project / "secret.txt"
    secret.write_text("secret")
    for line in (
        f"reads --path '{secret}'",
        f"reads --path '{folder}/../../../../project/secret.txt'",
        f"writes --path '{secret}'",
        f"writes --path '{folder}/new.txt'",
        f"lists --path '{home.folders.state}'",
        "connects",
        "spawns",
        "native",
        "kills",
    ):
        done = await home(f"hostile it {line}")
        assert done.error["code"] == "PLUGIN_RIGHT_MISSING", (line, done.stdout)
    assert secret.read_text() == "secret"
    assert (await home(f"hostile it reads --path '{folder}/plugin.yml'")).status == 0
    assert (await home("hostile it own")).data == {"size": 1}
    names = (await home("hostile it secrets", environment={"API_KEY": "x"})).data["names"]
    assert "API_KEY" not in names
    assert (await home("hostile it unix")).status != 0


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux's")
async def test_links_do_not_lead_out_of_its_folder(home: Home) -> None:
    folder = home.write(hostile(), CODE)
    secret = home.project / "secret.txt"
    secret.write_text("secret")
    (folder / "way-out").symlink_to(secret)
    assert (await home(f"hostile it reads --path '{folder}/way-out'")).error["code"] == "PLUGIN_RIGHT_MISSING"


async def test_a_granted_right_is_had_and_no_more(home: Home) -> None:
    rights = {"read": ["{cwd}/open"], "environment": ["API_KEY", "HOME"], "processes": True}
    home.write(hostile(permissions=rights), CODE)
    (home.project / "open").mkdir()
    (home.project / "open" / "a.txt").write_text("a")
    (home.project / "b.txt").write_text("b")
    line = "hostile it reads --path '{}'".format(home.project / "open" / "a.txt")
    assert (await home(line)).error["code"] == "PLUGIN_RIGHT_MISSING"
    refused = (await home("settings plugin trust --name hostile --grant network")).error
    assert refused["code"] == "VALIDATION_ERROR"
    granted = (await home("settings plugin trust --name hostile --grant read:{cwd}/open,environment:API_KEY")).data
    assert granted["change"] == "updated"
    assert (await home(line)).data == {"text": "a"}
    assert (await home(f"hostile it reads --path '{home.project}/b.txt'")).error["code"] == "PLUGIN_RIGHT_MISSING"
    names = (await home("hostile it secrets", environment={"API_KEY": "x", "OTHER": "y"})).data["names"]
    assert "API_KEY" in names
    assert "OTHER" not in names
    assert (await home("hostile it spawns")).error["code"] == "PLUGIN_RIGHT_MISSING"
    assert (await home("settings plugin trust --name hostile")).data["granted"] == [
        "processes",
        "environment:API_KEY",
        "environment:HOME",
        "read:{cwd}/open",
    ]
    assert (await home("hostile it spawns")).status == 0


class Interrupting(Kept):
    """An end whose reader interrupts the command when it has read so many lines."""

    signals: Signals
    lines: int = 3

    async def write(self, data: bytes, reached: object = None) -> None:
        self.written += data
        if self.written.count(b"\n") >= self.lines:
            self.signals.sent.put_nowait(signal.SIGINT)


@pytest.mark.parametrize("name", ["forever", "deaf"])
async def test_an_interrupt_ends_its_stream_at_once(home: Home, name: str) -> None:
    home.write(hostile(), CODE)
    stdout = Interrupting()
    stdout.signals = Signals()
    stdout.lines = 2
    done = await home(f"hostile it {name}", stdout=stdout, signals=stdout.signals)
    assert done.status == 130
    assert [event["event"] for event in done.events][-2:] == ["interrupt", "close"]
    assert done.events[-1]["payload"]["reason"] == "reader"
    await home.runtime.close()
    if name == "forever":
        assert (home.folders.data / "plugin-data" / "hostile" / "let go").exists()
    assert all(gone(child.pid, 30) for child in children())


async def test_many_at_once_wait_for_a_worker_and_all_are_answered(home: Home) -> None:
    home.write(hostile(), CODE)
    begun = time.monotonic()
    answers = await asyncio.gather(*(home("hostile it own") for _ in range(20)))
    assert all(answer.status == 0 for answer in answers), begun
    assert (await home("settings plugin view --name hostile")).data["workers"] <= 8
    assert json.loads(answers[0].stdout)["data"]["size"] >= 1
