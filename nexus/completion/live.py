"""Values that live in the kernel or in files of ours: which command lists them, and in which field they stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nexus.dispatch.dispatcher import Answer
from nexus.exec.runner import Request, Runner
from nexus.registry.flags import GLOBAL_OPTIONS
from nexus.schemas.command import CommandPath, CommandSpec, OptionSpec

MOST_VALUES = 200
LONGEST_SECONDS = 2.0
"""How long a person waits for a candidate at the most."""


@dataclass(frozen=True, slots=True)
class Source:
    """A command that lists things, and the field of an item that is the value: the first of these that it has."""

    path: CommandPath
    values: tuple[str, ...]


_NAMES = ("name", "title")
_IDENTITIES = ("id", "sessionId")

_OF_FLAGS: dict[str, Source] = {
    "project": Source(("agent", "project", "list"), _NAMES),
    "roadmap": Source(("agent", "roadmap", "list"), _NAMES),
    "chat": Source(("agent", "chat", "list"), _NAMES),
    "context": Source(("settings", "context", "list"), _NAMES),
    "profile": Source(("settings", "profile", "list"), _NAMES),
    "session_id": Source(("session", "live", "list"), _IDENTITIES),
}
"""Global flags that name a thing."""

_OF_RESOURCES: dict[tuple[str, str, str], Source] = {
    ("settings", "config", "key"): Source(("settings", "config", "view"), ("key",)),
    ("settings", "config", "category"): Source(("settings", "category", "list"), _NAMES),
    ("settings", "option", "category"): Source(("settings", "category", "list"), _NAMES),
    ("pipeline", "definition", "pipeline"): Source(("pipeline", "definition", "list"), _NAMES),
    ("pipeline", "run", "pipeline"): Source(("pipeline", "definition", "list"), _NAMES),
    ("pipeline", "run", "run"): Source(("pipeline", "run", "history"), _IDENTITIES),
    ("pipeline", "step", "run"): Source(("pipeline", "run", "history"), _IDENTITIES),
}


def source_of(path: CommandPath, option: OptionSpec, spec: CommandSpec | None) -> Source | None:
    """Return where an option's values are listed, or None.

    `--id` names one of the command's own resource, which its `list` lists; so does `--name` or `--title` where it may
    stand in the place of `--id`, and not where it is a new name.
    """
    if option in GLOBAL_OPTIONS:
        return _OF_FLAGS.get(option.name)
    if spec is None or len(path) < 3:
        return None
    special = _OF_RESOURCES.get((path[0], path[1], option.name))
    if special is not None:
        return special
    listed = (*path[:2], "list")
    if option.name == "id":
        return Source(listed, _IDENTITIES)
    identity = next((known for known in spec.options if known.name == "id"), None)
    if option.name in _NAMES and identity is not None and not identity.required:
        return Source(listed, _NAMES)
    return None


class LiveValues:
    """Asks the commands that list things, in the caller's surroundings. What fails or lasts too long lists nothing."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def __call__(self, source: Source, given: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the values and what they are, under the flags that were typed."""
        flags = {name: value for name, value in given.items() if name in _OF_FLAGS or name == "server"}
        arguments = {"limit": MOST_VALUES, "timeout": LONGEST_SECONDS, **flags}
        answer, _ = await self._runner.run(Request(path=source.path, arguments=arguments))
        data = answer.envelope.data if isinstance(answer, Answer) else None
        items = data.get("items") if isinstance(data, dict) else None
        return [found for item in items or () if isinstance(item, dict) and (found := _value(source, item))]


def _value(source: Source, item: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return an item's value, and what tells it from others: its name beside an id, and the other way round."""
    fields = [name for name in (*source.values, *_NAMES, *_IDENTITIES, "value") if item.get(name) is not None]
    if not fields or fields[0] not in source.values:
        return None
    others = [str(item[name]) for name in fields if item[name] != item[fields[0]]]
    return str(item[fields[0]]), others[0] if others else ""
