"""The walls of steps: one suite over each kind that this machine has. What is attacked is a real kernel's."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nexus.kernel.kernel import Kernel
from nexus.kernel.keys import FILE_NAME, Keys
from nexus.kernel.pipelines.walls import Sandbox, Walls
from nexus.kernel.settings import SandboxKind, StepSettings
from nexus.resident.local import CONFINEMENT
from nexus.schemas.errors import ResourceUnavailable

COMMAND = (sys.executable, "-I", "-S", "-B", str(CONFINEMENT))
ATTACKER = Path(__file__).parent / "attacker.py"
KINDS: tuple[SandboxKind, ...] = ("bubblewrap", "landlock")
BY_NETWORK = "reach the network"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are made by Linux")


class Scene:
    """A kernel's folder with a step's own in it, and what the step must not reach."""

    def __init__(self, sandbox: Sandbox, data_folder: Path, home: Path) -> None:
        self.sandbox = sandbox
        self.data_folder = data_folder
        self.home = home
        run = data_folder / "pipelines" / "runs" / "r"
        self.work, self.tmp, self.inputs = run / "work", run / "tmp", run / "inputs"
        for folder in (self.work, self.tmp, self.inputs, run.parent / "other"):
            folder.mkdir(parents=True)
        self.given = self.inputs / "given"
        self.given.write_text("given")
        self.other = run.parent / "other" / "left"
        self.other.write_text("left")
        self.spec = run / "walls.json"

    def command(
        self,
        kind: SandboxKind,
        *argv: str,
        network: bool = False,
        memory_mib: int | None = None,
        read: tuple[Path, ...] = (),
    ) -> tuple[str, ...]:
        walls = Walls(argv, self.work, (self.inputs, *read), (self.work,), network, memory_mib, self.tmp)
        return self.sandbox.command(walls, kind, self.spec)

    def run(self, kind: SandboxKind, *argv: str, **walls: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(kind, *argv, **walls),
            env={"PATH": self.sandbox.path, "HOME": str(self.work), "TMPDIR": str(self.tmp)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


@pytest.fixture
async def scene(data_folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Scene:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "key").write_text("key")
    (home / "config").mkdir()
    (home / "config" / "config.toml").write_text("")
    data_folder.mkdir(exist_ok=True)
    sandbox = Sandbox(StepSettings(confinement=COMMAND, hidden=(home / "config", home / ".ssh")), data_folder)
    kind = request.node.callspec.params.get("kind") if hasattr(request.node, "callspec") else None
    able = await sandbox.able()
    if kind in KINDS and kind not in able.works:
        pytest.skip(f"{kind}: {able.reasons[kind]}")
    return Scene(sandbox, data_folder, home)


@pytest.fixture
def attacked(scene: Scene, kernel: Kernel, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What an attacker is told of: files of a kernel that is open, sockets that listen, a process."""
    Keys(scene.data_folder).key("test")  # the secret is made when it is first wanted
    with ExitStack() as stack:
        stream, abstract, datagrams = (
            stack.enter_context(socket.socket(socket.AF_UNIX, kind))
            for kind in (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM)
        )
        # Paths of sockets are short: these lie beside what pytest made.
        folder = scene.data_folder / "s"
        folder.mkdir()
        here = os.open(folder, os.O_PATH)
        stack.callback(os.close, here)
        stream.bind(f"/proc/self/fd/{here}/stream")
        datagrams.bind(f"/proc/self/fd/{here}/datagrams")
        abstract.bind(f"\0nexus-test-{os.getpid()}-{id(scene)}")
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for listening in (stream, abstract):
            listening.listen(16)
        victim = subprocess.Popen(["sleep", "600"], cwd=scene.home, start_new_session=True)
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        yield {
            "secret": str(scene.data_folder / FILE_NAME),
            "database": str(scene.data_folder / "nexus.db"),
            "configuration": str(scene.home / "config" / "config.toml"),
            "key": str(scene.home / ".ssh" / "key"),
            "other": str(scene.other),
            "folder": str(scene.data_folder),
            "home": str(scene.home),
            "given": str(scene.given),
            "outside": str(tmp_path / "outside"),
            "socket": str(folder / "stream"),
            "datagrams": str(folder / "datagrams"),
            "abstract": abstract.getsockname().decode(),
            "port": tcp.getsockname()[1],
            "victim": victim.pid,
        }


def attack(
    scene: Scene, attacked: dict[str, Any], kind: SandboxKind, *words: str, network: bool
) -> dict[str, str | None]:
    (scene.work / "attacker.py").write_bytes(ATTACKER.read_bytes())
    (scene.work / "attacked.json").write_text(json.dumps(attacked))
    done = scene.run(kind, "python3", "attacker.py", "attacked.json", *words, network=network)
    assert done.returncode == 0, done.stderr
    told: dict[str, str | None] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network", [False, True])
def test_nothing_outside_is_reached(scene: Scene, attacked: dict[str, Any], kind: SandboxKind, network: bool) -> None:
    before = Path(attacked["database"]).read_bytes()
    told = attack(scene, attacked, kind, network=network)
    got_out = {name for name, failure in told.items() if failure is None}
    # What bubblewrap lets be written there is a folder of the same name that is gone with the step.
    into_nothing = {"write the kernel's database", "write outside"} if kind == "bubblewrap" else set()
    assert got_out - into_nothing == ({BY_NETWORK} if network else set())
    assert Path(attacked["database"]).read_bytes() == before
    assert not Path(attacked["outside"]).exists()
    assert told["clone in the new way"] == "ENOSYS"  # so that C libraries go back to what can be looked at
    assert scene.given.read_text() == "given"
    assert not (scene.home / "left-behind").exists()


