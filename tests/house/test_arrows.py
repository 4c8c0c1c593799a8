"""Imports run one way: nexus to handlers to sessions to schemas, and kernel to sessions to schemas."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("nexus", "handlers", "sessions", "schemas", "kernel")

MAY_IMPORT: dict[str, set[str]] = {
    "schemas": {"schemas"},
    "sessions": {"sessions", "schemas"},
    "handlers": {"handlers", "sessions", "schemas"},
    "kernel": {"kernel", "sessions", "schemas"},
    "nexus": {"nexus", "handlers", "sessions", "schemas"},
}

HOSTS_BOTH = ("nexus/resident/",)
"""Only the process that hosts both may import the runtime and the kernel."""


def modules() -> Iterator[Path]:
    for layer in LAYERS:
        for path in sorted((ROOT / layer).rglob("*.py")):
            is_link = any(parent.is_symlink() for parent in path.parents if parent != ROOT)
            if not is_link:
                yield path.relative_to(ROOT)


def layer_of(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] != "nexus":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS[1:] else "nexus"


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", list(modules()), ids=str)
def test_imports_run_one_way(path: Path) -> None:
    layer = path.parts[0]
    allowed = MAY_IMPORT[layer] | ({"kernel"} if str(path).startswith(HOSTS_BOTH) else set())
    reached = {found for name in imported(path) if (found := layer_of(name)) is not None}
    # `from nexus import __version__` names the package itself, which imports nothing.
    strays = {name for name in imported(path) if name != "nexus.__version__" and layer_of(name) not in allowed | {None}}
    assert not strays, f"{path} imports {sorted(strays)}: {layer} may import {sorted(allowed)} (it reached {reached})"


def test_nothing_runs_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    names = {_module_name(path): path for path in modules()}
    for name, path in names.items():
        graph[name] = {
            found for target in _top_level_imports(path) if (found := _known(target, names)) and found != name
        }
    seen: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert seen.get(name) != 1, f"a circle: {' -> '.join((*trail[trail.index(name) :], name))}"
        if seen.get(name) == 2:
            return
        seen[name] = 1
        for target in sorted(graph[name]):
            visit(target, (*trail, name))
        seen[name] = 2

    for name in sorted(graph):
        visit(name, ())


def _module_name(path: Path) -> str:
    parts = list(path.with_suffix("").parts)
    if parts[0] != "nexus":
        parts.insert(0, "nexus")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _top_level_imports(path: Path) -> Iterator[str]:
    """Yield what is imported when the module is: not inside functions, not for type checkers only."""
    todo: list[ast.stmt] = list(ast.parse((ROOT / path).read_text(encoding="utf-8")).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test):
            todo += [*node.body, *node.orelse]
        elif isinstance(node, ast.Try):
            todo += [*node.body, *node.orelse, *node.finalbody]


def _known(target: str, names: dict[str, Path]) -> str | None:
    if target in names and names[target].name != "__init__.py":
        return target
    above = target.rpartition(".")[0]
    return above if above in names and names[above].name != "__init__.py" else None
