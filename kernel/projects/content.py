"""The folder that a project's files live in: made by the kernel, cloned, or the user's own."""

import asyncio
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from nexus.kernel.git.address import Address
from nexus.kernel.git.clone import clone
from nexus.kernel.host import Environment
from nexus.schemas.errors import ValidationError

INCOMING = ".incoming-"
LEAVING = ".leaving-"

log = logging.getLogger("nexus.kernel.projects")


class ContentFolders:
    """The folders of projects. Those that the kernel made stand in `root`, named by the project's id."""

    def __init__(self, root: Path, environment: Environment) -> None:
        self.root = root
        self.environment = environment

    def made(self, project_id: str) -> Path:
        """Return the folder that the kernel makes for a project."""
        return self.root / project_id

    def of(self, row: Row[Any]) -> Path:
        """Return the folder of a project's row."""
        return Path(self.path_of(row))

    def path_of(self, row: Row[Any]) -> str:
        """Return the folder of a project's row as text: a list has many, and a `Path` costs more than all the rest."""
        return row.content_path or f"{self.root}/{row.id}"

    def prepare_root(self) -> list[Path]:
        """Make the root; return what a process that died had begun there, to be removed."""
        self.root.mkdir(mode=0o700, exist_ok=True)
        return [self.root / name for name in os.listdir(self.root) if name.startswith((INCOMING, LEAVING))]

    async def incoming(self, project_id: str, address: Address, final: Path) -> Path:
        """Clone into a folder beside the final place and return it."""
        temporary = final.parent / f"{INCOMING}{project_id}"
        await clone(address, temporary, self.environment)
        return temporary

    async def remove_made(self, project_id: str) -> None:
        """Remove the folder that the kernel made. What cannot be removed is logged, and removed at the next start."""
        leaving = self.root / f"{LEAVING}{project_id}"
        try:
            self.made(project_id).rename(leaving)
        except FileNotFoundError:
            return
        except OSError:
            log.exception("the folder of project %s stays", project_id)
            return
        await asyncio.to_thread(remove, [leaving])


def remove(folders: Sequence[Path]) -> None:
    """Remove folders with all that is in them. What cannot be removed stays for the next start."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def users_folder(given: str) -> str:
    """Return the user's own folder, normalized. Raises `ValidationError` unless it is an existing absolute one."""
    path = _absolute(given)
    if not os.path.isdir(path):
        raise ValidationError.because(f"{given} is no folder.", field="contentPath", expected="an existing folder")
    return path


def clone_target(given: str) -> str:
    """Return where the user wants a clone. Raises `ValidationError` unless nothing or an empty folder is there."""
    path = _absolute(given)
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        raise ValidationError.because(f"{parent} is no folder.", field="contentPath", expected="an existing folder")
    try:
        taken = os.path.islink(path) or bool(os.listdir(path))
    except FileNotFoundError:
        taken = False
    except NotADirectoryError:
        taken = True
    if taken:
        raise ValidationError.because(
            f"{given} is not empty: a repository is cloned into a new or an empty folder.", field="contentPath"
        )
    return path


def _absolute(given: str) -> str:
    if not os.path.isabs(given) or "\0" in given:
        raise ValidationError.because(f"{given!r} is no absolute path.", field="contentPath", expected="/a/folder")
    return os.path.normpath(given)
