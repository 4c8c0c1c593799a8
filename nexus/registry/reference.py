"""Writes the reference from the index: `python -m nexus.registry.reference`. A test holds the pages equal to it.

One page a namespace, one of the built-in commands, one of the flags that every command takes; and the table of errors,
which stands in the page of the contract between two marks.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nexus
from nexus.handlers.builtins.help import Help, HelpOption, help_of
from nexus.registry.index import CommandIndex
from nexus.schemas.command import AliasSpec, CommandSpec, Effect, GroupSpec
from nexus.schemas.errors import NexusError, ReportedError

DOCS = Path(nexus.__file__).resolve().parent.parent / "docs"
BUILT_INS = "built-ins"
GENERATED = "<!-- Written by python -m nexus.registry.reference: change the handlers, not this page. -->"
ERRORS_BEGIN = "<!-- errors: written by python -m nexus.registry.reference -->"
ERRORS_END = "<!-- end of errors -->"

_EFFECTS = {
    Effect.READ: "reads",
    Effect.WRITE: "writes",
    Effect.DESTRUCTIVE: "cannot be undone, wants `--yes`",
    Effect.STREAMING: "streams",
    Effect.IDEMPOTENT: "may be repeated",
}


def error_classes(root: type[NexusError] = NexusError) -> Iterator[type[NexusError]]:
    """Yield every class of error with a code of its own, each before those below it."""
    for child in root.__subclasses__():
        if "code" in vars(child) and child.__module__.startswith("nexus.schemas.errors."):
            yield child
        if child is not ReportedError:
            yield from error_classes(child)


def errors_table() -> str:
    """Return every error code with its type, its exit status, and what it means, in order of status and code."""
    rows = ["| code | type | exit | again? | means |", "|---|---|---|---|---|"]
    codes: set[str] = set()
    for error in sorted(error_classes(), key=lambda error: (error.exit_status, error.code)):
        if error.code not in codes:
            codes.add(error.code)
            again = "yes" if error.retryable else ""
            rows.append(f"| `{error.code}` | {error.type} | {error.exit_status} | {again} | {_cell(_meaning(error))} |")
    rows.append(f"| `{NexusError.code}` | {NexusError.type} | {NexusError.exit_status} |  | A fault of ours. |")
    return "\n".join(rows)


def _meaning(error: type[NexusError]) -> str:
    return str(vars(error).get("__doc__") or "").strip().partition("\n")[0]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def pages(index: CommandIndex) -> dict[str, str]:
    """Return the pages by their names below `docs/reference`."""
    by_namespace: dict[str, list[CommandSpec]] = {}
    for spec in index.commands():
        by_namespace.setdefault(spec.path[0] if len(spec.path) > 1 else BUILT_INS, []).append(spec)
    by_namespace = dict(sorted(by_namespace.items(), key=lambda named: (named[0] == BUILT_INS, named[0])))
    written = {f"{name}.md": _page(index, name, specs) for name, specs in by_namespace.items()}
    return {"README.md": _contents(index, by_namespace), **written}


def _lines(parts: Iterable[str]) -> str:
    return "\n".join(parts).rstrip() + "\n"


def _contents(index: CommandIndex, by_namespace: dict[str, list[CommandSpec]]) -> str:
    parts = [
        GENERATED,
        "",
        "# Reference",
        "",
        "Every command, by namespace. `nexus schema` tells the same to programs.",
        "",
    ]
    for name, specs in by_namespace.items():
        parts += [f"## [{name}]({name}.md)", ""]
        parts += [f"- [`nexus {' '.join(spec.path)}`]({name}.md#{_anchor(spec)}) {spec.summary}" for spec in specs]
        parts.append("")
    parts += ["## Flags that every command takes", "", *_options(help_options(index)), ""]
    aliases: list[AliasSpec] = index.aliases()
    if aliases:
        parts += ["## Aliases", "", "| alias | is |", "|---|---|"]
        parts += [f"| `nexus {' '.join(alias.path)}` | `nexus {' '.join(alias.target)}` |" for alias in aliases]
    return _lines(parts)


def help_options(index: CommandIndex) -> list[HelpOption]:
    """Return the global flags as help tells them."""
    spec = CommandSpec(path=("any",), handler_id="", handler="", summary="", options=index.global_options())
    return help_of(spec).options


def _anchor(spec: CommandSpec) -> str:
    return "-".join(("nexus", *spec.path))


def _page(index: CommandIndex, name: str, specs: list[CommandSpec]) -> str:
    group = index.node((name,))
    summary = group.summary if isinstance(group, GroupSpec) else "Commands without a namespace."
    parts = [GENERATED, "", f"# {name}", "", summary, ""]
    for spec in specs:
        parts += _command(spec, help_of(spec))
    return _lines(parts)


def _command(spec: CommandSpec, shown: Help) -> list[str]:
    parts = [f"## nexus {' '.join(spec.path)}", "", spec.summary, ""]
    if spec.deprecated:
        parts += [f"**Deprecated** {spec.deprecated}", ""]
    if spec.description:
        parts += [spec.description, ""]
    parts += ["```", shown.usage, "```", "", *_facts(spec), ""]
    if spec.options:
        parts += [*_options(shown.options), ""]
    parts += [*_result(spec.result_schema), ""]
    parts += ["```sh", *_examples(spec), "```", ""]
    return parts


def _facts(spec: CommandSpec) -> list[str]:
    facts = [f"- Effects: {', '.join(_EFFECTS[effect] for effect in spec.effects)}."]
    if spec.context:
        facts.append(f"- Needs: {', '.join(f'a {kind}' for kind in spec.context)}, selected or named by a flag.")
    if spec.events:
        facts.append(f"- Events: {', '.join(f'`{event}`' for event in spec.events)}.")
    if spec.errors:
        facts.append(f"- Errors: {', '.join(f'`{code}`' for code in spec.errors)}.")
    facts.append(f"- Exit codes: {', '.join(map(str, spec.exit_codes))}.")
    return facts


def _options(options: list[HelpOption]) -> list[str]:
    rows = ["| flag | what for | |", "|---|---|---|"]
    for option in options:
        more = "; ".join(filter(None, (" \\| ".join(option.choices), option.note)))
        rows.append(f"| `{_cell(option.flag)}` | {_cell(option.description)} | {more} |")
    return rows


def _result(schema: dict[str, Any]) -> list[str]:
    fields = [f"`{name}`{_type(field, schema)}" for name, field in schema.get("properties", {}).items()]
    return [f"Result: {', '.join(fields)}."] if fields else []


def _type(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """Say what a list holds, so that a list's page shows its items' fields."""
    target = field.get("items", {}).get("$ref", "").rpartition("/")[2]
    properties = schema.get("$defs", {}).get(target, {}).get("properties", {})
    return f" (each {', '.join(f'`{name}`' for name in properties)})" if properties else ""


def _examples(spec: CommandSpec) -> Iterator[str]:
    for example in spec.examples:
        yield f"# {example.shows}"
        yield example.line


def with_errors(contract: str) -> str:
    """Return the page of the contract with the table of errors as it is now. Raises `ValueError` without the marks."""
    before, begun, rest = contract.partition(ERRORS_BEGIN)
    _, ended, after = rest.partition(ERRORS_END)
    if not (begun and ended):
        raise ValueError("the page of the contract has no marks for the table of errors")
    return f"{before}{ERRORS_BEGIN}\n\n{errors_table()}\n\n{ERRORS_END}{after}"


def write(docs: Path = DOCS) -> None:
    """Write the pages, and take away those of namespaces that are no more."""
    folder = docs / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages(CommandIndex.built_in())
    for stale in {path.name for path in folder.glob("*.md")} - wanted.keys():
        (folder / stale).unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    contract = docs / "contract.md"
    contract.write_text(with_errors(contract.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
