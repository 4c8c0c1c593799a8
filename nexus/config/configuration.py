"""Reads and changes the configuration: flag over environment over profile over file over default, and says which."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError as ModelError
from pydantic.fields import FieldInfo

from nexus.config.file import ConfigFile
from nexus.config.settings import CATEGORIES, SECTIONS
from nexus.schemas.command import ConfigSource, ConfigValue
from nexus.schemas.errors import ConfigInvalid, NotFound, ValidationError

FLAGS = {"output.format": "output", "runtime.timeout": "timeout", "server.url": "server"}
"""Settings that a flag decides, and its name."""


@cache
def environment_name(key: str) -> str:
    """Return the variable that overrides a key: `NEXUS_OUTPUT_FORMAT` for `output.format`, or one of its own."""
    category, _, name = key.partition(".")
    field = CATEGORIES.get(category, {}).get(name)
    extra = field.json_schema_extra if field is not None else None
    if isinstance(extra, dict) and "variable" in extra:
        return str(extra["variable"])
    return "NEXUS_" + key.replace(".", "_").upper()


class TomlConfiguration:
    """The settings of one command.

    `flags` maps keys to values given on the command line; `profile` returns the profile's name and what it sets. The
    file is read when a key is first asked for; without a file the defaults hold, unless it was `named`. Raises
    `ConfigInvalid` with line and column for a file that cannot be used, `NotFound` for a key that does not exist.
    """

    def __init__(
        self,
        path: Path,
        environment: Mapping[str, str],
        flags: Mapping[str, Any] | None = None,
        profile: Callable[[], tuple[str, Mapping[str, Any]]] | None = None,
        *,
        named: bool = False,
    ) -> None:
        self.path = path
        self._file = ConfigFile(path, named=named)
        self._profile = profile
        self._environment = environment
        self._flags = dict(flags or {})

    def categories(self) -> list[str]:
        """Return the names of the categories."""
        return sorted(CATEGORIES)

    def all(self, category: str | None = None) -> list[ConfigValue]:
        """Return every setting, or those of one category."""
        if category is not None and category not in CATEGORIES:
            raise NotFound(
                resource="category",
                reference=category,
                available=self.categories(),
                hint="nexus settings category list",
            )
        keys = [f"{name}.{key}" for name in self.categories() for key in CATEGORIES[name] if category in (None, name)]
        return [self.get(key) for key in keys]

    def get(self, key: str) -> ConfigValue:
        """Return one setting and where it came from."""
        key, field = self._field(key)
        value, source, origin = self._found(key, field)
        return ConfigValue(key=key, value=value, source=source, origin=origin)

    def value(self, key: str) -> Any:
        """Return one setting's value: what every command asks for, without the rest."""
        return self._found(*self._field(key))[0]

    def default(self, key: str) -> Any:
        """Return what one setting is where nobody sets it."""
        return self._field(key)[1].get_default(call_default_factory=True)

    def _found(self, key: str, field: FieldInfo) -> tuple[Any, ConfigSource, str | None]:
        decided = self._over_file(key, field)
        if decided is not None:
            return decided
        category, _, name = key.partition(".")
        section = self._file.section(category)
        if name in section:
            return self._checked(key, section[name]), "file", str(self.path)
        return self.default(key), "default", None

    def _over_file(self, key: str, field: FieldInfo) -> tuple[Any, ConfigSource, str | None] | None:
        """Return what decides a key whatever the file says."""
        if key in self._flags:
            return self._checked(key, self._flags[key], flag=FLAGS.get(key)), "flag", None
        variable = environment_name(key)
        if self._environment.get(variable):
            given = self._read(field, self._environment[variable])
            return self._checked(key, given, variable=variable), "environment", variable
        profile, settings = self._profile() if self._profile is not None else ("", {})
        if key in settings:
            return self._checked(key, settings[key], profile=profile), "profile", profile
        return None

    def set(self, key: str, value: Any) -> ConfigValue:
        """Write one setting to the file and return what holds then, whatever else in the file is at fault."""
        key, field = self._field(key)
        checked = self._checked(key, self._read(field, value))
        self._file.write(key, checked)
        value, source, origin = self._over_file(key, field) or (checked, "file", str(self.path))
        return ConfigValue(key=key, value=value, source=source, origin=origin)

    def unset(self, key: str) -> ConfigValue:
        """Take one setting out of the file and return what holds then; also what is in the file and is no setting."""
        if self._file.remove(key) and key not in self:
            return ConfigValue(key=key, value=None, source="default")
        key, field = self._field(key)
        self._file.remove(key)
        value, source, origin = self._over_file(key, field) or (self.default(key), "default", None)
        return ConfigValue(key=key, value=value, source=source, origin=origin)

    def __contains__(self, key: str) -> bool:
        try:
            self._field(key)
        except NotFound:
            return False
        return True

    def _field(self, key: str) -> tuple[str, FieldInfo]:
        key = key.strip().casefold().replace("-", "_")
        category, _, name = key.partition(".")
        field = CATEGORIES.get(category, {}).get(name)
        if field is None:
            available = [f"{known}.{name}" for known, fields in CATEGORIES.items() for name in fields]
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

    @staticmethod
    def _checked(key: str, value: Any, *, flag: str | None = None, **where: Any) -> Any:
        category, _, name = key.partition(".")
        try:
            return getattr(SECTIONS[category].model_validate({name: value}), name)
        except ModelError as error:
            reason = error.errors(include_url=False, include_input=False)[0]["msg"]
            if flag is not None:
                raise ValidationError.because(f"--{flag}: {reason}.", field=flag, given=str(value)[:200]) from None
            kind = ConfigInvalid if where else ValidationError
            raise kind.because(f"{key}: {reason}.", field=key, hint=_mend(where), **where) from None


def _mend(where: Mapping[str, Any]) -> str:
    """Return what mends a value that cannot be: it was typed, or is in a variable, or in a profile."""
    if "variable" in where:
        return f"unset {where['variable']}"
    return "nexus settings profile list" if "profile" in where else "nexus settings config set --help"
