"""Semantic versions (semver.org) and the ranges in which a plugin says what it needs."""

import re
from dataclasses import dataclass
from functools import total_ordering

_VERSION = re.compile(
    r"v?(?P<major>0|[1-9]\d{0,8})\.(?P<minor>0|[1-9]\d{0,8})\.(?P<patch>0|[1-9]\d{0,8})"
    r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?"
)
_PART = re.compile(
    r"(?P<sign>\^|~|>=|<=|>|<|=|==|!=)?\s*"
    r"v?(?P<major>\d{1,9}|[xX*])(?:\.(?P<minor>\d{1,9}|[xX*]))?(?:\.(?P<patch>\d{1,9}|[xX*]))?"
    r"(?:-(?P<pre>[0-9A-Za-z.-]+))?"
)
LONGEST = 200


class VersionInvalid(ValueError):
    """A text is no semantic version, or no range of them."""


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """One version. `pre` are the identifiers behind the hyphen; build metadata, which ranks none, is forgotten."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read `1.2.3`, `1.2.3-rc.1`, `1.2.3+build`. Raises `VersionInvalid`."""
        found = _VERSION.fullmatch(text.strip()) if len(text) <= LONGEST else None
        if found is None:
            raise VersionInvalid(f"{text[:LONGEST]!r} is no semantic version such as 1.2.3")
        pre = tuple((found["pre"] or "").split(".")) if found["pre"] else ()
        return cls(int(found["major"]), int(found["minor"]), int(found["patch"]), pre)

    @property
    def release(self) -> tuple[int, int, int]:
        """The three numbers."""
        return (self.major, self.minor, self.patch)

    def __lt__(self, other: "Version") -> bool:
        return _rank(self) < _rank(other)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}" + (f"-{'.'.join(self.pre)}" if self.pre else "")


def _rank(version: Version) -> tuple[object, ...]:
    """Order as semver 2.0.0, paragraph 11: a pre-release is before its release, numbers are before words."""
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in version.pre)
    return (*version.release, not version.pre, parts)


@dataclass(frozen=True, slots=True)
class _Bound:
    sign: str
    version: Version

    def holds(self, version: Version) -> bool:
        if self.sign == "!=":
            return version != self.version
        if self.sign == "=":
            return version == self.version
        if self.sign == ">=":
            return version >= self.version
        if self.sign == ">":
            return version > self.version
        return version <= self.version if self.sign == "<=" else version < self.version


@dataclass(frozen=True, slots=True)
class Range:
    """Versions that will do: `^1.2`, `~1.2.3`, `>=1,<2`, `1.x`, `*`, and several of them with `||` between.

    A pre-release is in a range only where the range names a pre-release of the same three numbers.
    """

    text: str
    _any_of: tuple[tuple[_Bound, ...], ...]

    @classmethod
    def parse(cls, text: str) -> "Range":
        """Read a range. Raises `VersionInvalid`."""
        if len(text) > LONGEST:
            raise VersionInvalid(f"{text[:LONGEST]!r} is too long for a range of versions")
        return cls(text.strip(), tuple(_all_of(part, text) for part in text.split("||")))

    def holds(self, version: Version) -> bool:
        """Say whether a version is in the range."""
        return any(_admits(bounds, version) for bounds in self._any_of)

    def __str__(self) -> str:
        return self.text


def _admits(bounds: tuple[_Bound, ...], version: Version) -> bool:
    if version.pre and not any(bound.version.pre and bound.version.release == version.release for bound in bounds):
        return False
    return all(bound.holds(version) for bound in bounds)


def _all_of(text: str, whole: str) -> tuple[_Bound, ...]:
    bounds: list[_Bound] = []
    rest = text.strip()
    while rest:
        found = _PART.match(rest)
        if found is None:
            raise VersionInvalid(f"{whole!r} is no range of versions such as ^1.2 or >=1,<2")
        bounds += _bounds(found)
        rest = rest[found.end() :].lstrip(" ,")
    if not bounds and text.strip():
        raise VersionInvalid(f"{whole!r} is no range of versions such as ^1.2 or >=1,<2")
    return tuple(bounds)


def _bounds(found: re.Match[str]) -> list[_Bound]:
    numbers: list[int] = []
    for name in ("major", "minor", "patch"):
        if found[name] is None or found[name] in "xX*":
            break
        numbers.append(int(found[name]))
    low = _version(numbers, tuple(found["pre"].split(".")) if found["pre"] else ())
    sign = {"==": "=", None: "="}.get(found["sign"], str(found["sign"]))
    if not numbers:
        return [_Bound(">=", Version(0, 0, 0))]
    if sign == "^":
        fixed = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
        return [_Bound(">=", low), _Bound("<", _after(numbers[: fixed + 1]))]
    if sign == "~":
        return [_Bound(">=", low), _Bound("<", _after(numbers[:2]))]
    if sign == "=" and len(numbers) < 3:
        return [_Bound(">=", low), _Bound("<", _after(numbers))]
    if sign in (">", "<=") and len(numbers) < 3:
        # >1.2 begins behind all of 1.2, <=1.2 reaches to its end.
        return [_Bound(">=" if sign == ">" else "<", _after(numbers))]
    return [_Bound(sign, low)]


def _after(numbers: list[int]) -> Version:
    """Return the first version behind all that begin with these numbers."""
    raised = [*numbers[:-1], numbers[-1] + 1]
    return _version(raised)


def _version(numbers: list[int], pre: tuple[str, ...] = ()) -> Version:
    major, minor, patch = [*numbers, 0, 0, 0][:3]
    return Version(major, minor, patch, pre)
