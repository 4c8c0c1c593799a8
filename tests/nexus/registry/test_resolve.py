"""Exact names win, a unique prefix resolves for people, and everything else is an error that leads on."""

import pytest

from nexus.registry.index import CommandIndex
from nexus.registry.resolve import resolve, split_dotted
from nexus.schemas.command import CommandSpec, GroupSpec
from nexus.schemas.errors import AmbiguousCommand, CommandNotFound


@pytest.mark.parametrize("words", [["talk", "word", "say"], ["TALK", "Word", "sAy"], ["say"]])
def test_names_and_aliases_lead_to_the_command(tree: CommandIndex, words: list[str]) -> None:
    found = resolve(tree, words, abbreviations=False)
    assert isinstance(found.node, CommandSpec)
    assert found.node.path == ("talk", "word", "say")
    assert found.words == len(words)


def test_a_unique_prefix_resolves_for_people_only(tree: CommandIndex) -> None:
    assert resolve(tree, ["ta", "wo", "sa"], abbreviations=True).node.path == ("talk", "word", "say")
    with pytest.raises(CommandNotFound):
        resolve(tree, ["ta", "wo", "sa"], abbreviations=False)


def test_an_ambiguous_prefix_lists_every_meaning(tree: CommandIndex) -> None:
    with pytest.raises(AmbiguousCommand) as caught:
        resolve(tree, ["talk", "word", "s"], abbreviations=True)
    assert caught.value.entry().details["matches"] == ["talk word say", "talk word shout"]


def test_a_destructive_command_is_never_abbreviated(tree: CommandIndex) -> None:
    with pytest.raises(AmbiguousCommand) as caught:
        resolve(tree, ["talk", "memory", "forg"], abbreviations=True)
    assert caught.value.entry().details["matches"] == ["talk memory forget"]
    assert resolve(tree, ["talk", "memory", "forget"], abbreviations=True).node.path == ("talk", "memory", "forget")


@pytest.mark.parametrize("words", [[], ["talk"], ["talk", "word"]])
def test_words_that_end_early_lead_to_their_level(tree: CommandIndex, words: list[str]) -> None:
    found = resolve(tree, words, abbreviations=False)
    assert isinstance(found.node, GroupSpec)
    assert found.node.path == tuple(words)


def test_an_unknown_name_brings_the_nearest_and_all_of_its_level(tree: CommandIndex) -> None:
    with pytest.raises(CommandNotFound) as caught:
        resolve(tree, ["talk", "wrod", "say"], abbreviations=True)
    details = caught.value.entry().details
    assert details["suggestions"] == ["talk word"]
    assert details["available"] == ["memory", "word"]
    assert details["hint"] == "nexus help talk word"


@pytest.mark.parametrize("dotted", ["talk.word.say", "talk/word/say"])
def test_paths_may_be_dotted_or_slashed(dotted: str) -> None:
    assert split_dotted([dotted, "x.y"]) == ["talk", "word", "say", "x.y"]


@pytest.mark.parametrize("word", ["./file", "a b.c", "..", "/", "https://x"])
def test_what_is_no_path_of_commands_is_left_alone(word: str) -> None:
    assert split_dotted([word]) == [word]
