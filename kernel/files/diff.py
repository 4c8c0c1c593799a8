"""What changed in a file or a folder: against the last commit, another revision, or another path."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nexus.kernel.files.root import Root, checked, told_of
from nexus.kernel.git.repository import EXACT, NO_DRIVERS, Repository
from nexus.kernel.git.run import GitCommand, run_git
from nexus.kernel.host import Environment
from nexus.schemas.errors import GitFailed, NotFound, ValidationError
from nexus.schemas.file import MOST_BYTES, FileDiff, FileDiffQuery

MOST_DIFF_BYTES = 1024 * 1024
MOST_LINES_HERE = 5000
"""Without git lines are compared in this process, which takes the square of them at the worst."""

SECONDS = 30.0
WORKING = "working file"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison. `data` is None where there is no file; `commit` where it is of a revision."""

    name: str
    data: bytes | None = None
    commit: str | None = None


class Comparison:
    """One comparison in one project's folder."""

    def __init__(self, root: Root, environment: Environment, query: FileDiffQuery, scratch: Path) -> None:
        self.root = root
        self.environment = environment
        self.query = query
        self.path = checked(query.path)
        self.scratch = scratch

    async def run(self) -> FileDiff:
        """Return the difference, cut at `MOST_DIFF_BYTES`."""
        repository = await self._repository()
        kind = await asyncio.to_thread(self.root.kind, self.path)
        if kind == "directory":
            return await self._folder(repository)
        base = await self._side(self.query.base, repository, "base")
        compare = await self._side(self.query.compare, repository, "compare")
        if base.data is None and compare.data is None:
            raise NotFound(resource="file", reference=self.path, hint="nexus agent file browse --path .")
        if base.data == compare.data:
            return self._told(base.name, compare.name, b"", False)
        before, after = base.data, compare.data
        diff = await _by_git(self.path, before, after, self.scratch, self.environment)
        if diff is None:
            diff = await asyncio.to_thread(_by_hand, self.path, before or b"", after or b"")
        return self._told(base.name, compare.name, diff, len(diff) > MOST_DIFF_BYTES)

    async def _repository(self) -> Repository | None:
        try:
            return await Repository.around(self.root.folder, self.environment)
        except GitFailed:
            # There is no git here. Two paths are compared without it.
            return None

    async def _side(self, given: str | None, repository: Repository | None, field: str) -> Side:
        path = self.path
        if given is None and field == "compare":
            return Side(WORKING, await self._data(path))
        commit = await repository.commit(given or "HEAD") if repository else None
        if repository is not None and (commit is not None or given is None):
            # A repository without a commit has nothing: everything in it is new.
            data = await repository.content_at(commit, path, MOST_BYTES) if commit else None
            return Side(given or "HEAD", data, commit)
        if given is None:
            raise ValidationError.because(
                "The project's folder is in no git repository.",
                field="base",
                hint="nexus help agent file diff",
            )
        data = await self._data(given)
        if data is None:
            raise ValidationError.because(
                f"{given!r} is neither a revision nor a file of the project.",
                field=field,
                hint="nexus agent file browse",
            )
        return Side(given, data)

    async def _data(self, path: str) -> bytes | None:
        try:
            return (await asyncio.to_thread(self.root.read, path, MOST_BYTES)).data
        except NotFound:
            return None

    async def _folder(self, repository: Repository | None) -> FileDiff:
        if repository is None:
            raise ValidationError.because(f"{self.path} is a folder, in no git repository.", field="path")
        commits: list[str] = []
        for field, given in (("base", self.query.base or "HEAD"), ("compare", self.query.compare)):
            if given is None:
                continue
            commit = await repository.commit(given)
            if commit is None:
                raise ValidationError.because(
                    f"{given!r} is no revision.", field=field, hint="Name a file, or a commit."
                )
            commits.append(commit)
        run = await repository.difference(self.path, commits, MOST_DIFF_BYTES)
        return self._told(self.query.base or "HEAD", self.query.compare or WORKING, run.output, run.truncated)

    def _told(self, base: str, compare: str, diff: bytes, truncated: bool) -> FileDiff:
        if truncated:
            diff = diff[:MOST_DIFF_BYTES]
            diff = diff[: diff.rfind(b"\n") + 1]
        return FileDiff(
            path=self.path,
            base=base,
            compare=compare,
            changed=bool(diff),
            diff=diff.decode("utf-8", "replace"),
            truncated=truncated,
        )


async def _by_git(
    path: str, before: bytes | None, after: bytes | None, scratch: Path, environment: Environment
) -> bytes | None:
    """Compare two files of our own with git, outside every repository; None when there is no git."""
    with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
        sides = await asyncio.to_thread(_lay_out, Path(folder), path, before, after)
        command = GitCommand(
            ["--no-pager", "diff", "--no-index", "--no-prefix", *NO_DRIVERS, "--", *sides],
            cwd=Path(folder),
            seconds=SECONDS,
            most_bytes=MOST_DIFF_BYTES + 1,
            config={**EXACT, "core.attributesFile": "/dev/null"},
        )
        try:
            run = await run_git(command, {**environment, "XDG_CONFIG_HOME": folder})
        except GitFailed:
            return None
    if run.code > 1 and not run.truncated:
        raise GitFailed.because(f"git could not compare: {run.error.strip()[-2000:]}")
    return run.output


def _lay_out(folder: Path, path: str, before: bytes | None, after: bytes | None) -> list[str]:
    sides = []
    with told_of(path):
        for name, data in (("a", before), ("b", after)):
            if data is None:
                sides.append("/dev/null")
                continue
            file = folder / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            sides.append(f"{name}/{path}")
    return sides


def _by_hand(path: str, before: bytes, after: bytes) -> bytes:
    import difflib

    old, new = (data.decode("utf-8", "surrogateescape").splitlines(keepends=True) for data in (before, after))
    if max(len(old), len(new)) > MOST_LINES_HERE:
        raise GitFailed.because(f"Without git at most {MOST_LINES_HERE} lines are compared.", hint="Install git.")
    lines = difflib.unified_diff(old, new, fromfile=f"a/{path}", tofile=f"b/{path}")
    told = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    return "".join(told).encode("utf-8", "surrogateescape")
