"""Exact names win, a unique prefix resolves for people, and everything else is an error that leads on."""

import pytest

from nexus.registry.index import CommandIndex, IndexFile, index_bytes
from nexus.registry.registry import HandlerRegistry, RegistrationRefused
from nexus.registry.resolve import resolve, split_dotted
from nexus.schemas.command import AliasSpec, CommandSpec, GroupSpec
from nexus.schemas.errors import AmbiguousCommand, CommandNotFound
from tests.nexus.conftest import Echo, Forget, Say


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


@pytest.fixture
def nested() -> CommandIndex:
    """A tree in which `talk word` is a group, and another name of `talk word echo` too."""
    registry = HandlerRegistry()
    for handler in (Say, Echo):
        registry.register(*handler.path, handler=handler)
    registry.alias(("talk", "word"), Echo.path)
    return CommandIndex([IndexFile.of(index_bytes(registry.nodes()))])


@pytest.mark.parametrize(
    ("words", "path", "taken"),
    [
        (["talk", "word", "say", "x"], Say.path, 3),
        (["TALK", "WORD", "SAY"], Say.path, 3),
        (["talk", "word", "echo", "say"], Echo.path, 3),
        (["talk", "word", "sa"], Echo.path, 2),
        (["talk", "word", "any", "say"], Echo.path, 2),
        (["ta", "wo", "any"], Echo.path, 2),
        (["talk", "word"], ("talk", "word"), 2),
    ],
)
def test_a_group_that_is_an_alias_gives_its_own_names_first(
    nested: CommandIndex, words: list[str], path: tuple[str, ...], taken: int
) -> None:
    found = resolve(nested, words, abbreviations=True)
    assert (found.node.path, found.words) == (path, taken)


def test_a_word_that_is_near_to_a_name_of_such_a_group_may_be_mistyped(nested: CommandIndex) -> None:
    found = resolve(nested, ["talk", "word", "sya", "x"], abbreviations=True)
    mistyped = found.mistyped(["talk", "word", "sya", "x"])
    assert mistyped is not None
    assert mistyped.entry().details["suggestions"] == ["talk word say"]
    assert found.mistyped(["talk", "word", "other"]) is None
    assert resolve(nested, ["talk", "word", "say"], abbreviations=True).mistyped(["talk", "word", "say"]) is None


def test_a_group_that_is_an_alias_is_listed_as_one(nested: CommandIndex) -> None:
    assert nested.aliases() == [AliasSpec(path=("talk", "word"), target=Echo.path)]
    with pytest.raises(CommandNotFound):
        nested.find(["talk", "word", "any"])


def test_a_group_is_no_alias_of_a_command_elsewhere_nor_of_one_that_destroys() -> None:
    registry = HandlerRegistry()
    registry.register(*Echo.path, handler=Echo)
    registry.register(*Forget.path, handler=Forget)
    registry.alias(("talk", "memory"), Forget.path)
    with pytest.raises(RegistrationRefused, match="would hide a group"):
        registry.nodes()
    registry = HandlerRegistry()
    registry.register(*Echo.path, handler=Echo)
    registry.alias(("talk",), Echo.path)
    with pytest.raises(RegistrationRefused, match="would hide a group"):
        registry.nodes()
