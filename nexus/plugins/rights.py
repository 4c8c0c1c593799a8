"""From what a plugin was granted to what its worker may do: paths, variables, and what it is started with."""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nexus
from nexus import __version__
from nexus.plugins.catalog import Known
from nexus.plugins.process import WorkerSpec
from nexus.plugins.stamps import FolderTooLarge, signature
from nexus.schemas.errors import PluginInvalid

_SYSTEM = (
    "/usr", "/lib", "/lib64", "/bin", "/opt/homebrew", "/System", "/Library/Frameworks",
    "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
    "/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/localtime", "/etc/timezone", "/etc/ld.so.cache",
    "/etc/mime.types", "/dev/urandom", "/dev/random", "/dev/zero", "/run/systemd/resolve",
)  # fmt: skip
"""What programs need of a system, and what every user may read anyway."""
_SUBPACKAGES = ("", "/handlers", "/kernel", "/schemas", "/sessions")


def data_folder(data: Path, plugin: str) -> str:
    """Return the folder that a plugin may write to."""
    return f"{data}/plugin-data/{plugin}"


def variables(known: Known, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's variables that the plugin was granted."""
    wanted = [right.partition(":")[2] for right in known.granted if right.startswith("environment:")]
    return {name: environment[name] for name in wanted if name in environment and _is_text(environment[name])}


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def worker_spec(known: Known, data: Path, cwd: Path, environment: Mapping[str, str]) -> WorkerSpec:
    """Return what the worker of a plugin is started with for this caller. Raises `PluginInvalid`."""
    candidate, told = known.candidate, known.told or {}
    try:
        seen = hashlib.sha256(repr(signature(Path(candidate.folder))).encode()).hexdigest()
    except (OSError, FolderTooLarge) as error:
        raise PluginInvalid.because(f"The plugin {known.name} cannot be read: {error}.", plugin=known.name) from error
    own = data_folder(data, known.name)
    limits = told.get("limits", {})
    search = [candidate.site] if candidate.site else [candidate.folder]
    granted = set(known.granted)
    read = [right[5:] for right in granted if right.startswith("read:")]
    write = [right[6:] for right in granted if right.startswith("write:")]
    home = environment.get("HOME", "")
    setup = {
        "name": known.name,
        "version": told.get("version", ""),
        "nexus": __version__,
        "entry": told.get("entry"),
        "paths": [list(path) for path in paths_of(told)],
        "data": own,
        "search": search,
        "signature": seen,
        "rights": {
            "read": sorted({*_code(candidate.folder, search), *_meant(read, cwd, home)}),
            # Where packages are developed: to be searched, and nothing of it to be read.
            "list": [path for path in search if not path.endswith("-packages")],
            "write": sorted({own, *_meant(write, cwd, home)}),
            "network": "network" in granted,
            "processes": "processes" in granted,
            "memory": limits.get("memory", 1024),
            "files": limits.get("files", 256),
        },
    }
    return WorkerSpec(known.name, candidate.folder, own, setup, json.dumps(setup, sort_keys=True))


def paths_of(told: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the commands' paths of a manifest that is not validated again."""
    return [
        (space, resource, action)
        for space, within in told.get("namespaces", {}).items()
        for resource, named in within["resources"].items()
        for action in named["actions"]
    ]


def _code(folder: str, search: Iterable[str]) -> set[str]:
    """Return where Python, the packages beside it and the plugin itself are."""
    package = Path(nexus.__file__).resolve().parent
    ours = {os.path.realpath(f"{package}{name}") for name in _SUBPACKAGES}
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    packages = {path for path in sys.path if path.endswith("-packages")}
    return {*_SYSTEM, *ours, *prefixes, *packages, folder, *(path for path in search if path.endswith("-packages"))}


def _meant(paths: Iterable[str], cwd: Path, home: str) -> list[str]:
    """Return granted paths as the caller means them; `~` without a HOME means nothing."""
    meant = []
    for path in paths:
        if path.startswith("{cwd}"):
            meant.append(os.path.normpath(f"{cwd}{path[5:]}"))
        elif not path.startswith("~"):
            meant.append(os.path.normpath(path))
        elif home:
            meant.append(os.path.normpath(f"{home}{path[1:]}"))
    return meant
