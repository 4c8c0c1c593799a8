"""Places on the caller's disk: what a path means to the one who typed it."""

from collections.abc import Mapping
from pathlib import Path


def absolute(path: str, cwd: Path, environment: Mapping[str, str]) -> str:
    """Return the path as the caller means it: `~` is the caller's home, what is relative starts at the caller's cwd.

    `~` is read here because shells leave it alone in `--content-path=~/work`. Links are not followed.
    """
    home = environment.get("HOME")
    if home and (path == "~" or path.startswith("~/")):
        path = home + path[1:]
    return str(cwd / path)


def repository(url: str, cwd: Path, environment: Mapping[str, str]) -> str:
    """Return a git URL; one that is a relative path or starts with `~` becomes absolute, everything else stays."""
    local = url in {".", "..", "~"} or url.startswith(("./", "../", "~/"))
    return absolute(url, cwd, environment) if local else url
