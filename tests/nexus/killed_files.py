"""Writes files in children that are killed before each of their calls of the system in turn.

Run as `python -m tests.nexus.killed_files FOLDER`; prints by each write how it was found behind each kill: true where
it was whole, false where it had not begun. It ends with an error where it was anything else.
"""

import asyncio
import gc
import hashlib
import json
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from nexus.config.configuration import TomlConfiguration
from nexus.context.store import ContextFiles
from nexus.credentials.kept import Credentials
from nexus.credentials.store import CredentialStore
from nexus.handlers.builtins import clients, skill
from nexus.handlers.data.pull import Partial
from nexus.handlers.written import write_whole
from nexus.kernel.data.local import LocalBlobs
from nexus.kernel.data.store import Draft
from nexus.kernel.files.root import Root
from nexus.kernel.files.write import write
from nexus.kernel.keys import Keys
from nexus.mcp.serve import token_in
from nexus.plugins import records
from nexus.plugins.install import copied_in
from nexus.schemas.context import ContextUpdate, Selection

CALLS = frozenset(
    {
        *("open", "write", "pwrite", "fsync", "flush", "close", "fchmod", "mkdir", "rename", "replace", "link"),
        *("unlink", "rmdir", "flock", "ftruncate", "copyfile", "sendfile", "copy_file_range", "utime", "renameat2"),
    }
)
OLD, NEW = b"old " * 5000, b"new " * 7000


class Write(NamedTuple):
    """One write: what is there before it, the write, and what is there, as one can compare it."""

    prepare: Callable[[Path], object]
    act: Callable[[Path], object]
    state: Callable[[Path], Any]


def content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def configuration(folder: Path) -> TomlConfiguration:
    return TomlConfiguration(folder / "config" / "config.toml", {})


def context(folder: Path, name: str) -> object:
    update = ContextUpdate(select={"project": Selection(id=name, name=name * 1000)})
    return asyncio.run(ContextFiles(folder / "contexts").apply(update))


def credentials(folder: Path) -> CredentialStore:
    return CredentialStore(folder / "credentials", {})


def keep(folder: Path, token: str) -> object:
    kept = Credentials(server="https://nexus.example.com", user="anna", access_token=token, refresh_token=token * 100)
    return asyncio.run(credentials(folder).keep("team", kept, "file"))


def project_file(folder: Path, data: bytes) -> object:
    (folder / "root").mkdir(exist_ok=True)
    with Root(folder / "root") as root:
        return write(root, "a/b/file", data, 1 << 20)


def plugin(folder: Path, version: str) -> None:
    source = folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    (source / "below").mkdir(parents=True)
    action = f"{{summary: Go., call: 'p{version}:go', examples: [{{line: nexus swapped it go, shows: it}}]}}"
    (source / "plugin.yml").write_text(
        f"name: swapped\nversion: {version}.0.0\nkind: io\nsummary: Swapped.\n"
        f"namespaces: {{swapped: {{resources: {{it: {{actions: {{go: {action}}}}}}}}}}}\n"
    )
    (source / "below" / "text").write_text(version * 1000)
    copied_in(source, folder / "plugins", replace=True)


def installed(folder: Path) -> dict[str, bytes] | None:
    top = folder / "plugins" / "swapped"
    if not top.exists():
        return None
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def decide(folder: Path, digest: str) -> object:
    return asyncio.run(records.decide(folder / "plugins.json", "key", trusted=digest))


def pull(folder: Path) -> None:
    digest = hashlib.sha256(NEW).hexdigest()
    partial = Partial(folder / "pulled", digest)

    class Idle:
        stop = threading.Event()

        class meter:  # noqa: N801 -- stands where an attribute does
            move = staticmethod(lambda *_: None)

    partial.take_up(len(NEW), Idle)  # type: ignore[arg-type]
    for at in range(partial.position, len(NEW), 7000):
        partial.append([NEW[at : at + 7000]])
    assert partial.digest.hexdigest() == digest
    partial.settle(0o077, overwrite=True)
    partial.close()


UPLOAD = "upl_" + "0" * 31 + "1"


def push(folder: Path) -> None:
    async def pushed() -> None:
        blobs = LocalBlobs(folder / "blobs", b"k" * 32)
        draft = Draft(UPLOAD, len(NEW), 8192, UPLOAD)
        file = blobs.file(draft)
        for number in file.missing():
            span = draft.parts.span(number)
            writer = await file.writer(number)
            assert writer is not None
            await writer.write([NEW[span.first : span.end]])
            await writer.done()
        await blobs.finish(draft, hashlib.sha256(NEW).hexdigest())

    if not blobs_of(folder):
        asyncio.run(pushed())


def blobs_of(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in (folder / "blobs" / "sha256").glob("*/*")]


