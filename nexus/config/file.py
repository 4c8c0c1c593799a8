"""The configuration file: every setting in it is held against its type, and a fault is told with line and column."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError as ModelError

from nexus.config.settings import CATEGORIES, SECTIONS
from nexus.context.known import content_of
from nexus.context.lock import held
from nexus.context.store import storage_error, write_whole
from nexus.schemas.errors import ConfigInvalid
from nexus.schemas.regular import expect_regular

_MOST_BYTES = 1024 * 1024
_PLAIN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?")
_PLACE = re.compile(r"at line (\d+), column (\d+)")
_HEADER = re.compile(r"""\s*\[\s*["']?([^\]"']+?)["']?\s*\]""")


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is wrong, where, and of which setting: `CATEGORY.KEY`, or what stands where a category should."""

    reason: str
    place: tuple[int, int] | None
    key: str | None = None


class ConfigFile:
    """One TOML file of settings, read when it is first asked for; one that is not there is empty.

    One that somebody `named` must be there to be read: a mistyped path must not mean the defaults.

    Raises `ConfigInvalid` for a file with anything in it that is no setting, or no value of one: a typo never passes.
    """

    def __init__(self, path: Path, *, named: bool = False) -> None:
        self.path = path
        self._named = named
        self._content: dict[str, Any] | None = None

    def section(self, category: str) -> Mapping[str, Any]:
        """Return what the file sets of a category. Raises `ConfigInvalid`."""
        if self._content is None:
            text = self._text()
            if not text and self._named and not os.path.exists(self.path):
                raise ConfigInvalid.because(
                    f"There is no configuration file {self.path}.",
                    path=str(self.path),
                    hint="nexus settings config set --help",
                )
            content, fault = _read(text) if text else ({}, None)
            if fault is not None:
                raise self._invalid(fault)
            self._content = content
        found: Mapping[str, Any] = self._content.get(category, {})
        return found

    def write(self, key: str, value: Any) -> None:
        """Write one setting, the file whole or not at all, its comments kept. Raises `ConfigInvalid`, storage errors.

        Other settings may be at fault: they are mended one by one.
        """
        import tomlkit

        category, _, name = key.partition(".")
        with self._alone():
            document = self._document()
            if not isinstance(document.get(category, {}), dict):
                del document[category]
            document.setdefault(category, tomlkit.table())[name] = value
            self._write(tomlkit.dumps(document))

    def remove(self, key: str) -> bool:
        """Take out one setting, or what stands there in its place; say whether there was any. Raises as `write`."""
        import tomlkit

        category, _, name = key.partition(".")
        if not os.path.lexists(self.path):
            return False
        with self._alone():
            document = self._document()
            section = document.get(category)
            if section is None or (name and (not isinstance(section, dict) or name not in section)):
                return False
            if name:
                del section[name]
            if not name or (not section and category not in SECTIONS):
                del document[category]
            self._write(tomlkit.dumps(document))
        return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other writers out from the reading to the writing: two settings set at once are both set."""
        try:
            expect_regular(self.path)
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with held(self.path.with_name(f".{self.path.name}.lock")):
                yield
        except OSError as error:
            raise storage_error(error, self.path) from error

    def _document(self) -> Any:
        import tomlkit
        from tomlkit.exceptions import TOMLKitError

        text = self._text()
        _, fault = _read(text)
        if fault is not None and fault.key is None:
            raise self._invalid(fault)
        try:
            return tomlkit.parse(text)
        except TOMLKitError as error:
            raise ConfigInvalid.because(f"{self.path}: {error}.", path=str(self.path)) from error

    def _write(self, text: str) -> None:
        write_whole(self.path, text.encode())
        self._content = None

    def _text(self) -> str:
        try:
            content = content_of(str(self.path), _MOST_BYTES)
        except OSError as error:
            raise ConfigInvalid.because(
                f"{self.path} cannot be read: {error.strerror}.", path=str(self.path)
            ) from error
        if content is None:
            return ""
        if len(content) > _MOST_BYTES:
            raise ConfigInvalid.because(f"{self.path} is larger than {_MOST_BYTES} bytes.", path=str(self.path))
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise ConfigInvalid.because(f"{self.path} is no UTF-8: {error.reason}.", path=str(self.path)) from error

    def _invalid(self, fault: _Fault) -> ConfigInvalid:
        where = {} if fault.place is None else dict(zip(("line", "column"), fault.place, strict=True))
        shown = f"{self.path}, line {where['line']}, column {where['column']}" if where else str(self.path)
        if fault.key is not None and _PLAIN.fullmatch(fault.key):
            hint = f"nexus settings config unset --key {fault.key}"
        else:
            hint = f"Mend line {where.get('line', 1)} of {self.path}, or use another file with --config PATH."
        return ConfigInvalid.because(
            f"{shown}: {fault.reason}.", field=fault.key, path=str(self.path), hint=hint, **where
        )


@lru_cache(maxsize=8)
def _read(text: str) -> tuple[dict[str, Any], _Fault | None]:
    """Read a file's text: what it sets, and the first fault in it."""
    import tomllib

    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.search(str(error))
        place = (int(found[1]), int(found[2])) if found else (text.count("\n") + 1, 1)
        return {}, _Fault(str(error), place)
    for category, section in content.items():
        fault = _fault_in(text, category, section)
        if fault is not None:
            return content, fault
    return content, None


def _fault_in(text: str, category: str, section: Any) -> _Fault | None:
    if not isinstance(section, dict):
        return _Fault(f"{category} is no table of settings", place_of(text, "", category), category)
    model = SECTIONS.get(category)
    if model is None:
        told = f"there is no category {category!r} of settings{_like(category, SECTIONS)}"
        first = next(iter(section), None)
        return _Fault(told, _header_of(text, category), category if first is None else f"{category}.{first}")
    for name, value in section.items():
        key, place = f"{category}.{name}", place_of(text, category, name)
        if name not in CATEGORIES[category]:
            return _Fault(f"there is no setting {key!r}{_like(name, CATEGORIES[category])}", place, key)
        try:
            model.model_validate({name: value})
        except ModelError as error:
            found = error.errors(include_url=False, include_input=False)[0]
            return _Fault(f"{key}: {found['msg']}", place, key)
    return None


def _like(name: str, known: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    found = get_close_matches(name, known, n=1)
    return f"; did you mean {found[0]!r}" if found else ""


def place_of(text: str, category: str, name: str) -> tuple[int, int] | None:
    """Return line and column, from 1 on, of a setting's value; None where it is written in a rarer way."""
    table = ""
    assigned = re.compile(rf"""\s*["']?{re.escape(name)}["']?\s*=\s*""")
    dotted = re.compile(rf"""\s*["']?{re.escape(category)}["']?\s*\.\s*["']?{re.escape(name)}["']?\s*=\s*""")
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header is not None:
            table = header[1]
            continue
        found = assigned.match(line) if table == category else dotted.match(line) if not table else None
        if found is not None:
            return number, found.end() + 1
    return None


def _header_of(text: str, category: str) -> tuple[int, int] | None:
    """Return where a category is first named."""
    named = re.compile(rf"""\s*(?:\[\s*)?["']?({re.escape(category)})["']?\s*[\].=]""")
    for number, line in enumerate(text.splitlines(), 1):
        found = named.match(line)
        if found is not None:
            return number, found.start(1) + 1
    return None
