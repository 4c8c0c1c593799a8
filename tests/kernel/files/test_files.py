"""Files over the API: browsed by pages, read whole, written whole or not at all, never outside the project."""

import asyncio
import base64
import hashlib
import os
import socket
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus.schemas.file import MOST_BYTES
from tests.kernel.answers import answer, make_project, refusal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "content"
    (root / "src").mkdir(parents=True)
    (root / "README").write_text("hello\n")
    (root / "src" / "main.py").write_text("print('hi')\n")
    (root / ".hidden").write_text("x")
    (root / "leaves").symlink_to("/etc/passwd")
    return root


@pytest.fixture
async def project(api: httpx.AsyncClient, folder: Path) -> dict[str, Any]:
    return await make_project(api, contentPath=str(folder))


class ProjectFiles:
    """The files of one project over the API."""

    def __init__(self, api: httpx.AsyncClient, project: dict[str, Any]) -> None:
        self.api = api
        self.id = project["id"]

    async def tree(self, path: str = ".", **query: str) -> httpx.Response:
        return await self.api.get("/api/files/tree", params={"projectId": self.id, "path": path, **query})

    async def read(self, path: str) -> httpx.Response:
        return await self.api.get("/api/files/content", params={"projectId": self.id, "path": path})

    async def write(self, path: str, content: str, **fields: str) -> httpx.Response:
        body = {"projectId": self.id, "path": path, "content": content, **fields}
        return await self.api.post("/api/files/content", json=body)


@pytest.fixture
def files(api: httpx.AsyncClient, project: dict[str, Any]) -> ProjectFiles:
    return ProjectFiles(api, project)


async def test_a_folder_is_listed_folders_first_without_hidden_names(files: ProjectFiles) -> None:
    tree = answer(await files.tree())
    assert [(item["name"], item["kind"]) for item in tree["items"]] == [
        ("src", "directory"),
        ("leaves", "link"),
        ("README", "file"),
    ]
    assert tree["items"][2]["size"] == 6
    assert tree["items"][2]["modifiedAt"].endswith("Z")
    assert "passwd" not in str(tree)
    hidden = answer(await files.tree(showHidden="true", filter="HID"))
    assert [item["path"] for item in hidden["items"]] == [".hidden"]
    below = answer(await files.tree("./src/"))
    assert [item["path"] for item in below["items"]] == ["src/main.py"]


@pytest.mark.parametrize("sort", ["", "name", "-name", "size", "-size", "modifiedAt", "kind"])
async def test_pages_of_a_folder_hold_every_entry_once(files: ProjectFiles, folder: Path, sort: str) -> None:
    for number in range(12):
        (folder / f"f{number}").write_text("x" * (number % 3))
    query = {"sort": sort} if sort else {}
    whole = answer(await files.tree(**query))["items"]
    paged: list[dict[str, Any]] = []
    while True:
        page = answer(await files.tree(limit="4", **query))
        paged += page["items"]
        if not page["truncated"]:
            break
        query["cursor"] = page["nextCursor"]
    assert paged == whole
    assert len(paged) == 15


async def test_a_folder_cannot_be_sorted_by_what_it_has_not(files: ProjectFiles) -> None:
    assert "size" in refusal(await files.tree(sort="owner"), 422, "VALIDATION_ERROR")["details"]["available"]
    cursor = answer(await files.tree(limit="1"))["nextCursor"]
    refusal(await files.tree(limit="1", sort="size", cursor=cursor), 422, "VALIDATION_ERROR")
    refusal(await files.tree(cursor="WyIiLDEsMV0"), 422, "VALIDATION_ERROR")


async def test_a_name_that_is_no_utf8_is_told_and_breaks_nothing(files: ProjectFiles, folder: Path) -> None:
    try:
        os.close(os.open(os.fsencode(folder) + b"/caf\xe9", os.O_CREAT | os.O_WRONLY))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert "caf\\xe9" in [item["name"] for item in answer(await files.tree())["items"]]


async def test_a_file_is_read_with_its_digest(files: ProjectFiles, folder: Path) -> None:
    found = answer(await files.read("src/main.py"))
    assert (found["content"], found["encoding"], found["size"]) == ("print('hi')\n", "utf-8", 12)
    assert found["sha256"] == hashlib.sha256(b"print('hi')\n").hexdigest()
    (folder / "binary").write_bytes(b"\xff\x00\xfe")
    found = answer(await files.read("binary"))
    assert (found["encoding"], base64.b64decode(found["content"])) == ("base64", b"\xff\x00\xfe")


@pytest.mark.parametrize(
    "path", ["../content/README", "/etc/passwd", "src/../README", "leaves", "a\0b", "..", "src/../../x", "~/../x"]
)
async def test_a_path_that_leaves_is_refused(files: ProjectFiles, path: str) -> None:
    for response in (await files.read(path), await files.tree(path), await files.write(path, "x")):
        error = refusal(response, 422, "PATH_OUTSIDE_ROOT")
        assert error["details"]["path"] == path


async def test_a_write_through_a_folder_link_that_leaves_is_refused(
    files: ProjectFiles, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder / "out").symlink_to("../outside")
    for path in ("out/x", "out/deep/er/x"):
        refusal(await files.write(path, "x"), 422, "PATH_OUTSIDE_ROOT")
    assert list(outside.iterdir()) == []