def test_each_attack_works_where_no_walls_are(scene: Scene, attacked: dict[str, Any]) -> None:
    # Those that would change the machine are left out.
    words = ("read ", "list ", "reach ", "see ", "signal ", "write outside", "write by", "open ", "change the times")
    told = attack(scene, attacked, "none", *words, network=False)
    assert len(told) > 25
    # Not every kernel has these, and only root reads passwords.
    not_everywhere = {
        "read another's memory",
        "read passwords",
        "reach the machine's host",
        "reach the machine's ciphers",
    }
    assert {name for name in told if told[name] is not None} <= not_everywhere, told


async def test_the_best_that_works_is_taken_and_what_was_set_where_it_works(data_folder: Path) -> None:
    free = Sandbox(StepSettings(confinement=COMMAND), data_folder)
    able = await free.able()
    if not able.works:
        pytest.skip(f"no sandbox works here: {able.reasons}")
    assert await free.kind() == able.works[0]
    for kind in (*able.works, "none"):
        assert await Sandbox(StepSettings(sandbox=kind, confinement=COMMAND), data_folder).kind() == kind


async def test_where_no_sandbox_works_it_is_said_why_and_what_to_do(data_folder: Path) -> None:
    said = {kind: {"works": False, "reason": f"{kind} is not installed"} for kind in KINDS} | {"env": None}
    without = (sys.executable, "-c", f"print({json.dumps(json.dumps(said))})")
    broken = (sys.executable, "-c", "raise SystemExit('the disk is full')")
    for command, wanted, hint in (
        (without, None, "sudo apt-get install bubblewrap"),
        (without, "landlock", "sudo apt-get install bubblewrap"),
        (broken, None, "nexus settings config set --key pipelines.sandbox --value none"),
        (("/nowhere",), None, "nexus settings config set --key pipelines.sandbox --value none"),
    ):
        sandbox = Sandbox(StepSettings(sandbox=wanted, confinement=command), data_folder)
        with pytest.raises(ResourceUnavailable) as failed:
            await sandbox.kind()
        assert failed.value.entry().details["hint"] == hint
        assert command is not broken or "the disk is full" in str(failed.value)
    with pytest.raises(ResourceUnavailable):
        await Sandbox(StepSettings(), data_folder).kind()


async def test_the_state_of_the_sandbox_is_told(data_folder: Path) -> None:
    without = await Sandbox(StepSettings(sandbox="none", confinement=COMMAND), data_folder).status()
    assert (without.kind, without.chosen) == ("none", True)
    assert without.hint == "nexus settings config unset --key pipelines.sandbox"
    nowhere = await Sandbox(StepSettings(confinement=("/nowhere",)), data_folder).status()
    assert (nowhere.kind, nowhere.chosen, [*nowhere.missing]) == (None, False, ["probe"])
    said = {
        "bubblewrap": {"works": False, "reason": "bubblewrap is not installed"},
        "landlock": {"works": True, "reason": None},
        "env": None,
    }
    words = (sys.executable, "-c", f"print({json.dumps(json.dumps(said))})")
    second_best = await Sandbox(StepSettings(confinement=words), data_folder).status()
    assert (second_best.kind, second_best.hint) == ("landlock", "sudo apt-get install bubblewrap")
    chosen = await Sandbox(StepSettings(sandbox="landlock", confinement=words), data_folder).status()
    assert (chosen.kind, chosen.hint) == ("landlock", None)


def test_what_a_step_may_is_written_for_its_owner_alone_and_anew(scene: Scene) -> None:
    scene.spec.symlink_to(scene.other)
    for word in ("one", "two"):
        command = scene.command("none", "echo", word)
        assert command == (*COMMAND, str(scene.spec))
        assert json.loads(scene.spec.read_text())["argv"] == ["echo", word]
    assert scene.spec.stat().st_mode & 0o777 == 0o600
    assert scene.other.read_text() == "left"
    assert list(scene.spec.parent.glob(".*")) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_finds_the_python_that_the_kernel_runs_on(scene: Scene, kind: SandboxKind) -> None:
    prefix = Path(sys.base_prefix).resolve()
    own, path = str(prefix / "bin"), scene.sandbox.path.split(":")
    assert own in path
    assert own == path[-1] or own.startswith("/usr/")  # the machine's own programs come first
    done = scene.run(kind, str(prefix / "bin" / "python3"), "-c", "import json, ssl; print('runs')")
    assert (done.returncode, done.stdout) == (0, "runs\n"), done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_settings_let_every_step_read_is_read_and_what_is_gone_is_left_out(
    scene: Scene, kind: SandboxKind
) -> None:
    tools = scene.home / "tools"
    tools.mkdir()
    (tools / "tool").write_text("#!/bin/sh\necho tool\n")
    (tools / "tool").chmod(0o755)
    settings = StepSettings(confinement=COMMAND, read=(tools, scene.home / "gone"))
    scene.sandbox = Sandbox(settings, scene.data_folder)
    assert scene.run(kind, str(tools / "tool")).stdout == "tool\n"
    assert scene.run(kind, "touch", str(tools / "new")).returncode == 1
    assert not (tools / "new").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_looked_up_where_the_network_is_reached(scene: Scene, kind: SandboxKind) -> None:
    looks_up = "import socket; print(socket.getaddrinfo('localhost', 80)[0][4][1])"
    assert scene.run(kind, "python3", "-c", looks_up, network=True).stdout == "80\n"
