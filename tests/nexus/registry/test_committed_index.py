"""The committed index is what the handlers say: a change of any command's face shows in the diff."""

from pathlib import Path

from nexus.registry.build import built_in_registry
from nexus.registry.flags import GLOBAL_FLAGS
from nexus.registry.index import BUILT_IN_INDEX, CommandIndex, write_index
from nexus.schemas.command import CommandSpec


def test_the_committed_index_equals_the_handlers(tmp_path: Path) -> None:
    write_index(built_in_registry().nodes(), tmp_path / "built.index")
    stale = "build it again: python -m nexus.registry.build"
    assert (tmp_path / "built.index").read_bytes() == BUILT_IN_INDEX.read_bytes(), stale


def test_what_is_read_from_the_index_is_what_was_registered() -> None:
    index = CommandIndex.built_in()
    for spec in built_in_registry().list_handlers():
        assert index.node(spec.path) == spec


def test_every_command_has_an_example_that_starts_with_its_own_path() -> None:
    for spec in CommandIndex.built_in().commands():
        line = "nexus " + " ".join(spec.path)
        # What is read from stdin is piped into it.
        parts = [part for example in spec.examples for part in example.line.split(" | ")]
        assert any(part.startswith(line) for part in parts), line


def test_no_command_claims_a_global_flag() -> None:
    for spec in CommandIndex.built_in().commands():
        claimed = {flag for option in spec.options for flag in option.flags} & GLOBAL_FLAGS.keys()
        assert not claimed, spec.path


def test_ids_follow_the_path() -> None:
    for spec in CommandIndex.built_in().commands():
        assert isinstance(spec, CommandSpec)
        assert spec.handler_id == "handler_" + "_".join(spec.path).replace("-", "_")