async def test_what_is_no_regular_file_is_refused_at_once(files: ProjectFiles, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(folder / "socket"))
        for path in ("pipe", "socket", "src"):
            async with asyncio.timeout(5):
                refusal(await files.read(path), 422, "VALIDATION_ERROR")
                refusal(await files.write(path, "x"), 422, "VALIDATION_ERROR")
    assert stat.S_ISFIFO((folder / "pipe").stat().st_mode)
    refusal(await files.tree("README"), 422, "VALIDATION_ERROR")


async def test_what_is_not_there_is_told(files: ProjectFiles, folder: Path, api: httpx.AsyncClient) -> None:
    for response in (await files.read("none"), await files.read("none/x"), await files.tree("none")):
        assert refusal(response, 404, "RESOURCE_NOT_FOUND")["details"]["resource"] == "file"
    none = await api.get("/api/files/content", params={"projectId": "prj_none", "path": "x"})
    assert refusal(none, 404, "RESOURCE_NOT_FOUND")["details"]["resource"] == "project"
    folder.rename(folder.with_name("moved"))
    assert refusal(await files.read("README"), 404, "RESOURCE_NOT_FOUND")["details"]["resource"] == "folder"


async def test_a_file_over_the_bound_is_refused(files: ProjectFiles, folder: Path) -> None:
    with (folder / "big").open("wb") as big:
        big.truncate(MOST_BYTES + 1)
    refusal(await files.read("big"), 422, "VALIDATION_ERROR")
    refusal(await files.write("new", "x" * (MOST_BYTES + 1)), 422, "VALIDATION_ERROR")
    assert not (folder / "new").exists()


async def test_a_write_creates_updates_and_leaves_what_is_the_same(files: ProjectFiles, folder: Path) -> None:
    made = answer(await files.write("new/deep/file.txt", "Größe\n"))
    assert made == {
        "path": "new/deep/file.txt",
        "size": 8,
        "sha256": hashlib.sha256("Größe\n".encode()).hexdigest(),
        "change": "created",
    }
    before = (folder / "new/deep/file.txt").stat()
    assert answer(await files.write("new/deep/file.txt", "Größe\n"))["change"] == "unchanged"
    assert (folder / "new/deep/file.txt").stat().st_ino == before.st_ino
    assert answer(await files.write("new/deep/file.txt", "Zg==", encoding="base64"))["change"] == "updated"
    assert (folder / "new/deep/file.txt").read_bytes() == b"f"
    assert [path.name for path in (folder / "new/deep").iterdir()] == ["file.txt"]
    refusal(await files.write("x", "no base64!", encoding="base64"), 422, "VALIDATION_ERROR")


async def test_a_write_keeps_an_old_files_mode_and_takes_its_folders_for_a_new_one(
    files: ProjectFiles, folder: Path
) -> None:
    (folder / "run.sh").write_text("old")
    (folder / "run.sh").chmod(0o751)
    folder.chmod(0o755)
    await files.write("run.sh", "new")
    await files.write("made/plain", "new")
    assert stat.S_IMODE((folder / "run.sh").stat().st_mode) == 0o751
    assert stat.S_IMODE((folder / "made").stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "made/plain").stat().st_mode) == 0o644


async def test_a_write_follows_a_link_that_stays_inside(files: ProjectFiles, folder: Path) -> None:
    (folder / "link").symlink_to("src/../src/main.py")
    (folder / "dangling").symlink_to("src/made.py")
    answer(await files.write("link", "changed"))
    answer(await files.write("dangling", "made"))
    assert (folder / "link").is_symlink()
    assert (folder / "src/main.py").read_text() == "changed"
    assert (folder / "src/made.py").read_text() == "made"


async def test_a_write_that_expects_other_content_changes_nothing(files: ProjectFiles, folder: Path) -> None:
    was = answer(await files.read("README"))["sha256"]
    answer(await files.write("README", "mine", expectedSha256=was))
    error = refusal(await files.write("README", "theirs", expectedSha256=was), 409, "RESOURCE_CONFLICT")
    assert error["details"]["expected"] == was
    assert (folder / "README").read_text() == "mine"
    refusal(await files.write("none", "x", expectedSha256=was), 404, "RESOURCE_NOT_FOUND")


async def test_of_many_writes_that_expect_the_same_one_wins(files: ProjectFiles) -> None:
    was = answer(await files.read("README"))["sha256"]
    answers = await asyncio.gather(*(files.write("README", f"writer {n}", expectedSha256=was) for n in range(20)))
    assert sorted(each.status_code for each in answers) == [200] + [409] * 19


async def test_a_reader_sees_a_file_as_it_was_or_as_it_is(files: ProjectFiles) -> None:
    contents = ["a" * 200_000, "b" * 100_000]
    await files.write("whole", contents[0])

    async def write() -> None:
        for number in range(20):
            await files.write("whole", contents[number % 2])

    async def read() -> None:
        for _ in range(40):
            assert answer(await files.read("whole"))["content"] in contents

    await asyncio.gather(write(), read(), read())
