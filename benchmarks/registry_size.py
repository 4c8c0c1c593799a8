"""10,000 registered commands against 150: resolving, helping and running must cost the same.

The commands are real: a copy of the checkout gets generated handler modules beside its own, and an index built from
all of them, by the one door that every command comes in by.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from installed import ROOT, Installed, install
from measure import Row, at_most, in_turns, once, report

_MODULE = '''"""Generated commands, {number}."""

from nexus.schemas.command import Arguments, CommandHandler, Example, ExecutionContext
from nexus.schemas.kernel import Health


class Told(Health):
    """An answer."""


{classes}
'''

_CLASS = '''
class Command{number}(CommandHandler[Arguments, Told]):
    """Tell {number}."""

    path = ("bulk{space}", "thing{resource}", "do{number}")
    result = Told
    examples = (Example(line="nexus bulk{space} thing{resource} do{number}", shows="it"),)

    async def execute(self, context: ExecutionContext[Arguments]) -> Told:
        return Told(status="ok", version="{number}")
'''


def copy_with(commands: int, target: Path) -> Path:
    """Copy the checkout and give it so many more commands, ten a resource and ten resources a namespace."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        origin, copy = ROOT / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_symlink():
            copy.symlink_to(origin.readlink())
        else:
            shutil.copy2(origin, copy)
    for first in range(0, commands, 10):
        classes = "\n".join(
            _CLASS.format(number=number, space=number // 100, resource=number // 10 % 10)
            for number in range(first, min(first + 10, commands))
        )
        folder = target / "handlers" / f"bulk{first // 100}"
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text('"""Generated."""\n')
        (folder / f"thing{first // 10 % 10}.py").write_text(_MODULE.format(number=first, classes=classes))
    subprocess.run([sys.executable, "-m", "nexus.registry.build"], cwd=target, check=True)
    project = target / "pyproject.toml"
    spaces = range((commands + 99) // 100)
    packages = "".join(f'  "nexus.handlers.bulk{space}",\n' for space in spaces)
    folders = "".join(f'"nexus.handlers.bulk{space}" = "handlers/bulk{space}"\n' for space in spaces)
    text = project.read_text().replace('  "nexus.handlers",\n', f'  "nexus.handlers",\n{packages}', 1)
    project.write_text(text.replace("[tool.setuptools.package-dir]\n", f"[tool.setuptools.package-dir]\n{folders}", 1))
    return target


def first_command(nexus: Installed, words: tuple[str, ...]) -> float:
    """Time a command that has to start the resident."""
    nexus.stop()
    return once([nexus.nexus, *words], nexus.environment)


def measure(few: Installed, many: Installed, rounds: int) -> list[Row]:
    rows = []
    both = {"few": few, "many": many}
    for words in (("agent", "project", "list"), ("help", "agent", "project", "list"), ("bulk0", "thing0", "do5")):
        name = " ".join(words)
        warm = {k: lambda n=n, w=words: once([n.nexus, *w], n.environment) for k, n in both.items()}
        rows.append(_row(f"warm: {name}", in_turns(warm, rounds)))
        begun = {k: lambda n=n, w=words: first_command(n, w) for k, n in both.items()}
        rows.append(_row(f"first command: {name}", in_turns(begun, rounds // 4, warm_up=1)))
        for nexus in both.values():
            nexus.stop()
        alone = {
            k: lambda n=n, w=words: once([n.nexus, *w], n.environment | {"NEXUS_RESIDENT": "0"})
            for k, n in both.items()
        }
        rows.append(_row(f"one-shot: {name}", in_turns(alone, rounds // 2)))
    return rows


def _row(what: str, taken: dict[str, float]) -> Row:
    detail = f"{taken['many'] * 1000:.1f} ms / {taken['few'] * 1000:.1f} ms"
    return at_most(what, taken["many"] / taken["few"], 1.1, detail=detail)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--python", default=sys.executable, help="must have nexus's dependencies: it builds the indexes"
    )
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="nexus-registry-"))
    try:
        lines = (ROOT / "nexus/registry/commands.index").read_bytes().splitlines()
        own = sum(1 for line in lines if b'"kind": "command"' in line)
        made = []
        for name, commands in (("few", max(10, 150 - own)), ("many", 10_000 - own)):
            place = folder / name
            place.mkdir()
            made.append(install(copy_with(commands, place / "source"), place, options.python))
        try:
            rows = measure(made[0], made[1], options.rounds)
        finally:
            for nexus in made:
                nexus.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report("Registry size", rows)


if __name__ == "__main__":
    main()
