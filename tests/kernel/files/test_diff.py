"""Differences: against the last commit, a revision or another path; nothing of a repository is ever run."""

import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus.kernel.files.diff import MOST_DIFF_BYTES
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.settings import KernelSettings
from tests.kernel.answers import answer, make_project, refusal


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "src").mkdir(parents=True)
    git(tmp_path, "init", "-q", str(root))
    (root / "src" / "a.txt").write_text("one\ntwo\n")
    (root / "b.txt").write_text("one\n2\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    (root / "src" / "a.txt").write_text("one\ntwo\nthree\n")
    git(root, "commit", "-qam", "second")
    return root


async def diff(api: httpx.AsyncClient, project: dict[str, Any], path: str, **sides: str) -> httpx.Response:
    return await api.get("/api/files/diff", params={"projectId": project["id"], "path": path, **sides})


@pytest.fixture
async def project(api: httpx.AsyncClient, folder: Path) -> dict[str, Any]:
    return await make_project(api, contentPath=str(folder))


async def test_a_file_is_compared_with_the_last_commit(
    api: httpx.AsyncClient, project: dict[str, Any], folder: Path
) -> None:
    same = answer(await diff(api, project, "src/a.txt"))
    assert (same["changed"], same["diff"], same["base"], same["compare"]) == (False, "", "HEAD", "working file")
    (folder / "src/a.txt").write_text("one\ntwo\nfour\n")
    told = answer(await diff(api, project, "./src//a.txt"))
    assert told["changed"]
    assert not told["truncated"]
    lines = told["diff"].splitlines()
    assert lines[0] == "diff --git a/src/a.txt b/src/a.txt"
    assert lines[2:] == ["--- a/src/a.txt", "+++ b/src/a.txt", "@@ -1,3 +1,3 @@", " one", " two", "-three", "+four"]


async def test_revisions_and_paths_are_compared_in_every_pairing(
    api: httpx.AsyncClient, project: dict[str, Any]
) -> None:
    back = answer(await diff(api, project, "src/a.txt", base="HEAD~1"))
    assert "+three" in back["diff"]
    forth = answer(await diff(api, project, "src/a.txt", base="HEAD", compare="HEAD~1"))
    assert "-three" in forth["diff"]
    other = answer(await diff(api, project, "src/a.txt", base="b.txt"))
    assert "-2\n+two\n+three" in other["diff"]
    mixed = answer(await diff(api, project, "src/a.txt", base="HEAD~1", compare="b.txt"))
    assert "-two\n+2" in mixed["diff"]
    for side in ("base", "compare"):
        error = refusal(await diff(api, project, "src/a.txt", **{side: "no-such"}), 422, "VALIDATION_ERROR")
        assert error["details"]["field"] == side
    for odd in ("--output=/tmp/x", "-h", "HEAD\n"):
        refusal(await diff(api, project, "src/a.txt", base=odd), 422, "VALIDATION_ERROR")
    refusal(await diff(api, project, "src/a.txt", base="../x"), 422, "PATH_OUTSIDE_ROOT")


async def test_new_deleted_and_binary_files_are_told(
    api: httpx.AsyncClient, project: dict[str, Any], folder: Path
) -> None:
    (folder / "new ü").write_text("x")
    new = answer(await diff(api, project, "new ü"))["diff"]
    assert "--- /dev/null" in new
    assert "+x\n\\ No newline at end of file" in new
    (folder / "b.txt").unlink()
    gone = answer(await diff(api, project, "b.txt"))["diff"]
    assert "+++ /dev/null" in gone
    (folder / "src/a.txt").write_bytes(b"\0\1")
    assert "Binary files" in answer(await diff(api, project, "src/a.txt"))["diff"]
    refusal(await diff(api, project, "never"), 404, "RESOURCE_NOT_FOUND")
    refusal(await diff(api, project, "../x"), 422, "PATH_OUTSIDE_ROOT")


async def test_a_folder_is_compared_with_a_commit(
    api: httpx.AsyncClient, project: dict[str, Any], folder: Path
) -> None:
    (folder / "src/a.txt").write_text("changed\n")
    (folder / "b.txt").write_text("changed\n")
    everything = answer(await diff(api, project, "."))["diff"]
    assert "a/src/a.txt" in everything
    assert "a/b.txt" in everything
    assert "b.txt" not in answer(await diff(api, project, "src"))["diff"]
    assert "+three" in answer(await diff(api, project, "src", base="HEAD~1", compare="HEAD"))["diff"]
    refusal(await diff(api, project, ".", base="nothing"), 422, "VALIDATION_ERROR")


async def test_a_project_below_a_repositorys_top_sees_its_own_paths(api: httpx.AsyncClient, folder: Path) -> None:
    below = await make_project(api, "below", contentPath=str(folder / "src"))
    (folder / "src/a.txt").write_text("x\n")
    (folder / "b.txt").write_text("x\n")
    assert "a/a.txt b/a.txt" in answer(await diff(api, below, "a.txt"))["diff"]
    whole = answer(await diff(api, below, "."))["diff"]
    assert "a/a.txt b/a.txt" in whole
    assert "b.txt b" not in whole


async def test_without_a_repository_two_paths_are_compared(api: httpx.AsyncClient) -> None:
    project = await make_project(api, "plain")
    for name, content in (("a", "1\n"), ("b", "2\n")):
        body = {"projectId": project["id"], "path": name, "content": content}
        answer(await api.post("/api/files/content", json=body))
    error = refusal(await diff(api, project, "a"), 422, "VALIDATION_ERROR")
    assert error["details"]["field"] == "base"
    assert "-2\n+1" in answer(await diff(api, project, "a", base="b"))["diff"]
    refusal(await diff(api, project, "."), 422, "VALIDATION_ERROR")


async def test_without_git_two_paths_are_compared_all_the_same(tmp_path: Path) -> None:
    settings = KernelSettings(environment={"PATH": str(tmp_path)})
    kernel = await Kernel.open(tmp_path / "data", OneShotHost(), settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
        project = await make_project(api, "plain")
        for name, content in (("a", "1\nend"), ("b", "2\nend\n")):
            body = {"projectId": project["id"], "path": name, "content": content}
            answer(await api.post("/api/files/content", json=body))
        told = answer(await diff(api, project, "a", base="b"))["diff"]
        assert told == "--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n-2\n-end\n+1\n+end\n\\ No newline at end of file\n"
        refused = await api.post("/api/projects", json={"name": "x", "gitUrl": "/somewhere"})
        assert "Install git" in refusal(refused, 424, "GIT_FAILED")["details"]["hint"]
    await kernel.close()


async def test_a_long_difference_is_cut_at_a_line_and_says_so(
    api: httpx.AsyncClient, project: dict[str, Any], folder: Path
) -> None:
    (folder / "b.txt").write_text("".join(f"line {number}\n" for number in range(200_000)))
    for path in ("b.txt", "."):
        told = answer(await diff(api, project, path))
        assert told["truncated"]
        assert told["changed"]
        assert told["diff"].endswith("\n")
        assert MOST_DIFF_BYTES - 100 < len(told["diff"]) <= MOST_DIFF_BYTES
    assert "HEAD" in told["base"]


async def test_nothing_that_a_repository_names_is_run(
    api: httpx.AsyncClient, project: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    touched = tmp_path / "touched"
    touch = f"touch {touched}; cat"
    for key in (
        "diff.external",
        "core.fsmonitor",
        "core.pager",
        "diff.evil.textconv",
        "diff.evil.command",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "alias.diff",
        "core.sshCommand",
    ):
        git(folder, "config", key, f"!{touch}" if key.startswith("alias") else touch)
    git(folder, "config", "filter.evil.required", "true")
    (folder / ".gitattributes").write_text("* diff=evil filter=evil\n")
    for hook in ("post-index-change", "fsmonitor-watchman", "post-checkout"):
        (folder / ".git/hooks" / hook).write_text(f"#!/bin/sh\n{touch}\n")
        (folder / ".git/hooks" / hook).chmod(0o755)
    (folder / "b.txt").write_text("changed\n")
    for path in ("b.txt", "."):
        assert "+changed" in answer(await diff(api, project, path))["diff"]
    assert not touched.exists()


async def test_a_work_tree_that_is_claimed_elsewhere_is_not_shown(
    api: httpx.AsyncClient, project: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b.txt").write_text("secret\n")
    git(folder, "config", "core.worktree", str(elsewhere))
    refusal(await diff(api, project, "."), 422, "VALIDATION_ERROR")


async def test_a_comparison_leaves_nothing_behind(
    api: httpx.AsyncClient, project: dict[str, Any], folder: Path, data_folder: Path
) -> None:
    (folder / "b.txt").write_text("changed\n")
    before = len(os.listdir("/dev/fd"))
    answer(await diff(api, project, "b.txt"))
    assert os.listdir(data_folder / "scratch") == []
    assert len(os.listdir("/dev/fd")) <= before