def secret(folder: Path) -> bool:
    return (folder / "secret.key").exists() and len(Keys(folder).key("x")) == 32


def token(folder: Path) -> bool:
    return (folder / "state" / "mcp-token").exists() and len(token_in(folder / "state" / "mcp-token")) > 40


def nothing(_folder: Path) -> None:
    """Leave the folder empty."""


WRITES = {
    "configuration": Write(
        lambda folder: configuration(folder).set("output.format", "yaml"),
        lambda folder: configuration(folder).set("output.format", "table"),
        lambda folder: configuration(folder).value("output.format"),
    ),
    "context": Write(
        lambda folder: context(folder, "a"),
        lambda folder: context(folder, "b"),
        lambda folder: ContextFiles(folder / "contexts").load().model_dump_json(),
    ),
    "credentials": Write(
        lambda folder: keep(folder, "a"),
        lambda folder: keep(folder, "b"),
        lambda folder: asyncio.run(credentials(folder).load("team", "file")),
    ),
    "a file of the caller's": Write(
        lambda folder: (folder / "file").write_bytes(OLD),
        lambda folder: write_whole(folder / "file", NEW, umask=0o077, overwrite=True),
        lambda folder: content(folder / "file"),
    ),
    "a new file of the caller's": Write(
        nothing,
        lambda folder: write_whole(folder / "file", NEW, umask=0o077, overwrite=not nothing(folder)),
        lambda folder: content(folder / "file"),
    ),
    "a file of a project": Write(
        lambda folder: project_file(folder, OLD),
        lambda folder: project_file(folder, NEW),
        lambda folder: content(folder / "root" / "a" / "b" / "file"),
    ),
    "the secret": Write(nothing, lambda folder: Keys(folder).key("x"), secret),
    "the token of MCP": Write(nothing, lambda folder: token_in(folder / "state" / "mcp-token"), token),
    "a new plugin": Write(nothing, lambda folder: plugin(folder, "2"), installed),
    "another plugin": Write(lambda folder: plugin(folder, "1"), lambda folder: plugin(folder, "2"), installed),
    "what is decided of plugins": Write(
        lambda folder: decide(folder, "a" * 64),
        lambda folder: decide(folder, "b" * 64),
        lambda folder: records.Records.read(folder / "plugins.json").of("key"),
    ),
    "the settings of a client": Write(
        lambda folder: (folder / "client.json").write_bytes(OLD),
        lambda folder: clients._write(folder / "client.json", NEW.decode()),
        lambda folder: content(folder / "client.json"),
    ),
    "a skill": Write(
        lambda folder: (folder / "AGENTS.md").write_bytes(OLD),
        lambda folder: skill._put(folder / "AGENTS.md", NEW.decode()),
        lambda folder: content(folder / "AGENTS.md"),
    ),
    "a file that is pulled": Write(nothing, pull, lambda folder: content(folder / "pulled")),
    "a file that is pushed": Write(nothing, push, blobs_of),
}


def run(write: Write, folder: Path, kill_at: int) -> bool:
    """Write in a child that is killed before its nth call; return whether it was."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, folder
        return os.WIFSIGNALED(status)
    left = kill_at

    def on_call(_frame: object, event: str, called: Any) -> None:
        nonlocal left
        if event == "c_call" and getattr(called, "__name__", None) in CALLS:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(on_call)
    sys.setprofile(on_call)
    try:
        write.act(folder)
    except Exception:  # noqa: BLE001 -- the child's last word
        sys.setprofile(None)
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def killed(name: str, write: Write, folder: Path) -> list[bool]:
    """Kill the write at each call, and return how it was found."""
    whole = folder / "whole"
    whole.mkdir(parents=True)
    write.prepare(whole)
    before = write.state(whole)
    assert not run(write, whole, 0)
    after = write.state(whole)
    assert before != after, name
    found = []
    # A long write has many calls that are alike: of those behind the first each second one will do.
    for kill_at in (*range(1, 12), *range(12, 1000, 2)):
        place = folder / str(kill_at)
        place.mkdir()
        write.prepare(place)
        was_killed = run(write, place, kill_at)
        state = write.state(place)
        assert state in (before, after), (name, kill_at, state)
        found.append(state == after)
        if kill_at % 3 == 0 or not was_killed:
            assert not run(write, place, 0), (name, kill_at, "the next one goes on")
            assert write.state(place) == after, (name, kill_at, "the next one ends it")
        shutil.rmtree(place)
        if not was_killed:
            return found
    raise AssertionError(name)


if __name__ == "__main__":
    top = Path(sys.argv[1])
    # What is killed finds the system as it was; only a power cut asks for the disk, which is slow.
    os.fsync = lambda _descriptor: None
    gc.freeze()
    print(json.dumps({name: killed(name, write, top / str(at)) for at, (name, write) in enumerate(WRITES.items())}))
