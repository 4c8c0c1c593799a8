"""The formats that programs write logs in: where a line tells its moment and its level.

A format is a pattern for the beginning of a line, with named groups. Repetitions are bounded and possessive, so that no
line makes a pattern slow. A line of no known format has no level and no moment, and is a message all the same.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone

from nexus.sessions.lines import Level

LEVELS: dict[str, Level] = {
    **dict.fromkeys(("trace", "trc", "finest", "finer", "verbose"), "trace"),
    **dict.fromkeys(("debug", "dbg", "fine", "d", "config"), "debug"),
    **dict.fromkeys(("info", "inf", "information", "notice", "log", "i"), "info"),
    **dict.fromkeys(("warn", "warning", "wrn", "w"), "warning"),
    **dict.fromkeys(("error", "err", "severe", "e"), "error"),
    **dict.fromkeys(("critical", "crit", "fatal", "panic", "dpanic", "emerg", "emergency", "alert", "f"), "critical"),
}
"""What programs call the levels, in small letters."""

_SEVERITIES: tuple[Level, ...] = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}

ReadMoment = Callable[[str, str], datetime]
ReadLevel = Callable[[str], Level | None]


@dataclass(frozen=True, slots=True)
class Format:
    """`start` matches the beginning of a line of this format; `line` any line whole, with its groups where it fits.

    Groups: `stamp` (to the second), `fraction`, `zone`, `level`, and `later`, a level further on. `moment` reads a
    stamp with its zone, and raises ValueError or KeyError for one that there is not; without a zone it is local time.
    """

    name: str
    pattern: str
    moment: ReadMoment
    level: ReadLevel
    start: re.Pattern[str] = field(init=False)
    line: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        missing = "".join(f"(?P<{name}>)" for name in GROUPS if f"(?P<{name}>" not in self.pattern)
        object.__setattr__(self, "start", re.compile(self.pattern + missing))
        object.__setattr__(self, "line", re.compile(rf"(?:{self.pattern}{missing})?+.*\n"))


GROUPS = ("stamp", "fraction", "zone", "level", "later")


def named_level(word: str) -> Level | None:
    """The level that a program calls so."""
    return LEVELS.get(word.lower())


def _priority_or_name(word: str) -> Level | None:
    return _SEVERITIES[int(word) & 7] if word.isdecimal() else named_level(word)


def _status(code: str) -> Level:
    return "error" if code >= "500" else "warning" if code >= "400" else "info"


def _zone(zone: str) -> timezone | None:
    if not zone:
        return None
    if zone in ("Z", "UTC", "GMT"):
        return UTC
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes))


def iso(stamp: str, zone: str) -> datetime:
    """Read `2026-11-20T12:00:00`, also with a space or slashes."""
    return datetime.fromisoformat(stamp.replace("/", "-")).replace(tzinfo=_zone(zone))


def _clf(stamp: str, zone: str) -> datetime:
    day, month, rest = stamp.split("/")
    year, clock = rest.split(":", 1)
    return datetime.fromisoformat(f"{year}-{_MONTHS[month]:02}-{day}T{clock}").replace(tzinfo=_zone(zone))


def _apache(stamp: str, year: str) -> datetime:
    month, day, clock = stamp.split()
    return datetime.fromisoformat(f"{year}-{_MONTHS[month]:02}-{int(day):02}T{clock}")


def _syslog(stamp: str, _: str) -> datetime:
    month, day, clock = stamp.split()
    return _without_year(_MONTHS[month], int(day), clock)


def _klog(stamp: str, _: str) -> datetime:
    return _without_year(int(stamp[:2]), int(stamp[2:4]), stamp[5:])


def _without_year(month: int, day: int, clock: str) -> datetime:
    """The newest such moment that is not a day ahead of now: logs tell what was."""
    now = datetime.now()  # noqa: DTZ005 -- such logs are in the machine's own time
    for year in (now.year, now.year - 1):
        found = datetime.fromisoformat(f"{year}-{month:02}-{day:02}T{clock}")
        if found <= now + timedelta(days=1):
            break
    return found


_UPPER = (
    "TRACE|DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|SEVERE|CRITICAL|FATAL|PANIC|TRC|DBG|INF|WRN|ERR|CRIT|EMERG|ALERT|LOG"
)
_ANY = f"(?:(?i:{_UPPER}|INFORMATION|VERBOSE|FINEST|FINER|FINE|CONFIG|DPANIC))"
_END = r"(?![\w.=/@-])"
_BETWEEN = r"[\s|\-\[\]:;,]{0,6}+"
_TOKENS = rf"(?:{_BETWEEN}(?:\([^)\n]{{0,100}}+\)|[^\s\[\(|]{{1,100}}+)){{0,5}}?"
"""What may stand between the moment and the level: a logger, a thread, a process, its host."""
_LEVEL = rf"(?:[\s|\-:]{{0,4}}+[\[<(]?(?P<level>{_ANY}){_END}|{_TOKENS}{_BETWEEN}(?P<later>{_UPPER}){_END})?"
_FRACTION = r"(?:[.,](?P<fraction>\d{1,9}+))?"
_ZONE = r"(?: ?(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d))?"
_ISO = r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d"
_MONTH_DAY = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"

FORMATS: tuple[Format, ...] = (
    Format("iso", rf"\[?(?P<stamp>{_ISO}){_FRACTION}{_ZONE}\]?{_LEVEL}", iso, named_level),
    Format("klog", r"(?P<level>[IWEFD])(?P<stamp>\d{4} \d\d:\d\d:\d\d)\.(?P<fraction>\d{1,9}+)", _klog, named_level),
    Format(
        "logfmt",
        rf'(?=[\w.]{{1,30}}+=)(?=(?:[^\n]{{0,300}}?\b(?:ts|time|timestamp|t)="?(?P<stamp>{_ISO}){_FRACTION}{_ZONE})?)'
        r'(?=(?:[^\n]{0,500}?\b(?:level|lvl|severity|loglevel)="?(?P<level>\w{1,20}))?)',
        iso,
        named_level,
    ),
    Format("rfc5424", rf"<(?P<level>\d{{1,3}})>1 (?P<stamp>{_ISO}){_FRACTION}{_ZONE}", iso, _priority_or_name),
    Format(
        "rfc3164",
        rf"(?:<(?P<level>\d{{1,3}})>)?(?P<stamp>{_MONTH_DAY})(?:{_TOKENS}{_BETWEEN}(?P<later>{_UPPER}){_END})?",
        _syslog,
        _priority_or_name,
    ),
    Format(
        "clf",
        r"\S{1,200}+ \S{1,100}+ [^\[\n]{0,100}+"
        r"\[(?P<stamp>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d) (?P<zone>[+-]\d{4})\]"
        r'(?: "[^"\n]{0,8000}+" (?P<level>\d{3}))?',
        _clf,
        _status,
    ),
    Format(
        "apache",  # its zone is the year, which stands behind the clock
        rf"\[[A-Z][a-z]{{2}} (?P<stamp>{_MONTH_DAY}){_FRACTION} (?P<zone>\d{{4}})\]"
        r"(?: \[(?:[\w-]{1,50}+:)?(?P<level>\w+)\])?",
        _apache,
        named_level,
    ),
    Format("clock", rf"\[?\d\d:\d\d:\d\d(?:[.,]\d{{1,9}}+)?\]?{_LEVEL}", iso, named_level),
    Format("bare", rf"[\[<(]?(?P<level>(?:{_UPPER})(?=[\]>):\s|])|{_ANY}(?=\]?:))", iso, named_level),
)
"""From the most to the least telling; the first that finds something in a line is the line's."""


def format_of(line: str) -> Format | None:
    """The first format that tells something of the line."""
    for known in FORMATS:
        found = known.start.match(line)
        if found is not None and (found["stamp"] or found["level"] or found["later"]):
            return known
    return None
