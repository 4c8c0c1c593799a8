"""From words to a command and its arguments."""

import pytest

from nexus.cli.parse import command_of, parse
from nexus.registry.index import CommandIndex


@pytest.mark.parametrize("words", [["hello"], ["--name", "hello"], ["-n", "hello"], ["--name=hello"], ["--", "hello"]])
def test_what_may_come_by_place_or_by_flag_comes_either_way(words: list[str]) -> None:
    index = CommandIndex.built_in()
    parsed = parse(index, ["settings", "plugin", "view", *words], abbreviations=True)
    spec, arguments = command_of(index, parsed)
    assert (spec.path, arguments) == (("settings", "plugin", "view"), {"name": "hello"})
