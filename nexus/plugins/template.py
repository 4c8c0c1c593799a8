"""Templates of plugins for people's output: text with `{{name}}` in it, and `{{#items}}` … `{{/items}}` for lists.

Nothing in a template is run: a name is looked up in the data, along dots, and written as text.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexus.plugins.catalog import Catalog
from nexus.schemas.regular import open_regular

_SECTION = re.compile(r"\{\{([#^])([\w.]+)\}\}\n?(.*?)\{\{/\2\}\}\n?", re.DOTALL)
_NAME = re.compile(r"\{\{([\w.]+)\}\}")
_MOST_BYTES = 256 * 1024
_DEEPEST = 5


class TemplateInvalid(ValueError):
    """A template cannot be read."""


def template_for(catalog: Catalog, kind: str, path: str) -> str | None:
    """Return the text of the template for a command's path with dots, None where no plugin has one.

    A path in full goes before a pattern. Raises `TemplateInvalid`.
    """
    from fnmatch import fnmatchcase

    found: Path | None = None
    for known, templates in catalog.contributing("contributes", "templates", kind):
        for pattern, file in templates.items():
            if pattern == path or (found is None and fnmatchcase(path, pattern)):
                found = _inside(Path(known.candidate.folder), file)
                if pattern == path:
                    return _read(found)
    return _read(found) if found is not None else None


def _inside(folder: Path, file: str) -> Path:
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise TemplateInvalid(f"the template {file} leaves its plugin's folder")
    return path


def _read(path: Path) -> str:
    try:
        with open_regular(path) as file:
            return file.read(_MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateInvalid(f"the template {path} cannot be read: {error}") from error


def filled(text: str, data: Any, depth: int = 0) -> str:
    """Return a template's text with the data in it. What is not there is written as nothing."""

    def section(found: re.Match[str]) -> str:
        value = _value(found[2], data)
        if found[1] == "^":
            return "" if value else filled(found[3], data, depth + 1)
        if isinstance(value, list):
            return "".join(filled(found[3], _within(data, item), depth + 1) for item in value)
        if isinstance(value, Mapping):
            return filled(found[3], _within(data, value), depth + 1)
        return filled(found[3], data, depth + 1) if value else ""

    if depth < _DEEPEST:
        text = _SECTION.sub(section, text)
    return _NAME.sub(lambda found: _text(_value(found[1], data)), text)


def _within(data: Any, item: Any) -> Any:
    if isinstance(data, Mapping) and isinstance(item, Mapping):
        return {**data, **item, "this": item}
    return {**data, "this": item} if isinstance(data, Mapping) else item


def _value(name: str, data: Any) -> Any:
    for part in name.split("."):
        data = data.get(part) if isinstance(data, Mapping) else None
    return data


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
