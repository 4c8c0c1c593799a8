"""50 plugins installed against none, for a command of another: warm, first command, one-shot.

Both homes are of one installed nexus. The plugins lie in the user's folder, three commands each, one of them with a
hook on commands that are not measured.
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from installed import Installed, installed
from measure import Row, at_most, in_turns, once, report

_CODE = '''"""Generated."""


def tell(context):
    return {"told": context.args.text}
'''
BAR = 1.1


def _manifest(number: int) -> dict[str, object]:
    name = f"plugin{number}"
    actions = {
        action: {
            "summary": f"Tell {action}.",
            "call": f"{name}_code:tell",
            "flags": {"text": {"required": True, "description": "What to tell."}},
            "result": {"type": "object", "required": ["told"], "properties": {"told": {"type": "string"}}},
            "examples": [{"line": f"nexus {name} word {action} --text x", "shows": "x"}],
        }
        for action in ("say", "shout", "whisper")
    }
    manifest: dict[str, object] = {
        "name": name,
        "version": "1.0.0",
        "kind": "custom",
        "summary": f"Plugin {number}.",
        "namespaces": {name: {"resources": {"word": {"actions": actions}}}},
    }
    if number == 0:
        manifest["hooks"] = [{"event": "command.after", "call": f"{name}_code:tell", "commands": ["plugin0.*"]}]
    return manifest


def with_plugins(nexus: Installed, count: int, home: Path) -> Installed:
    """Return the same nexus with a home of its own that has so many plugins."""
    for number in range(count):
        folder = home / "data" / "plugins" / f"plugin{number}"
        folder.mkdir(parents=True)
        (folder / "plugin.yml").write_text(json.dumps(_manifest(number)))
        (folder / f"plugin{number}_code.py").write_text(_CODE)
    return replace(nexus, environment=nexus.environment | {"NEXUS_HOME": str(home)})


def first_command(nexus: Installed, words: tuple[str, ...]) -> float:
    """Time a command that has to start the resident."""
    nexus.stop()
    return once([nexus.nexus, *words], nexus.environment)


def measure(none: Installed, many: Installed, rounds: int) -> list[Row]:
    rows = []
    both = {"none": none, "many": many}
    for words in (("agent", "project", "list"), ("version",)):
        name = " ".join(words)
        warm = {k: lambda n=n, w=words: once([n.nexus, *w], n.environment) for k, n in both.items()}
        rows.append(_row(f"warm: {name}", in_turns(warm, rounds)))
        begun = {k: lambda n=n, w=words: first_command(n, w) for k, n in both.items()}
        rows.append(_row(f"first command: {name}", in_turns(begun, max(rounds // 4, 3), warm_up=1)))
        for nexus in both.values():
            nexus.stop()
        alone = {
            k: lambda n=n, w=words: once([n.nexus, *w], n.environment | {"NEXUS_RESIDENT": "0"})
            for k, n in both.items()
        }
        rows.append(_row(f"one-shot: {name}", in_turns(alone, max(rounds // 2, 3))))
    return rows


def _row(what: str, taken: dict[str, float]) -> Row:
    detail = f"{taken['many'] * 1000:.1f} ms / {taken['none'] * 1000:.1f} ms"
    return at_most(what, taken["many"] / taken["none"], BAR, detail=detail)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--plugins", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=80)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="nexus-plugins-"))
    try:
        with installed(options.python) as nexus:
            both = [with_plugins(nexus, count, folder / str(count)) for count in (0, options.plugins)]
            listed = json.loads(both[1].run("settings", "plugin", "list", "--limit", "1000").stdout)["data"]["items"]
            if [each["state"] for each in listed] != ["active"] * options.plugins:
                raise SystemExit(f"not all plugins are active: {listed}")
            try:
                rows = measure(both[0], both[1], options.rounds)
            finally:
                for each in both:
                    each.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report("Plugins", rows)


if __name__ == "__main__":
    main()
