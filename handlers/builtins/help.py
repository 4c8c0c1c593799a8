"""`help`: what there is at a level of the tree, or how one command is used. Small on purpose; `schema` has the rest."""

from typing import Any

from pydantic import Field

from nexus.schemas.command import (
    Arguments,
    ChildSpec,
    CommandCatalog,
    CommandHandler,
    CommandPath,
    CommandSpec,
    Effect,
    Example,
    ExecutionContext,
    GroupSpec,
    OptionSpec,
)
from nexus.schemas.errors import AmbiguousCommand, CommandNotFound
from nexus.schemas.model import Model


class PathArguments(Arguments):
    path: list[str] = Field(
        default_factory=list,
        max_length=20,
        description="The words of a command or of a level above commands; none is the whole tree.",
        json_schema_extra={"positional": True},
    )


def _absent(value: Any) -> bool:
    return value is None or value == []


def _optional(description: str | None = None) -> Any:
    """A field that is left out where it has nothing to say: help is read by the byte."""
    return Field(default=None, exclude_if=_absent, description=description)


def _many(description: str | None = None) -> Any:
    return Field(default_factory=list, exclude_if=_absent, description=description)


class Child(Model):
    """One name at the next level, and the names below it."""

    name: str
    summary: str
    children: list[str] = _many()


class HelpOption(Model):
    """One argument: its flags and value, what it is for, and what must or may be given."""

    flag: str
    description: str
    choices: list[str] = _many()
    note: str | None = _optional()


class HelpExample(Model):
    """A line that works as written, once what it needs is there."""

    line: str
    shows: str


class Help(Model):
    """A level has children, a command has options and examples. `next` is the command to try now."""

    name: str
    summary: str
    description: str | None = _optional()
    usage: str
    children: list[Child] = _many()
    options: list[HelpOption] = _many()
    needs: list[str] = _many("What must be selected, or named by a flag.")
    examples: list[HelpExample] = _many()
    flags: list[str] = _many("At the top: the flags that every command takes; the schema tells what they do.")
    next: str


class ShowHelp(CommandHandler[PathArguments, Help]):
    """Show what there is, or how one command is used.

    Without words it is the top of the tree with the flags that every command takes; of a namespace it names every
    command. `--help` after any command or level is the same.
    """

    path = ("help",)
    arguments = PathArguments
    result = Help
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (CommandNotFound, AmbiguousCommand)
    examples = (
        Example(line="nexus help", shows="The top of the tree"),
        Example(line="nexus help agent", shows="Every command of a namespace"),
        Example(line="nexus help agent project create", shows="How one command is used"),
    )

    async def execute(self, context: ExecutionContext[PathArguments]) -> Help:
        node = context.catalog.find(context.args.path)
        return help_of(node) if isinstance(node, CommandSpec) else _of_group(node, context.catalog)


def _called(path: tuple[str, ...]) -> str:
    return " ".join(("nexus", *path))


def _of_group(node: GroupSpec, catalog: CommandCatalog) -> Help:
    name = _called(node.path)
    # A group is the better way on: at the top it is where almost every command is.
    deeper = next((child.name for child in node.children if child.kind == "group"), None)
    onward = (*node.path, deeper or node.children[0].name) if deeper or not node.alias else node.alias
    return Help(
        name=name,
        summary=node.summary,
        description=f"{name} ARGUMENTS is {_called(node.alias)} ARGUMENTS." if node.alias else None,
        usage=f"{name} {' '.join(('NAMESPACE', 'RESOURCE', 'ACTION')[len(node.path) :])} [--flags]",
        children=[_child(node.path, child, catalog) for child in node.children],
        flags=[] if node.path else [option.flags[0] for option in catalog.global_options()],
        next=f"nexus help {' '.join(onward)}",
    )


def _child(path: CommandPath, child: ChildSpec, catalog: CommandCatalog) -> Child:
    below = catalog.node((*path, child.name))
    # The top is read most often: what a namespace has stands at its own level.
    names = [found.name for found in below.children] if path and isinstance(below, GroupSpec) else []
    return Child(name=child.name, summary=child.summary, children=names)


def help_of(spec: CommandSpec) -> Help:
    """Return the help of one command."""
    return Help(
        name=_called(spec.path),
        summary=spec.summary,
        description=spec.description or None,
        usage=_usage(spec),
        options=[_option(option) for option in spec.options],
        needs=list(spec.context),
        examples=[HelpExample(line=example.line, shows=example.shows) for example in spec.examples],
        next=f"nexus schema {' '.join(spec.path)}",
    )


def _usage(spec: CommandSpec) -> str:
    words = [_called(spec.path)]
    for option in spec.options:
        if option.positional:
            word = f"{option.metavar}{'…' if option.kind == 'list' else ''}"
            words.append(word if option.required else f"[{word}]")
        elif option.required:
            words.append(_with_value(option.flags[0], option))
    if any(not option.required and not option.positional for option in spec.options):
        words.append("[--flags]")
    return " ".join(words)


def _with_value(flag: str, option: OptionSpec) -> str:
    return flag if option.metavar is None else f"{flag} {option.metavar}"


def _option(option: OptionSpec) -> HelpOption:
    flags = ", ".join(sorted(option.flags, key=lambda flag: flag.startswith("--")))
    return HelpOption(
        flag=_with_value(flags, option) if flags else str(option.metavar),
        description=option.description,
        choices=list(option.choices),
        note=_note(option),
    )


def _note(option: OptionSpec) -> str | None:
    notes = ["required"] if option.required else []
    if option.kind == "list" and not option.positional:
        notes.append("may be given again" if option.whole else "a list: a,b")
    if option.kind == "json":
        notes.append("a JSON object")
    if _worth_telling(option.default):
        notes.append(f"default {option.default}")
    return ", ".join(notes) or None


def _worth_telling(default: Any) -> bool:
    return default not in (None, False, "", [], (), {})
