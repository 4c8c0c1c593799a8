"""A new plugin that works, with a test that shows it: from the built-in template, or from a scaffold of a plugin."""

import re
import secrets
import shutil
from pathlib import Path
from string import Template

from nexus.context.store import storage_error
from nexus.plugins.catalog import Catalog
from nexus.plugins.stamps import files_below
from nexus.schemas.errors import Conflict, NotFound, PluginInvalid, ValidationError
from nexus.schemas.plugin import PluginKind

BUILT_IN = "command"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_MANIFEST = """\
# What nexus knows of the plugin without running it. docs/how-to/plugins.md tells of every key.
name: $name
version: 0.1.0
kind: $kind
summary: Greets people.
requires:
  nexus: ">=0.1"
entry: $module:plugin

namespaces:
  $name:
    summary: Greetings.
    resources:
      greeting:
        summary: Greetings for people.
        actions:
          say:
            summary: Greet somebody.
            flags:
              name: {description: Who is greeted., default: you, short: n}
            effects: [read, idempotent]
            result:
              type: object
              required: [greeting]
              properties:
                greeting: {type: string}
            examples:
              - {line: nexus $name greeting say --name Ada, shows: A greeting}
          count:
            summary: Count up to a number, an event each.
            flags:
              to: {type: integer, description: Where to end., default: 3, minimum: 1, maximum: 1000}
            effects: [read, streaming]
            examples:
              - {line: nexus $name greeting count --to 2, shows: Two events}
"""

_MODULE = '''\
"""The commands of the plugin $name."""

from collections.abc import Iterator
from typing import Any

from nexus.plugin import ExecutionContext, NexusPlugin

plugin = NexusPlugin()


@plugin.command("$name greeting say")
def say(context: ExecutionContext) -> dict[str, Any]:
    """Return the result; nexus holds it against the schema in the manifest."""
    return {"greeting": f"Hello, {context.args.name}!"}


@plugin.command("$name greeting count")
def count(context: ExecutionContext) -> Iterator[dict[str, Any]]:
    """Yield events; nexus prints each as it comes."""
    for number in range(1, context.args.to + 1):
        yield {"number": number}
'''

_TEST = '''\
"""Runs the plugin as nexus does, in a home of its own: python -m unittest discover -s tests"""

import unittest
from pathlib import Path

from nexus.plugin import Trial


class TheCommands(unittest.TestCase):
    def test_say_greets(self) -> None:
        with Trial(Path(__file__).parents[1]) as trial:
            answer = trial.run("$name greeting say --name Ada")
            self.assertEqual(answer["data"], {"greeting": "Hello, Ada!"})
            events = trial.stream("$name greeting count --to 2")
            numbers = [event["payload"] for event in events if event["event"] == "data"]
            self.assertEqual(numbers, [{"number": 1}, {"number": 2}])


if __name__ == "__main__":
    unittest.main()
'''

_README = """\
# $name

A plugin of nexus. `plugin.yml` declares its commands, `$module.py` does their work, `tests/` runs them:

    python -m unittest discover -s tests

After a change `nexus settings plugin list` says whether the manifest can be used; the next command runs the new code.
"""

_FILES = {
    "plugin.yml": _MANIFEST,
    "$module.py": _MODULE,
    "tests/test_$module.py": _TEST,
    "README.md": _README,
}


def write_scaffold(catalog: Catalog, name: str, *, kind: PluginKind, target: Path, template: str) -> list[str]:
    """Write a new plugin and return its files. Raises `Conflict`, `NotFound`, `ValidationError`, storage errors."""
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise ValidationError.because(
            "A plugin's name has small letters and digits, words of them with '-' between, 40 at the most.",
            field="name",
        )
    if target.exists():
        raise Conflict.because(f"{target} is there already.", path=str(target), hint="nexus settings plugin list")
    if any(known.name == name for known in catalog.plugins):
        raise Conflict.because(f"There is a plugin {name} already.", hint=f"nexus settings plugin view --name {name}")
    texts = _FILES if template == BUILT_IN else _of_plugin(catalog, template)
    values = {"name": name, "kind": kind, "module": f"{name.replace('-', '_')}_plugin"}
    draft = target.with_name(f".{name}.{secrets.token_hex(4)}")
    written = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for name_of_file, text in texts.items():
            path = Template(name_of_file).safe_substitute(values)
            file = draft / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template(text).safe_substitute(values), encoding="utf-8")
            written.append(path)
        draft.rename(target)
    except OSError as error:
        raise storage_error(error, target) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return sorted(written)


def _of_plugin(catalog: Catalog, template: str) -> dict[str, str]:
    """Return the files of a scaffold that a plugin contributes; `$$name` in them stands for the new plugin's."""
    available = [BUILT_IN]
    for known, scaffolds in catalog.contributing("contributes", "templates", "scaffolds"):
        available += scaffolds
        if template in scaffolds:
            folder = Path(known.candidate.folder)
            root = (folder / scaffolds[template]).resolve()
            if not root.is_relative_to(folder.resolve()):
                raise PluginInvalid.because(f"The scaffold {template} of {known.name} leaves its folder.")
            try:
                return {path: (root / path).read_text(encoding="utf-8") for path in files_below(root)}
            except (OSError, ValueError) as error:
                raise PluginInvalid.because(
                    f"The scaffold {template} of {known.name} cannot be read: {error}."
                ) from error
    raise NotFound(
        resource="template", reference=template[:200], available=available, hint="nexus help settings plugin create"
    )
