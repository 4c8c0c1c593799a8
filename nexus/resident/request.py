"""What a launcher's hello says, read."""

import json
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nexus.launcher.frames import PROTOCOL, FrameInvalid
from nexus.launcher.process import decode
from nexus.schemas.stream import Printed

_FIELDS = 13

_TITLES = {
    "Max cpu time": "RLIMIT_CPU",
    "Max file size": "RLIMIT_FSIZE",
    "Max data size": "RLIMIT_DATA",
    "Max stack size": "RLIMIT_STACK",
    "Max core file size": "RLIMIT_CORE",
    "Max resident set": "RLIMIT_RSS",
    "Max processes": "RLIMIT_NPROC",
    "Max open files": "RLIMIT_NOFILE",
    "Max locked memory": "RLIMIT_MEMLOCK",
    "Max address space": "RLIMIT_AS",
    "Max msgqueue size": "RLIMIT_MSGQUEUE",
    "Max nice priority": "RLIMIT_NICE",
    "Max realtime priority": "RLIMIT_RTPRIO",
    "Max realtime timeout": "RLIMIT_RTTIME",
    "Max pending signals": "RLIMIT_SIGPENDING",
}
"""What Linux calls its limits in /proc/self/limits."""


@dataclass(frozen=True, slots=True)
class Request:
    """One command as a launcher hands it over. `terminals` says it of stdin, stdout and stderr; `site` is
    the identity of the launcher's own site folder."""

    version: str
    site: str
    key: str
    cwd: Path
    umask: int
    columns: int
    rows: int
    terminals: tuple[bool, bool, bool]
    again: bool
    printed: Printed | None
    limits: Mapping[int, tuple[int, int]]
    argv: tuple[str, ...]
    environment: Mapping[str, str]


class OtherProtocol(Exception):
    """The launcher is of a version that speaks otherwise."""


def read_request(payload: bytes) -> Request:
    """Read a hello. Raises `OtherProtocol`, and `FrameInvalid` for one that is not of its own protocol's form."""
    protocol, _, rest = payload.partition(b"\0")
    if protocol != b"%d" % PROTOCOL:
        raise OtherProtocol(protocol.decode("ascii", "replace"))
    fields = rest.split(b"\0")
    if len(fields) < _FIELDS - 1 + _number(fields[_FIELDS - 2 : _FIELDS - 1]):
        raise FrameInvalid("a hello with fewer fields than it announces")
    try:
        version, site, key, cwd, umask, columns, rows, terminals, again, reached, limits, count = fields[: _FIELDS - 1]
        words = int(count)
        argv, environment = fields[_FIELDS - 1 : _FIELDS - 1 + words], fields[_FIELDS - 1 + words :]
        return Request(
            version=version.decode(),
            site=site.decode(),
            key=key.decode(),
            cwd=Path(decode(cwd)),
            umask=int(umask),
            columns=int(columns),
            rows=int(rows),
            terminals=(terminals[:1] == b"1", terminals[1:2] == b"1", terminals[2:3] == b"1"),
            again=again == b"1",
            printed=Printed(**json.loads(reached)) if reached else None,
            limits=Limits(limits),
            argv=tuple(decode(word) for word in argv),
            environment=_environment(environment),
        )
    except ValueError as error:
        raise FrameInvalid(f"a hello that cannot be read: {error}") from error


def _number(field: list[bytes]) -> int:
    return int(field[0]) if field and field[0].isdigit() else 0


def _environment(entries: list[bytes]) -> dict[str, str]:
    variables = (decode(entry).partition("=") for entry in entries)
    return {name: value for name, separator, value in variables if separator}


class Limits(Mapping[int, tuple[int, int]]):
    """The caller's resource limits by `resource.RLIMIT_*`; parsed when a command first asks, for most never do."""

    def __init__(self, written: bytes) -> None:
        self._written = written

    def __getitem__(self, number: int) -> tuple[int, int]:
        return self._parsed[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._parsed)

    def __len__(self) -> int:
        return len(self._parsed)

    @cached_property
    def _parsed(self) -> dict[int, tuple[int, int]]:
        found: dict[int, tuple[int, int]] = {}
        for line in self._written.decode("ascii", "replace").splitlines():
            title, *columns = [column for column in line.split("  ") if column.strip()]
            number = getattr(resource, _TITLES.get(title, title), None)
            if isinstance(number, int) and len(columns) >= 2:
                found[number] = (_amount(columns[0]), _amount(columns[1]))
        return found


def _amount(written: str) -> int:
    written = written.strip()
    return resource.RLIM_INFINITY if written == "unlimited" else int(written)
