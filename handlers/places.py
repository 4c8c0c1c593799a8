"""Places on the caller's disk: what a path means to the one who typed it."""

from collections.abc import Mapping
from pathlib import Path

from nexus.schemas.errors import ValidationError
from nexus.schemas.regular import is_utf8


def absolute(path: str, cwd: Path, environment: Mapping[str, str]) -> str:
    """Return the path as the caller means it: `~` is the caller's home, what is relative starts at the caller's cwd.

    `~` is read here because shells leave it alone in `--content-path=~/work`. Links are not followed.
    Raises `ValidationError` for a path that is no UTF-8, as the folder may be in which the caller is.
    """
    home = environment.get("HOME")
    if home and (path == "~" or path.startswith("~/")):
        path = home + path[1:]
    found = str(cwd / path)
    if not is_utf8(found):
        raise ValidationError.because(
            f"The path {found[:200]!r} is no UTF-8, which no answer could tell of.",
            hint="Run it in a folder whose path is UTF-8, or give one.",
        )
    return found


def repository(url: str, cwd: Path, environment: Mapping[str, str]) -> str:
    """Return a git URL; one that is a relative path or starts with `~` becomes absolute, everything else stays."""
    local = url in {".", "..", "~"} or url.startswith(("./", "../", "~/"))
    return absolute(url, cwd, environment) if local else url
