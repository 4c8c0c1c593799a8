"""The index answers by path, from one file or several, and its size costs nothing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.registry.index import CommandIndex, IndexFile, write_index
from nexus.schemas.command import AliasSpec, ChildSpec, CommandSpec, GroupSpec, Node

WORDS = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=8)


def command(*path: str) -> CommandSpec:
    return CommandSpec(path=path, handler_id="_".join(path), handler="m:H", summary=f"Does {' '.join(path)}.")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def index_of(folder: Path, *nodes: Node, name: str = "commands.index") -> IndexFile:
    write_index(nodes, folder / name)
    return IndexFile(folder / name)


@given(paths=st.sets(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=60))
def test_every_command_written_is_found_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, paths: set[tuple[str, str, str]]
) -> None:
    file = index_of(tmp_path_factory.mktemp("index"), *(command(*path) for path in paths))
    index = CommandIndex([file])
    for path in paths:
        found = index.node(path)
        assert isinstance(found, CommandSpec)
        assert found.path == path
    assert index.node(("absent", "from", "it!")) is None
    assert index.node((*min(paths), "deeper")) is None


@given(paths=st.sets(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=60))
def test_commands_under_a_path_are_exactly_those(
    tmp_path_factory: pytest.TempPathFactory, paths: set[tuple[str, str, str]]
) -> None:
    index = CommandIndex([index_of(tmp_path_factory.mktemp("index"), *(command(*path) for path in paths))])
    assert [spec.path for spec in index.commands()] == sorted(paths)
    for namespace in {path[0] for path in paths}:
        assert {spec.path for spec in index.commands((namespace,))} == {path for path in paths if path[0] == namespace}


def test_groups_of_several_files_are_one_group(folder: Path) -> None:
    ours = GroupSpec(path=(), summary="Root.", children=(ChildSpec(name="agent", kind="group", summary="Ours."),))
    theirs = GroupSpec(
        path=(),
        summary="Another root.",
        children=(
            ChildSpec(name="agent", kind="group", summary="Theirs."),
            ChildSpec(name="mail", kind="group", summary="Mail."),
        ),
    )
    index = CommandIndex([index_of(folder, ours), index_of(folder, theirs, name="theirs.index")])
    root = index.node(())
    assert isinstance(root, GroupSpec)
    assert [(child.name, child.summary) for child in root.children] == [("agent", "Ours."), ("mail", "Mail.")]


def test_an_alias_names_its_target(folder: Path) -> None:
    alias = AliasSpec(path=("login",), target=("settings", "auth", "login"))
    index = CommandIndex([index_of(folder, alias)])
    assert index.node(("login",)) == alias
    assert index.aliases() == [alias]


def test_equal_nodes_give_equal_bytes_in_any_order(folder: Path) -> None:
    nodes = [command("a", "b", "c"), command("a", "b", "d"), command("a-x", "b", "c")]
    write_index(nodes, folder / "one.index")
    write_index(reversed(nodes), folder / "two.index")
    assert (folder / "one.index").read_bytes() == (folder / "two.index").read_bytes()
