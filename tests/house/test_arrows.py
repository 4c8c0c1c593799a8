"""Imports run one way, wherever they stand: at the top of a module, inside a function, or for type checkers only."""

import ast
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from nexus.start import ON_THE_WAY

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

FLOORS: tuple[tuple[str, ...], ...] = (
    ("nexus",),
    ("nexus.places", "nexus.call"),
    ("nexus.launcher", "nexus.context", "nexus.output", "nexus.confinement"),
    ("nexus.config", "nexus.credentials", "nexus.registry", "nexus.plugins.worker"),
    ("nexus.client",),
    ("nexus.plugins",),
    ("nexus.dispatch",),
    ("nexus.cli",),
    ("nexus.exec",),
    ("nexus.completion", "nexus.mcp"),
    ("nexus.fronts",),
    ("nexus.resident",),
    ("nexus.standalone",),
    ("nexus.plugin",),
    ("nexus.start",),
    ("nexus.__main__",),
)
"""The runtime from the ground up. A unit imports what is below it, and of its own floor only itself."""

Imports = Mapping[str, Mapping[str, str]]
"""What each module or unit imports, and one place where it does."""


def modules() -> Iterator[Path]:
    for layer in LAYERS:
        for path in sorted((ROOT / layer).rglob("*.py")):
            is_link = any(parent.is_symlink() for parent in path.parents if parent != ROOT)
            if not is_link:
                yield path.relative_to(ROOT)


def module_name(path: Path) -> str:
    parts = list(path.with_suffix("").parts)
    if parts[0] != "nexus":
        parts.insert(0, "nexus")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {module_name(path): path for path in modules()}


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Yield every name that a module imports, wherever in it, and on which line."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def module_of(target: str) -> str | None:
    """Return the module of ours that an imported name is, or is in."""
    if target in NAMES:
        return target
    above = target.rpartition(".")[0]
    return above if above in NAMES else None


@pytest.fixture(scope="module")
def graph() -> Imports:
    return {
        name: {
            found: f"{path}:{line}"
            for target, line in imported(path)
            if (found := module_of(target)) is not None and found != name
        }
        for name, path in NAMES.items()
    }


def layer_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS[1:] else "nexus"


def unit_of(module: str) -> str:
    """Return the folder that a module is in; one that lies at the root of its layer stands for itself."""
    below = module.removeprefix("nexus").removeprefix(f".{layer_of(module)}").lstrip(".")
    is_folder = NAMES[module].name == "__init__.py"
    return module if is_folder or "." not in below else module.rpartition(".")[0]


def units(graph: Imports) -> Imports:
    joined: dict[str, dict[str, str]] = {}
    for name, targets in graph.items():
        unit = joined.setdefault(unit_of(name), {})
        unit |= {unit_of(target): place for target, place in targets.items() if unit_of(target) != unit_of(name)}
    return joined


def circle(graph: Imports) -> str | None:
    """Return one circle of the graph, told with its places."""
    seen: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> str | None:
        if seen.get(name) == 1:
            way = (*trail[trail.index(name) :], name)
            return "\n".join(f"{one} -> {other} ({graph[one][other]})" for one, other in pairwise(way))
        if seen.get(name) == 2:
            return None
        seen[name] = 1
        for target in sorted(graph[name]):
            found = visit(target, (*trail, name))
            if found is not None:
                return found
        seen[name] = 2
        return None

    return next((found for name in sorted(graph) if (found := visit(name, ())) is not None), None)


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_run_one_way(graph: Imports, layer: str) -> None:
    for name, targets in graph.items():
        if layer_of(name) != layer:
            continue
        allowed = MAY_IMPORT[layer] | ({"kernel"} if str(NAMES[name]).startswith(HOSTS_BOTH) else set())
        # `from nexus import __version__` names the package itself, which imports nothing.
        strays = {target: place for target, place in targets.items() if layer_of(target) not in allowed}
        strays.pop("nexus", None)
        assert not strays, f"{name} imports {strays}: {layer} may import {sorted(allowed)}"


def names_of(tree: ast.Module) -> set[str]:
    """Return what a module has at its top, whatever it stands under there: `if TYPE_CHECKING`, `try`."""
    found: set[str] = set()
    pending: list[ast.AST] = [*tree.body]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        pending += ast.iter_child_nodes(node)
    return found


def test_every_name_that_is_imported_is_there_also_where_no_checker_looks() -> None:
    has = {name: names_of(ast.parse((ROOT / path).read_text(encoding="utf-8"))) for name, path in NAMES.items()}
    missing = []
    for path in NAMES.values():
        for target, line in imported(path):
            above, _, name = target.rpartition(".")
            if target.startswith("nexus.") and target not in has and name not in has.get(above, ()):
                missing.append(f"{path}:{line}: {target}")
    assert missing == []


def test_no_module_imports_itself_by_way_of_others(graph: Imports) -> None:
    assert circle(graph) is None


def test_no_folder_imports_itself_by_way_of_others(graph: Imports) -> None:
    assert circle(units(graph)) is None


def test_the_runtime_is_built_from_the_ground_up(graph: Imports) -> None:
    floor = {unit: number for number, names in enumerate(FLOORS) for unit in names}
    own = {unit: targets for unit, targets in units(graph).items() if layer_of(unit) == "nexus"}
    assert set(own) == set(floor), "every folder and root module of the runtime has its floor"
    for unit, targets in own.items():
        upward = {target: place for target, place in targets.items() if floor.get(target, -1) >= floor[unit]}
        assert not upward, f"{unit} imports what is not below it: {upward}"


def test_a_warm_command_imports_what_its_start_names_and_nothing_else_of_ours() -> None:
    way = {"nexus", *(f"nexus.{name}" for name in ON_THE_WAY)}
    for name in way:
        body = ast.parse((ROOT / NAMES[name]).read_text(encoding="utf-8")).body
        taken = {alias for node in body if isinstance(node, ast.ImportFrom) for alias in names_in(node)}
        assert {found for target in taken if (found := module_of(target))} <= way | {"nexus.launcher"}


def names_in(node: ast.ImportFrom) -> set[str]:
    return {f"{node.module}.{alias.name}" for alias in node.names}


def test_a_circle_would_be_found() -> None:
    assert (
        circle({"a": {"b": "a.py:1"}, "b": {"c": "b.py:2"}, "c": {"b": "c.py:3"}}) == "b -> c (b.py:2)\nc -> b (c.py:3)"
    )
