"""Files of a project by command: browsed, read, written, compared, opened, and never outside of it."""

from __future__ import annotations

import base64
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


@pytest.fixture
def folder(nexus: Nexus) -> Path:
    folder = nexus.cwd / "content"
    folder.mkdir()
    return folder


@pytest.fixture
async def site(nexus: Nexus, folder: Path) -> Nexus:
    """The project `site` over a folder of our own, selected."""
    await nexus.all("agent project create --name site --content-path content --select")
    return nexus


async def test_what_was_written_is_read_and_browsed(site: Nexus, folder: Path) -> None:
    written = (await site("agent file write --path docs/a.md --content 'Hello π'")).data
    assert written["change"] == "created"
    assert (folder / "docs/a.md").read_text() == "Hello π"
    read = (await site("agent file read --path docs/a.md")).data
    assert (read["content"], read["encoding"], read["sha256"]) == ("Hello π", "utf-8", written["sha256"])
    (folder / ".hidden").touch()
    (folder / "z.txt").touch()
    top = (await site("agent file browse")).data
    assert [(entry["name"], entry["kind"]) for entry in top["items"]] == [("docs", "directory"), ("z.txt", "file")]
    below = (await site("agent file browse --path docs")).data
    assert [entry["path"] for entry in below["items"]] == ["docs/a.md"]
    shown = (await site("agent file browse --show-hidden")).data
    assert ".hidden" in [entry["name"] for entry in shown["items"]]


async def test_a_folder_is_browsed_page_by_page(site: Nexus, folder: Path) -> None:
    for name in ("a", "b", "c"):
        (folder / name).touch()
    first = (await site("agent file browse --limit 2")).data
    assert ([entry["name"] for entry in first["items"]], first["truncated"]) == (["a", "b"], True)
    rest = (await site(f"agent file browse --limit 2 --cursor {first['nextCursor']}")).data
    assert ([entry["name"] for entry in rest["items"]], rest["truncated"]) == (["c"], False)
    found = (await site("agent file browse --filter B")).data
    assert [entry["name"] for entry in found["items"]] == ["b"]


async def test_bytes_survive_standard_input_and_reading(site: Nexus, folder: Path) -> None:
    data = bytes(range(256))
    await site("agent file write --path raw.bin --content -", stdin=data)
    assert (folder / "raw.bin").read_bytes() == data
    read = (await site("agent file read --path raw.bin")).data
    assert (read["encoding"], base64.b64decode(read["content"])) == ("base64", data)
    encoded = base64.b64encode(data).decode()
    again = (await site(f"agent file write --path raw.bin --content {encoded} --encoding base64")).data
    assert again["change"] == "unchanged"


async def test_an_empty_file_can_be_written(site: Nexus, folder: Path) -> None:
    assert (await site("agent file write --path empty --content ''")).data["size"] == 0
    assert (await site("agent file write --path empty --content -", stdin=b"")).data["change"] == "unchanged"
    assert (folder / "empty").read_bytes() == b""


async def test_a_write_over_a_file_that_changed_since_is_a_conflict(site: Nexus, folder: Path) -> None:
    before = (await site("agent file write --path a --content one")).data["sha256"]
    (folder / "a").write_text("two")
    refused = await site(f"agent file write --path a --content three --expected-sha256 {before.upper()}")
    assert (refused.status, refused.error["type"]) == (6, "conflict")
    assert (folder / "a").read_text() == "two"
    now = (await site("agent file read --path a")).data["sha256"]
    done = await site(f"agent file write --path a --content three --expected-sha256 {now}")
    assert done.data["change"] == "updated"


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "docs/../../secret", "out/secret"])
async def test_no_path_leaves_the_project(site: Nexus, folder: Path, path: str) -> None:
    (folder.parent / "secret").write_text("secret")
    (folder / "out").symlink_to(folder.parent)
    for line in ("read", "write --content x", "browse", "diff --base a", "open --editor true"):
        action, _, more = line.partition(" ")
        refused = await site(f"agent file {action} --path {path} {more}")
        assert (refused.status, refused.error["code"]) == (2, "PATH_OUTSIDE_ROOT"), line
    assert (folder.parent / "secret").read_text() == "secret"


