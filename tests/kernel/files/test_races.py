"""A folder that is swapped for a link while its files are asked for: nothing outside is read, listed or written."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus.handlers.data.pull import Partial
from nexus.plugins.exchange import exchange
from nexus.schemas.errors import NexusError
from tests.kernel.answers import make_project

ROOT = Path(__file__).parents[3]
ROUNDS = 150
SWAPPING = """
import sys, threading
from pathlib import Path
from nexus.plugins.exchange import exchange

folder, link = map(Path, sys.argv[1:])
print(flush=True)
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set())).start()
while not stop.is_set():
    exchange(folder, link)
"""


@contextmanager
def swapping(folder: Path, link: Path) -> Iterator[None]:
    """Have another process swap the two, again and again: each has the other's name at every other moment."""
    command = [sys.executable, "-c", SWAPPING, str(folder), str(link)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as racing:
        assert racing.stdout is not None
        racing.stdout.readline()
        try:
            yield
        finally:
            racing.communicate(timeout=60)
        assert racing.returncode == 0


@pytest.fixture
def swap(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    try:
        exchange(one, other)
    except OSError:
        pytest.skip("this system swaps no two names at once")
    one.rmdir()
    other.rmdir()


async def test_no_file_outside_of_a_project_is_read_listed_or_written(
    api: httpx.AsyncClient, tmp_path: Path, swap: None
) -> None:
    project = await make_project(api)
    top, outside = Path(project["contentPath"]), tmp_path / "outside"
    inside = top / "folder"
    for place in (inside, outside):
        place.mkdir()
        (place / "file").write_text(place.name)
    (outside / "secret").write_text("outside")
    (top / "link").symlink_to(outside)
    seen: Counter[str] = Counter()

    async def ask(method: str, at: str, **fields: Any) -> None:
        given = {"projectId": project["id"], **fields}
        sent = {"params": given} if method == "GET" else {"json": given}
        told = await api.request(method, at, **sent)  # type: ignore[arg-type]
        assert told.status_code in (200, 403, 404, 409, 422), told.text
        assert "outside" not in json.dumps(told.json().get("content", "")), told.text
        assert "secret" not in [item["name"] for item in told.json().get("items", ())], told.text
        seen[f"{method} {at} {told.status_code == 200}"] += 1

    with swapping(inside, top / "link"):
        for number in range(ROUNDS):
            await ask("GET", "/api/files/content", path="folder/file")
            await ask("GET", "/api/files/tree", path="folder")
            await ask("POST", "/api/files/content", path=f"folder/new-{number % 7}", content="new")
            await ask("POST", "/api/files/content", path=f"folder/deep-{number % 7}/er/new", content=str(number))
            await ask("POST", "/api/files/content", path="folder/file", content="folder")
    # It was met both as it is and swapped, by each.
    assert len(seen) == 6, seen
    assert sorted(path.name for path in outside.iterdir()) == ["file", "secret"]
    assert [(outside / name).read_text() for name in ("file", "secret")] == ["outside", "outside"]


def test_a_file_is_pulled_into_no_file_that_somebody_else_laid_ready(tmp_path: Path) -> None:
    """In a folder of many the name of the file that collects bytes can be foretold."""
    mine, target = tmp_path / "mine", tmp_path / "target"
    mine.write_text("mine")
    place = Partial(tmp_path / "other", "0" * 64)
    place.close()
    part = place.path.with_name(place.path.name.replace("other", "target"))
    part.symlink_to(mine)
    with pytest.raises(NexusError):
        Partial(target, "0" * 64)
    part.unlink()
    for lay in (lambda: part.hardlink_to(mine), lambda: os.mkfifo(part)):
        lay()
        partial = Partial(target, "0" * 64)
        partial.append([b"bytes"])
        partial.close()
        assert part.stat().st_ino != mine.stat().st_ino
        assert part.read_bytes() == b"bytes"
        part.unlink()
    assert mine.read_text() == "mine"
