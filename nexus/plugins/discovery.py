"""Where plugins are found: entry points of installed packages, the user's data folder, the folders of a project."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexus.schemas.plugin import PluginOrigin

MANIFEST = "plugin.yml"
GROUP = "nexus.plugins"
FOLDER = "plugins"
PROJECT_FOLDER = ".nexus"
AETHER_FOLDER = "aether"
_DEEPEST = 64
MOST_FOLDERS = 500


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that holds plugins, one a folder. It need not exist."""

    origin: "PluginOrigin"
    path: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A folder with a manifest in it. `label` names it before its manifest is read; `site` is its package's parent."""

    origin: "PluginOrigin"
    folder: str
    label: str
    site: str | None = None

    @property
    def manifest(self) -> str:
        """The path of its manifest."""
        return f"{self.folder}/{MANIFEST}"

    @property
    def key(self) -> str:
        """What a person's decisions about it are kept under: another place is another plugin."""
        return f"{self.origin}:{self.folder}" if self.origin == "project" else f"{self.origin}:{self.label}"


def roots_for(data: Path, cwd: str) -> tuple[Root, ...]:
    """Return the folders that a caller in `cwd` has plugins in: their own, and those of the project around them."""
    roots = [Root("user", f"{data}/{FOLDER}")]
    found: list[str] = []
    if os.path.isdir(f"{cwd}/{AETHER_FOLDER}/{FOLDER}"):
        found.append(f"{cwd}/{AETHER_FOLDER}/{FOLDER}")
    here = cwd
    for _ in range(_DEEPEST):
        if os.path.isdir(f"{here}/{PROJECT_FOLDER}/{FOLDER}"):
            found.append(f"{here}/{PROJECT_FOLDER}/{FOLDER}")
            break
        above = os.path.dirname(here)
        if above == here:
            break
        here = above
    own = roots[0].path
    return (*roots, *(Root("project", path) for path in found if path != own))


def folders_in(root: Root) -> Iterator[Candidate]:
    """Yield each folder in a root, whether it has a manifest yet or not: one that is copied there grows."""
    try:
        names = sorted(entry.name for entry in os.scandir(root.path) if entry.is_dir())
    except OSError:
        return
    for name in names[:MOST_FOLDERS]:
        if not name.startswith((".", "_")):
            yield Candidate(root.origin, f"{root.path}/{name}", name)


def site_folders() -> list[str]:
    """Return the folders in which packages may be installed beside nexus."""
    return [path for path in dict.fromkeys(sys.path) if path.endswith("-packages")]


def installed() -> Iterator[Candidate]:
    """Yield the plugins of installed packages, by their metadata alone: nothing of them is imported.

    The entry point's value is the package that holds `plugin.yml`, whose name in the index is the entry point's.
    """
    if not any(map(_has_plugins, site_folders())):
        return
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        package = point.value.partition(":")[0].strip().replace(".", "/")
        for site in _sites(point.dist):
            folder = f"{site}/{package}"
            if os.path.isfile(f"{folder}/{MANIFEST}"):
                yield Candidate("installed", folder, point.name, site)
                break
        else:
            place = next(_sites(point.dist), "")
            yield Candidate("installed", f"{place}/{package}", point.name, place)


def _has_plugins(site: str) -> bool:
    """Say whether a package there tells of plugins: cheaper by far than to read all that packages tell."""
    wanted = f"[{GROUP}]".encode()
    try:
        names = [entry.name for entry in os.scandir(site) if entry.name.endswith(".dist-info")]
    except OSError:
        return False
    for name in names:
        try:
            with open(f"{site}/{name}/entry_points.txt", "rb") as file:
                if wanted in file.read(1 << 20):
                    return True
        except OSError:
            continue
    return False


def _sites(distribution: object) -> Iterator[str]:
    """Yield where a distribution's packages may lie: beside its metadata, or where it is developed."""
    locate = getattr(distribution, "locate_file", None)
    if locate is None:
        return
    yield str(locate("")).rstrip("/")
    try:
        told = json.loads(distribution.read_text("direct_url.json") or "{}")  # type: ignore[attr-defined]
        url = str(told.get("url", ""))
    except (OSError, ValueError, AttributeError):
        return
    if url.startswith("file://"):
        from urllib.parse import unquote

        source = unquote(url.removeprefix("file://")).rstrip("/")
        yield source
        yield f"{source}/src"
