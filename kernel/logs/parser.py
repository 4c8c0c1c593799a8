"""Lines of a log as events: what the line tells of its level and its moment, and the line itself.

Made for a million lines in two seconds: a batch of lines goes through one pattern at once and through one encoder at
once, and what repeats from line to line (a second, a level) is looked up.
"""

from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any

from pydantic_core import from_json

from nexus.kernel.logs.formats import FORMATS, GROUPS, Format, format_of, named_level
from nexus.schemas.model import rfc3339
from nexus.sessions.lines import Level

Facts = tuple[Level | None, str | None]
"""A line's level, and its moment as RFC 3339 in UTC with microseconds."""

NOTHING: Facts = (None, None)
SEPARATOR = "\x7f"
"""Stands for the lines' ends while a batch is encoded: JSON leaves this character as it is."""

MOST_REMEMBERED = 4096
MOST_MISSES = 200
"""After so many lines in a row of no known format, only the first line of a batch is tried."""

LEVEL_KEYS = ("level", "severity", "lvl", "levelname", "log.level", "loglevel", "@l")
TIME_KEYS = ("time", "timestamp", "ts", "@timestamp", "t", "date", "datetime", "@t")
_NUMBERED: dict[int, Level] = {10: "trace", 20: "debug", 30: "info", 40: "warning", 50: "error", 60: "critical"}


class LogParser:
    """Reads the lines of one log. It expects the format that it saw last, and recognizes the others."""

    def __init__(self) -> None:
        self._misses = 0
        self._levels: dict[str, Level | None] = {}
        self._seconds: dict[tuple[str, str], str] = {}
        self._expect(FORMATS[-1])

    def facts(self, text: str) -> list[Facts]:
        """Return what each line of `text` tells; it ends with a newline."""
        if text.startswith("{"):
            return [self._alone(line, first=False) for line in text.split("\n")[:-1]]
        stamp_at, fraction_at, zone_at, level_at, later_at = self._places
        levels, seconds = self._levels, self._seconds
        found: list[Facts] = []
        add = found.append
        lines: list[str] = []
        slow = 0
        for groups in self._format.line.findall(text):
            word = groups[level_at] or groups[later_at]
            stamp = groups[stamp_at]
            if not word and not stamp:
                lines = lines or text.split("\n")
                facts = self._alone(lines[len(found)], first=not found)
                slow += facts is not NOTHING
                add(facts)
                continue
            level = levels[word] if word in levels else self._level(word)
            if not stamp:
                add((level, None))
                continue
            zone = groups[zone_at]
            second = seconds[stamp, zone] if (stamp, zone) in seconds else self._second(stamp, zone)
            add((level, f"{second}.{(groups[fraction_at] + '000000')[:6]}Z" if second else None))
        if slow * 2 > len(found):
            self._expect(self._last)
        return found

    def _expect(self, known: Format) -> None:
        self._format = self._last = known
        self._places = tuple(known.line.groupindex[name] - 1 for name in GROUPS)
        self._levels.clear()
        self._seconds.clear()

    def _alone(self, line: str, *, first: bool) -> Facts:
        """Read a line that is not of the expected format."""
        if line.startswith("{"):
            return _json_facts(line)
        if not line or line[0] in " \t" or (self._misses > MOST_MISSES and not first):
            return NOTHING
        known = format_of(line)
        if known is None:
            self._misses += 1
            return NOTHING
        self._misses = 0
        self._last = known
        match = known.start.match(line)
        if match is None:
            return NOTHING
        word = match["level"] or match["later"]
        moment = _moment(known, match["stamp"], match["zone"] or "") if match["stamp"] else None
        level = known.level(word) if word else None
        if moment is None:
            return level, None
        return level, f"{moment}.{((match['fraction'] or '') + '000000')[:6]}Z"

    def _level(self, word: str) -> Level | None:
        level = self._format.level(word) if word else None
        if len(self._levels) < MOST_REMEMBERED:
            self._levels[word] = level
        return level

    def _second(self, stamp: str, zone: str) -> str:
        second = _moment(self._format, stamp, zone) or ""
        if len(self._seconds) >= MOST_REMEMBERED:
            self._seconds.clear()
        self._seconds[stamp, zone] = second
        return second


def log_payloads(facts: list[Facts], text: str, source: str, more: str = "") -> list[str]:
    """Write a payload for each line of `text`, which `facts` are of; `more` are members of JSON behind a comma."""
    head = f'{{"type":"log"{more},"level":'
    tail = f',"source":{encode_basestring(source)}'
    return [
        f'{head}{_QUOTED[level]},"message":"{message}"{tail}' + (f',"time":"{moment}"}}' if moment else "}")
        for (level, moment), message in zip(facts, encoded_lines(text), strict=True)
    ]


_QUOTED: dict[Level | None, str] = {
    None: "null",
    **{level: f'"{level}"' for level in ("trace", "debug", "info", "warning", "error", "critical")},
}


def encoded_lines(text: str) -> list[str]:
    """Return each line of `text`, which ends with a newline, as the inside of a JSON string."""
    if SEPARATOR in text:
        return [encode_basestring(line)[1:-1] for line in text.split("\n")[:-1]]
    return encode_basestring(text.replace("\n", SEPARATOR))[1:-2].split(SEPARATOR)


def _moment(known: Format, stamp: str, zone: str) -> str | None:
    """The second, in UTC and without its end; None for one that there is not, such as 25:00."""
    try:
        return known.moment(stamp, zone).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, KeyError, OverflowError):
        return None


def _json_facts(line: str) -> Facts:
    try:
        entry = from_json(line)
    except ValueError:
        return NOTHING
    if not isinstance(entry, dict):
        return NOTHING
    level = next((_json_level(entry[key]) for key in LEVEL_KEYS if key in entry), None)
    moment = next((_json_moment(entry[key]) for key in TIME_KEYS if key in entry), None)
    return (level, moment) if level or moment else NOTHING


def _json_level(value: Any) -> Level | None:
    if isinstance(value, str):
        return named_level(value)
    return _NUMBERED.get(value // 10 * 10) if isinstance(value, int) else None


def _json_moment(value: Any) -> str | None:
    try:
        if isinstance(value, str):
            return rfc3339(datetime.fromisoformat(value).astimezone(UTC))
        if isinstance(value, int | float):
            while value > 1e11:  # milli, micro or nanoseconds
                value /= 1000
            return rfc3339(datetime.fromtimestamp(value, UTC))
    except (ValueError, OverflowError, OSError):
        return None
    return None