@pytest.mark.parametrize("line", ["read", "browse", "open --editor true"])
async def test_what_is_not_there_is_not_found(site: Nexus, line: str) -> None:
    action, _, more = line.partition(" ")
    refused = await site(f"agent file {action} --path nothing {more}")
    assert refused.status == 4


async def test_a_diff_compares_with_another_file_and_with_git(
    site: Nexus, folder: Path, commit_all: Callable[[Path], None]
) -> None:
    await site.all("agent file write --path a --content one", "agent file write --path b --content two")
    between = (await site("agent file diff --path a --base b")).data
    assert between["changed"] is True
    assert "-two" in between["diff"]
    assert "+one" in between["diff"]
    commit_all(folder)
    assert (await site("agent file diff --path a")).data["changed"] is False
    (folder / "a").write_text("changed\n")
    assert "+changed" in (await site("agent file diff --path a")).data["diff"]
    assert (await site("agent file diff --path a --base no-such-revision")).status in (2, 4, 5)


async def test_open_starts_the_editor_with_the_callers_surroundings(site: Nexus, folder: Path, tmp_path: Path) -> None:
    (folder / "a b.txt").write_text("x")
    told = tmp_path / "told"
    editor = tmp_path / "my editor"
    editor.write_text('#!/bin/sh\nprintf "%s|" "$@" "$PWD" "$COLOUR" >"$TOLD"; test -t 0 || echo no tty >>"$TOLD"\n')
    editor.chmod(0o755)
    environment = {"VISUAL": f"'{editor}' --wait", "EDITOR": "false", "COLOUR": "red", "TOLD": str(told)}
    opened = (await site("agent file open --path 'a b.txt'", environment=environment)).data
    assert opened["absolutePath"] == str(folder / "a b.txt")
    assert opened["editor"] == [str(editor), "--wait"]
    assert opened["exitCode"] == 0
    assert told.read_text() == f"--wait|{folder / 'a b.txt'}|{site.cwd}|red|no tty\n"


async def test_open_returns_while_the_editor_runs_on(site: Nexus, folder: Path, tmp_path: Path) -> None:
    (folder / "a").touch()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    opened = (await site(f"agent file open --path a --editor 'sh -c \"read line <{fifo}\"'")).data
    assert opened["exitCode"] is None
    assert psutil.pid_exists(opened["pid"])
    with fifo.open("w") as release:
        release.write("done\n")


async def test_an_editor_that_wants_a_terminal_is_refused_with_the_line_that_starts_it(
    site: Nexus, folder: Path, tmp_path: Path
) -> None:
    (folder / "a").touch()
    vim = tmp_path / "vim"
    vim.write_text("#!/bin/sh\n")
    vim.chmod(0o755)
    refused = await site("agent file open --path a", environment={"EDITOR": str(vim)})
    assert refused.status == 2
    assert refused.error["details"]["hint"] == f"{vim} '{folder / 'a'}'"


async def test_an_editor_that_fails_is_told(site: Nexus, folder: Path) -> None:
    (folder / "a").touch()
    failed = await site("agent file open --path a --editor false")
    assert (failed.status, failed.error["code"]) == (5, "PROGRAM_FAILED")
    for bad in ("--editor no-such-program", '--editor "\'"', "--editor ' '", ""):
        assert (await site(f"agent file open --path a {bad}")).error["code"] == "VALIDATION_ERROR"


async def test_every_command_wants_a_project(nexus: Nexus) -> None:
    for line in ("browse", "read --path a", "write --path a --content b", "diff --path a", "open --path a"):
        assert (await nexus(f"agent file {line}")).error["code"] == "CONTEXT_MISSING"


async def test_what_is_opened_gets_the_callers_umask_and_limits(site: Nexus, folder: Path, tmp_path: Path) -> None:
    (folder / "a").touch()
    told = tmp_path / "told"
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    opened = await site(
        f"agent file open --path a --editor 'sh -c \"umask >{told}; ulimit -Sc >>{told}\"'",
        umask=0o027,
        limits={resource.RLIMIT_CORE: (0, most)},
    )
    assert opened.data["exitCode"] == 0
    assert told.read_text().split() == ["0027", "0"]
