"""The folders of runs: made for this user alone, and removed whatever a step left in them.

    data_folder/pipelines/runs/RUN/.datasets/NAME/FILENAME      the data sets, once a run
    data_folder/pipelines/runs/RUN/STEP/ATTEMPT/{work,tmp,inputs}

A step writes to its `work` and `tmp` only. No step's name begins with a point.
"""

import errno
import logging
import os
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nexus.kernel.store.failures import told_as_storage

DATASETS = ".datasets"
LEAST_FREE = 256 * 1024 * 1024
LEAST_PART = 20
"""A disk is nearly full when fewer bytes are free, or a twentieth of it where that is less."""
MOST_SEEN = 100_000
BLOCK = 512
"""What `st_blocks` counts."""
GONE = ".gone-"
"""What begins so is on its way out."""
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

log = logging.getLogger("nexus.kernel.pipelines")


@dataclass(frozen=True, slots=True)
class AttemptFolders:
    """Where one attempt works. `inputs` has a link for each step that it needs; `file` is for who makes its walls."""

    work: Path
    tmp: Path
    inputs: Path
    file: Path


class RunFolders:
    """The folders below one data folder. Everything here blocks. Raises storage errors, where it says no other."""

    def __init__(self, data_folder: Path) -> None:
        self._data_folder = data_folder
        self.runs = data_folder / "pipelines" / "runs"

    def datasets(self, run_id: str) -> Path:
        """Return the folder of a run's data sets."""
        return self.runs / run_id / DATASETS

    def work(self, run_id: str, step: str, attempt: int) -> Path:
        """Return the folder that an attempt works in."""
        return self.runs / run_id / step / str(attempt) / "work"

    def make(self, run_id: str, step: str, attempt: int, inputs: Mapping[str, Path]) -> AttemptFolders:
        """Make an attempt's folders anew, with a link for each of `inputs`."""
        path = self.work(run_id, step, attempt).parent
        made = AttemptFolders(path / "work", path / "tmp", path / "inputs", path / "walls")
        with told_as_storage(path), _made(self._data_folder, self._below(run_id, step)) as above:
            _remove_below(above, str(attempt))
            os.mkdir(str(attempt), 0o700, dir_fd=above)
            with _opened(str(attempt), above) as here:
                for name in ("work", "tmp", "inputs"):
                    os.mkdir(name, 0o700, dir_fd=here)
                with _opened("inputs", here) as links:
                    for name, target in inputs.items():
                        os.symlink(target, name, dir_fd=links)
        return made

    def prepare(self, run_id: str) -> Path:
        """Make the folder of a run's data sets, and return it."""
        with told_as_storage(self.runs), _made(self._data_folder, self._below(run_id, DATASETS)):
            return self.datasets(run_id)

    def remove(self, run_id: str) -> None:
        """Remove all that a run has; none there is nothing to do. What cannot be removed is told in the log."""
        self._remove(run_id, f"{GONE}{secrets.token_hex(8)}")

    def relieve(self, run_id: str, step: str, attempt: int) -> bool:
        """Remove what an attempt that came to nothing left where the disk is nearly full; say whether it was."""
        try:
            if self.short() is None:
                return False
            with _opened(str(self.work(run_id, step, attempt).parent.parent), None) as above:
                _remove_below(above, str(attempt))
        except FileNotFoundError:
            return False
        except OSError:
            log.exception("what attempt %s at %s of run %s left could not be removed", attempt, step, run_id)
            return False
        return True

    def short(self) -> int | None:
        """Return how many bytes are free where the disk is nearly full, None where it is not. Raises `OSError`."""
        facts = os.statvfs(self.runs)
        free = facts.f_bavail * facts.f_frsize
        return free if free < min(LEAST_FREE, facts.f_blocks * facts.f_frsize // LEAST_PART) else None

    def size(self, run_id: str, step: str, attempt: int) -> int:
        """Return how many bytes an attempt has on the disk, of what can be seen of it and of so many files at most."""
        waiting, size, seen = [str(self.work(run_id, step, attempt).parent)], 0, 0
        while waiting and seen < MOST_SEEN:
            with suppress(OSError), os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    with suppress(OSError):
                        size += entry.stat(follow_symlinks=False).st_blocks * BLOCK
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
        return size

    def names(self) -> list[str]:
        """Return the ids of the runs that have a folder."""
        with suppress(FileNotFoundError):
            return [name for name in os.listdir(self.runs) if not name.startswith(GONE)]
        return []

    def sweep(self) -> None:
        """Remove what an earlier process was about to."""
        with suppress(FileNotFoundError):
            for name in os.listdir(self.runs):
                if name.startswith(GONE):
                    self._remove(name, name)

    def _remove(self, name: str, gone: str) -> None:
        try:
            with _opened(str(self.runs), None) as above:
                # Under another name at once: whatever comes between, no half of it is taken for the whole.
                os.rename(name, gone, src_dir_fd=above, dst_dir_fd=above)
                _remove_below(above, gone)
        except FileNotFoundError:
            return
        except OSError:
            log.exception("the folder of run %s could not be removed", name)

    def _below(self, run_id: str, name: str) -> Sequence[str]:
        if "/" in run_id or run_id.startswith("."):
            raise ValueError(f"{run_id!r} is no run")
        return ("pipelines", "runs", run_id, name)


@contextmanager
def _opened(name: str, above: int | None) -> Iterator[int]:
    descriptor = os.open(name, FOLDER, dir_fd=above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _made(root: Path, names: Sequence[str]) -> Iterator[int]:
    """Open a folder below `root`; those on the way that are not there are made. None of them may be a link."""
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=here)
            below = os.open(name, FOLDER, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def _remove_below(above: int, name: str) -> None:
    """Remove what has this name in an open folder: no link is followed, and no depth is too deep.

    Folders in it are brought up beside it before they are emptied, so that a path never has more than two names.
    """
    waiting = [name]
    while waiting:
        waiting += _emptied(above, waiting.pop())


def _emptied(above: int, name: str) -> list[str]:
    """Remove `name` with the files in it; return folders that were in it, and stand beside it now."""
    try:
        os.unlink(name, dir_fd=above)
    except FileNotFoundError:
        return []
    except OSError as error:
        # A folder: EISDIR on Linux, EPERM elsewhere.
        if error.errno not in (errno.EISDIR, errno.EPERM):
            raise
    else:
        return []
    _allow(above, name)
    folders = []
    with _opened(name, above) as here:
        for entry in os.listdir(here):
            if stat.S_ISDIR(os.stat(entry, dir_fd=here, follow_symlinks=False).st_mode):
                # A folder that is moved is written to: where it is.
                _allow(here, entry)
                folders.append(f"{GONE}{secrets.token_hex(8)}")
                os.rename(entry, folders[-1], src_dir_fd=here, dst_dir_fd=above)
            else:
                os.unlink(entry, dir_fd=here)
    os.rmdir(name, dir_fd=above)
    return folders


def _allow(above: int, name: str) -> None:
    """Give ourselves all rights to a folder of ours, never to what a link leads to."""
    if stat.S_IMODE(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode) & 0o700 == 0o700:
        return
    if os.chmod in os.supports_follow_symlinks:
        os.chmod(name, 0o700, dir_fd=above, follow_symlinks=False)
        return
    # Linux changes no mode by a name that may be a link: it does so by what an open descriptor stands for.
    descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", 0o700)
    finally:
        os.close(descriptor)
