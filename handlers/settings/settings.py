"""What the views on the configuration share: reading a category as one model, and writing several keys of it."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import Field
from pydantic.alias_generators import to_camel

from nexus.schemas.command import Configuration, ConfigValue
from nexus.schemas.errors import ConfigInvalid, NotFound
from nexus.schemas.model import Model

View = TypeVar("View", bound="CategoryView")


class CategoryView(Model):
    """A category's values as fields; `sources` says of each where it came from."""

    sources: dict[str, str] = Field(description="Of each field: flag, environment, file or default.")


class SettingChanged(ConfigValue):
    """The setting as it holds now. `changed` says whether that is another value than before."""

    changed: bool
    before: Any = Field(description="The value that held before.")


def view_of(config: Configuration, category: str, model: type[View]) -> View:
    """Return a category as its model."""
    values = {value.key.removeprefix(f"{category}."): value for value in config.all(category)}
    return model.model_validate(
        {
            **{name: value.value for name, value in values.items()},
            "sources": {to_camel(name): value.source for name, value in values.items()},
        }
    )


def write_category(config: Configuration, category: str, wanted: Mapping[str, Any]) -> list[str]:
    """Write the values that differ from what holds, and return the fields that hold another value now."""
    changed = []
    for name, value in wanted.items():
        if write_setting(config, f"{category}.{name}", value).changed:
            changed.append(to_camel(name))
    return changed


def write_setting(config: Configuration, key: str, value: Any) -> SettingChanged:
    """Write one setting. Raises `NotFound` for the key and `ValidationError` for the value."""
    before = _before(config, key)
    return _changed(before, config.set(key, value))


def unset_setting(config: Configuration, key: str) -> SettingChanged:
    """Take one setting out of the file. Raises `NotFound`."""
    try:
        before = _before(config, key)
    except NotFound:
        # What is no setting may stand in the file, and keep every other command from running.
        return SettingChanged(**dict(config.unset(key)), changed=True, before=None)
    return _changed(before, config.unset(key))


def _before(config: Configuration, key: str) -> Any:
    """Return the value that holds; under a file that is at fault none does. Raises `NotFound` for the key."""
    try:
        return config.get(key).value
    except ConfigInvalid:
        return None


def _changed(before: Any, after: ConfigValue) -> SettingChanged:
    return SettingChanged(**dict(after), changed=before != after.value, before=before)


def told(result: SettingChanged) -> str:
    """Say what holds now, and what stands in the way of the file."""
    if result.source in {"environment", "flag"}:
        return f"Written, but {result.origin or 'a flag'} decides {result.key}: it stays {result.value!r}."
    if result.value is None and result.changed and result.before is None:
        return f"{result.key} was no setting, and is out of the file."
    return f"{result.key} is {result.value!r} ({result.source})."
