"""Every hint in the code that is a command names a command that there is, exactly, with flags of its own."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus.cli.line import parse_line
from nexus.registry.index import CommandIndex
from nexus.registry.reference import error_classes
from nexus.schemas.errors import NexusError
from tests.house.test_arrows import ROOT, modules

INDEX = CommandIndex.built_in()

FILLED = {
    "namespace": "agent",
    "self.namespace": "agent",
    "self.resource": "project",
    "resource": "project",
    "kind": "project",
    "name": "agent",
    "command": "agent project",
    "full": "agent project delete",
    "' '.join(spec.path)": "agent project list",
    "' '.join(path)": "agent project",
    "' '.join(found.node.path)": "agent project list",
    "' '.join(node.path)": "agent project",
    "' '.join(namespace.prefix)": "agent",
}
"""What stands in a hint's braces, where it is a word of a command; whatever else stands there is a value."""


def written(node: ast.expr) -> str | None:
    """Return a text as it may be told; None for one that is put together elsewhere."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "rstrip":
        return written(node.func.value)
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if not isinstance(node, ast.JoinedStr):
        return None
    parts = [
        str(part.value) if isinstance(part, ast.Constant) else FILLED.get(ast.unparse(part.value), "x")  # type: ignore[attr-defined]
        for part in node.values
    ]
    return "".join(parts)


def hints() -> Iterator[tuple[Path, str]]:
    """Yield every hint that stands in the code: beside an error that is raised, in a table of them, on its class."""
    for path in modules():
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            values: list[ast.expr] = []
            if isinstance(node, ast.keyword) and node.arg == "hint":
                values = [node.value]
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(target, ast.Name) and "hint" in target.id.casefold() for target in targets):
                    values = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
            for value in values:
                for branch in (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,):
                    if text := written(branch):
                        yield path, text


COMMANDS = sorted({(str(path), text) for path, text in hints() if text.startswith("nexus ")})


def test_hints_are_found() -> None:
    assert len(COMMANDS) > 50


@pytest.mark.parametrize(("path", "hint"), COMMANDS)
def test_a_hint_is_a_command_as_it_is_written(path: str, hint: str) -> None:
    hint = re.sub(r"\{command\}", "agent project", hint)
    if "kernel/network/" in path:
        hint = hint.replace("nexus agent ", "nexus network ")
    assert not re.search(r"(?<![\w/])[A-Z]{2,}(?![\w/.])", hint), f"{path}: nobody can run a placeholder: {hint}"
    parse_line(INDEX, hint)


def test_every_error_says_what_to_do_next() -> None:
    for error in (NexusError, *error_classes()):
        if error is not NexusError:
            assert error.hint, f"{error.__name__} has no hint, nor a class above it"
