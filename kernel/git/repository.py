"""A repository as a project's folder sees it: what a path was at a revision, and how folders differ."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nexus.kernel.git.run import GitCommand, GitRun, run_git
from nexus.kernel.host import Environment
from nexus.schemas.errors import GitFailed, ValidationError

SECONDS = 30.0
TRUST = {"safe.directory": "*"}
"""Nothing of a repository is run here, whoever owns it."""

EXACT = {"core.quotePath": "false", "color.ui": "false"}
NO_DRIVERS = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all")


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository that `folder` is in. No hook, filter, driver or monitor of it is run."""

    folder: Path
    environment: Environment

    @classmethod
    async def around(cls, folder: Path, environment: Environment) -> "Repository | None":
        """Return the repository that the folder is in, None when it is in none.

        One whose configuration claims a work tree elsewhere is none of the folder's.
        """
        found = cls(folder, environment)
        run = await found._git("rev-parse", "--show-toplevel")
        top = Path(run.output.decode("utf-8", "surrogateescape").removesuffix("\n"))
        inside = run.code == 0 and await asyncio.to_thread(_is_inside, folder, top)
        return found if inside else None

    async def commit(self, revision: str) -> str | None:
        """Return the hash of the commit that a revision means, None when it means none."""
        if revision.startswith("-") or not revision.isprintable():
            return None
        run = await self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return run.output.decode().strip() if run.code == 0 else None

    async def is_folder_at(self, commit: str, path: str) -> bool:
        """Return whether the path was a folder at the commit."""
        return (await self._entry(commit, path))[0] == "tree"

    async def content_at(self, commit: str, path: str, most_bytes: int) -> bytes | None:
        """Return a file's bytes at the commit, as they are stored; None when there was none."""
        kind, object_id = await self._entry(commit, path)
        if kind is None:
            return None
        if kind != "blob":
            raise ValidationError.because(f"{path} was no file at {commit[:12]}.", field="path")
        run = await self._git("cat-file", "blob", object_id, most_bytes=most_bytes)
        if run.truncated:
            raise ValidationError.because(f"{path} had more than {most_bytes} bytes at {commit[:12]}.", field="path")
        return self._checked(run).output

    async def difference(self, path: str, commits: Sequence[str], most_bytes: int) -> GitRun:
        """Return how a folder differs between two commits, or one and the files as they are, as a unified diff."""
        names = await self._git("config", "--name-only", "--get-regexp", r"^filter\..*\.(clean|process|required)$")
        off = {key: "false" if key.endswith(".required") else "" for key in names.output.decode().splitlines()}
        prefixes = ("--src-prefix=a/", "--dst-prefix=b/", "--relative")
        run = await self._git(
            *("diff", *NO_DRIVERS, *prefixes, *commits, "--", path), most_bytes=most_bytes, config=off
        )
        return run if run.truncated else self._checked(run)

    async def _entry(self, commit: str, path: str) -> tuple[str | None, str]:
        run = self._checked(await self._git("ls-tree", "-z", commit, "--", path.removesuffix("/")))
        first = run.output.split(b"\0", 1)[0]
        if not first:
            return None, ""
        kind, object_id = first.split(b"\t", 1)[0].decode().split(" ")[1:3]
        return kind, object_id

    async def _git(
        self, *arguments: str, most_bytes: int = 1024 * 1024, config: dict[str, str] | None = None
    ) -> GitRun:
        command = GitCommand(
            ["--no-pager", "--literal-pathspecs", *arguments],
            cwd=self.folder,
            seconds=SECONDS,
            most_bytes=most_bytes,
            config={**TRUST, **EXACT, **(config or {})},
        )
        return await run_git(command, self.environment)

    def _checked(self, run: GitRun) -> GitRun:
        if run.code != 0:
            raise GitFailed.because(f"git failed in {self.folder}: {run.error.strip()[-2000:]}", git_exit_code=run.code)
        return run


def _is_inside(folder: Path, top: Path) -> bool:
    return folder.resolve().is_relative_to(top.resolve())
