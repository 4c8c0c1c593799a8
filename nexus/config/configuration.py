"""Reads and changes the configuration: flag over environment over profile over file over default, and says which."""

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

from pydantic import BaseModel
from pydantic import ValidationError as ModelError
from pydantic.fields import FieldInfo

from nexus.config.settings import Settings
from nexus.context.known import content_of
from nexus.context.store import write_whole
from nexus.schemas.command import ConfigSource, ConfigValue
from nexus.schemas.errors import ConfigInvalid, NotFound, ValidationError

if TYPE_CHECKING:
    import tomllib

_MOST_BYTES = 1024 * 1024


_SECTIONS: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}
_CATEGORIES: dict[str, dict[str, FieldInfo]] = {name: dict(model.model_fields) for name, model in _SECTIONS.items()}


@lru_cache(maxsize=8)
def _parsed(text: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(text)


@cache
def environment_name(key: str) -> str:
    """Return the variable that overrides a key: `NEXUS_OUTPUT_FORMAT` for `output.format`, or one of its own."""
    category, _, name = key.partition(".")
    field = _CATEGORIES.get(category, {}).get(name)
    extra = field.json_schema_extra if field is not None else None
    if isinstance(extra, dict) and "variable" in extra:
        return str(extra["variable"])
    return "NEXUS_" + key.replace(".", "_").upper()


class TomlConfiguration:
    """The settings of one command.

    `flags` maps keys to values given on the command line; `profile` returns the profile's name and what it sets. The
    file is read when a key is first asked for; without a file the defaults hold. Raises `ConfigInvalid` with line and
    column for a file that cannot be used, `NotFound` for a key that does not exist.
    """

    def __init__(
        self,
        path: Path,
        environment: Mapping[str, str],
        flags: Mapping[str, Any] | None = None,
        profile: Callable[[], tuple[str, Mapping[str, Any]]] | None = None,
    ) -> None:
        self.path = path
        self._profile = profile
        self._environment = environment
        self._flags = dict(flags or {})
        self._file: dict[str, Any] | None = None

    def categories(self) -> list[str]:
        """Return the names of the categories."""
        return sorted(_CATEGORIES)

    def all(self, category: str | None = None) -> list[ConfigValue]:
        """Return every setting, or those of one category."""
        if category is not None and category not in _CATEGORIES:
            raise NotFound(
                resource="category",
                reference=category,
                available=self.categories(),
                hint="nexus settings category list",
            )
        keys = [f"{name}.{key}" for name in self.categories() for key in _CATEGORIES[name] if category in (None, name)]
        return [self.get(key) for key in keys]

    def get(self, key: str) -> ConfigValue:
        """Return one setting and where it came from."""
        key, field = self._field(key)
        value, source, origin = self._found(key, field)
        return ConfigValue(key=key, value=value, source=source, origin=origin)

    def value(self, key: str) -> Any:
        """Return one setting's value: what every command asks for, without the rest."""
        return self._found(*self._field(key))[0]

    def _found(self, key: str, field: FieldInfo) -> tuple[Any, ConfigSource, str | None]:
        if key in self._flags:
            return self._checked(key, self._flags[key]), "flag", None
        variable = environment_name(key)
        if self._environment.get(variable):
            given = self._read(field, self._environment[variable])
            return self._checked(key, given, variable=variable), "environment", variable
        profile, settings = self._profile() if self._profile is not None else ("", {})
        if key in settings:
            return self._checked(key, settings[key], profile=profile), "profile", profile
        category, _, name = key.partition(".")
        section = self._content().get(category, {})
        if name in section:
            return self._checked(key, section[name], path=str(self.path)), "file", str(self.path)
        return field.get_default(call_default_factory=True), "default", None

    def set(self, key: str, value: Any) -> ConfigValue:
        """Write one setting to the file, whole or not at all, its comments kept."""
        import tomlkit

        key, field = self._field(key)
        checked = self._checked(key, self._read(field, value))
        category, _, name = key.partition(".")
        document = tomlkit.parse(self._text())
        section = document.setdefault(category, tomlkit.table())
        section[name] = checked
        self._write(tomlkit.dumps(document))
        return self.get(key)

    def unset(self, key: str) -> ConfigValue:
        """Take one setting out of the file and return what holds then."""
        import tomlkit

        key, _ = self._field(key)
        category, _, name = key.partition(".")
        document = tomlkit.parse(self._text())
        section = document.get(category)
        if section is not None and name in section:
            del section[name]
            self._write(tomlkit.dumps(document))
        return self.get(key)

    def _field(self, key: str) -> tuple[str, FieldInfo]:
        key = key.strip().casefold().replace("-", "_")
        category, _, name = key.partition(".")
        field = _CATEGORIES.get(category, {}).get(name)
        if field is None:
            available = [f"{known}.{name}" for known, fields in _CATEGORIES.items() for name in fields]
            raise NotFound(
                resource="setting", reference=key[:200], available=available, hint="nexus settings config view"
            )
        return key, field

    @staticmethod
    def _read(field: FieldInfo, value: Any) -> Any:
        """Read a list as it is written in one word: `a,b`."""
        is_list = get_origin(field.annotation) is list
        return (
            [part.strip() for part in value.split(",") if part.strip()] if is_list and isinstance(value, str) else value
        )

    def _checked(self, key: str, value: Any, **where: Any) -> Any:
        category, _, name = key.partition(".")
        try:
            return getattr(_SECTIONS[category].model_validate({name: value}), name)
        except ModelError as error:
            reason = error.errors(include_url=False)[0]["msg"]
            kind = ConfigInvalid if where else ValidationError
            told = f"{key}: {reason}."
            place = place_of(self._text(), category, name) if "path" in where else None
            if place is not None:
                where |= {"line": place[0], "column": place[1]}
                told = f"{self.path}, line {place[0]}, column {place[1]}: {told}"
            raise kind.because(told, field=key, hint=f"nexus settings config unset --key {key}", **where) from None

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

    def _content(self) -> dict[str, Any]:
        if self._file is None:
            text = self._text()
            if not text:
                self._file = {}
                return self._file
            import tomllib

            try:
                content = _parsed(text)
            except tomllib.TOMLDecodeError as error:
                raise self._unreadable(error, text) from error
            stray = [name for name, section in content.items() if not isinstance(section, dict)]
            if stray:
                raise ConfigInvalid.because(f"{self.path}: {stray[0]} is no table.", path=str(self.path), key=stray[0])
            self._file = content
        return self._file

    def _unreadable(self, error: "tomllib.TOMLDecodeError", text: str) -> ConfigInvalid:
        import re

        place = re.search(r"at line (\d+), column (\d+)", str(error))
        line, column = (int(place[1]), int(place[2])) if place else (text.count("\n") + 1, 1)
        return ConfigInvalid.because(
            f"{self.path}, line {line}, column {column}: {error}.",
            path=str(self.path),
            line=line,
            column=column,
            hint=f"Mend line {line} of {self.path}, or use another file with --config PATH.",
        )

    def _write(self, text: str) -> None:
        write_whole(self.path, text.encode())
        self._file = None


def place_of(text: str, category: str, name: str) -> tuple[int, int] | None:
    """Return line and column, from 1 on, of a setting's value; None where it is written in a rarer way."""
    import re

    table = ""
    assigned = re.compile(rf"""\s*["']?{re.escape(name)}["']?\s*=\s*""")
    dotted = re.compile(rf"""\s*["']?{re.escape(category)}["']?\s*\.\s*["']?{re.escape(name)}["']?\s*=\s*""")
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"""\s*\[\s*["']?([^\]"']+?)["']?\s*\]""", line)
        if header is not None:
            table = header[1]
            continue
        found = assigned.match(line) if table == category else dotted.match(line) if not table else None
        if found is not None:
            return number, found.end() + 1
    return None
