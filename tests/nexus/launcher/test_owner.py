"""One kernel owns a data folder, and whoever else comes speaks to it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import InvalidStatus


def status(home: Any, **options: Any) -> dict[str, Any]:
    answered = home.run("debug", "kernel", "status", **options)
    assert answered.status == 0, answered
    assert not answered.stderr, answered
    data: dict[str, Any] = answered.envelope["data"]
    return data


def test_a_command_alone_speaks_to_the_resident_that_owns_the_data(home: Any) -> None:
    assert home.run("agent", "project", "create", "--name", "one").status == 0
    alone = status(home, env=home.env(NEXUS_RESIDENT="0"))
    assert (alone["mode"], alone["pid"]) == ("resident", home.pid())
    listed = home.run("agent", "project", "list", env=home.env(NEXUS_RESIDENT="0"))
    assert [item["name"] for item in listed.envelope["data"]["items"]] == ["one"]


def test_a_command_alone_owns_the_data_when_nobody_else_does(home: Any) -> None:
    alone = status(home, env=home.env(NEXUS_RESIDENT="0"))
    assert alone["mode"] == "one-shot"
    assert home.locks() == []
    assert not list((home.path / "run").iterdir())


def test_commands_alone_at_the_same_time_all_succeed(home: Any) -> None:
    environment = home.env(NEXUS_RESIDENT="0")

    def create(number: int) -> int:
        answered = home.run("agent", "project", "create", "--name", f"p{number}", env=environment)
        assert answered.status == 0, answered
        return int(answered.status)

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(create, range(18))) == {0}
    listed = home.run("agent", "project", "list", "--limit", "50", env=environment).envelope["data"]["items"]
    assert {item["name"] for item in listed} == {f"p{number}" for number in range(18)}


def test_a_resident_takes_over_from_a_command_alone(home: Any) -> None:
    environment = home.env(NEXUS_RESIDENT="0")
    with ThreadPoolExecutor(6) as pool:
        asked = [
            pool.submit(
                home.run,
                *("agent", "project", "create", "--name", f"p{number}"),
                env=environment if number % 2 else home.env(),
            )
            for number in range(12)
        ]
        for each in asked:
            answered = each.result()
            assert answered.status == 0, answered
    assert len(home.run("agent", "project", "list", "--limit", "50").envelope["data"]["items"]) == 12
    assert status(home)["mode"] == "resident"


def test_http_and_the_launcher_share_one_socket(home: Any) -> None:
    home.run("agent", "project", "create", "--name", "one")
    transport = httpx.HTTPTransport(uds=str(home.path / "run" / "nexus.sock"))
    with httpx.Client(transport=transport, base_url="http://kernel.local", timeout=30) as client:
        assert client.get("/health").json()["status"] == "ok"
        assert [item["name"] for item in client.get("/api/projects").json()["items"]] == ["one"]
    assert home.run("version").status == 0


async def test_web_sockets_reach_the_kernel_too(home: Any) -> None:
    home.run("agent", "project", "list")
    path = str(home.path / "run" / "nexus.sock")
    async with asyncio.timeout(30):
        async with unix_connect(path, "ws://kernel.local/kernel"):
            pass
        with pytest.raises(InvalidStatus):
            async with unix_connect(path, "ws://kernel.local/nowhere"):
                pass


def test_stop_answers_and_then_ends(home: Any) -> None:
    home.run("version")
    pid = home.pid()
    answered = home.run("debug", "kernel", "stop")
    assert (answered.status, answered.envelope["data"]["pid"]) == (0, pid)
    assert home.gone(pid)
    assert home.run("agent", "project", "list").status == 0
    assert home.pid() != pid


def test_restart_answers_and_a_fresh_process_takes_the_place(home: Any) -> None:
    before = status(home)
    assert home.run("debug", "kernel", "restart").status == 0
    after = status(home)
    assert after["startedAt"] > before["startedAt"]
    assert after["mode"] == "resident"


def test_stopping_while_commands_come_loses_none(home: Any) -> None:
    def ask(number: int) -> int:
        words = ("debug", "kernel", "stop" if number % 8 == 0 else "status")
        answered = home.run(*words)
        assert answered.status == 0, answered
        return int(answered.status)

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(ask, range(48))) == {0}


def test_a_killed_resident_leaves_the_data_to_the_next(home: Any) -> None:
    assert home.run("agent", "project", "create", "--name", "kept").status == 0
    home.kill()
    listed = home.run("agent", "project", "list").envelope["data"]["items"]
    assert [item["name"] for item in listed] == ["kept"]


def test_a_write_that_a_stopped_resident_never_read_is_done_once_by_the_next(home: Any) -> None:
    home.run("version")
    os.kill(home.pid(), signal.SIGSTOP)
    writing = home.start("agent", "project", "create", "--name", "once")
    path = str(home.path / "run" / "nexus.sock")
    with socket.socket(socket.AF_UNIX) as probe:
        # Connections are taken in their order: when ours is queued, the launcher's hello is too or soon will be.
        probe.connect(path)
        home.kill()
    stdout, _ = writing.communicate(timeout=30)
    assert (writing.returncode, json.loads(stdout)["status"]) == (0, "ok")
    assert len(home.run("agent", "project", "list").envelope["data"]["items"]) == 1


@pytest.mark.parametrize("words", [("version",), ("agent", "project", "list"), ("agent",), ("nonsense",), ("--help",)])
def test_as_a_module_it_answers_the_same(home: Any, words: tuple[str, ...]) -> None:
    python = home.script.with_name("python3")
    done = subprocess.run(
        [python, "-m", "nexus", *words], check=False, env=home.env(), capture_output=True, timeout=60, cwd="/"
    )
    assert done.returncode == home.run(*words).status
    own = {"requestId": None, "timestamp": None}
    assert json.loads(done.stdout) | own == home.run(*words).envelope | own


def test_a_command_alone_leaves_nothing_open_to_others_whatever_the_umask(home: Any) -> None:
    made = home.shell('umask 000; NEXUS_RESIDENT=0 "$NEXUS" agent project create --name x --select')
    assert made.status == 0
    below = [path for path in home.path.rglob("*") if not path.is_symlink()]
    assert below
    assert [path for path in below if path.stat().st_mode & 0o077] == []
