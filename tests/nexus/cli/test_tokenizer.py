"""A line becomes the words that a shell would make of it, were nothing in it special but quotes and backslashes."""

import shlex
import subprocess
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.cli.tokenizer import LIMITS, Limits, tokenize
from nexus.schemas.errors import ParseError

WORDS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40), max_size=20)


@given(argv=WORDS)
def test_words_that_a_shell_quotes_come_back(argv: list[str]) -> None:
    assert tokenize(shlex.join(argv)) == argv


@given(pieces=st.lists(st.sampled_from(["a", "b", " ", "\t", "\n", "'", '"', "\\", "\\\\", "\\n", "''", "z z"])))
def test_quotes_and_backslashes_mean_what_they_mean_to_sh(pieces: list[str]) -> None:
    # A newline ends a command for sh, and is a blank here: sh is not asked about bare ones.
    line = "".join(pieces)
    try:
        words: list[str] | None = tokenize(line)
    except ParseError:
        words = None
    if words is not None and "\n" not in line:
        assert tokenize(" ".join(map(shlex.quote, words))) == words
        assert words == shlex.split(line)


@pytest.mark.parametrize(
    "line",
    [
        "a  b\tc",
        "'a b' c",
        "\"a b\"c'd e'",
        r"a\ b \"c\" \\",
        r'"a\"b\\c\d\$e\`f"',
        '"a\\\nb" c\\\nd',
        "'' \"\" x''y",
        "'a\\b' 'c\nd'",
        '"ä€ \U0001f600"',
        "a=b --x='1 2' -y\"3\"",
    ],
)
def test_sh_itself_makes_the_same_words(line: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'for word in {line}; do printf "%s\\0" "$word"; done'],
        capture_output=True,
        check=True,
        timeout=10,
    )
    assert tokenize(line) == done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("line", ["a; rm -rf /", "a && b | c > d", "$(id) `id` $HOME ~ * ? {a,b} # !x &"])
def test_nothing_else_is_special(line: str) -> None:
    assert tokenize(line) == line.split(" ")


@pytest.mark.parametrize(
    ("line", "position", "token"),
    [
        ("a 'b", 2, 2),
        ('"', 0, 1),
        ('a b c"d e', 4, 3),
        ("a \\", 2, 2),
        ("x" * 10_001, 10_000, 1),
        ("a " * 101, 200, 101),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(line: str, position: int, token: int) -> None:
    with pytest.raises(ParseError) as refused:
        tokenize(line)
    details = refused.value.entry().details
    assert (details["tokenPosition"], details["token"]) == (position, token)
    assert details["hint"] == "nexus help exec"


def test_an_argument_has_a_limit_of_its_own() -> None:
    limits = Limits(characters=100, arguments=10, argument=5)
    assert tokenize("abcde 'fg hi'", limits) == ["abcde", "fg hi"]
    with pytest.raises(ParseError, match="longer than 5"):
        tokenize("abcdef", limits)


def test_the_limits_themselves_fit() -> None:
    assert len(tokenize("x" * LIMITS.characters)[0]) == 10_000
    assert len(tokenize("a " * LIMITS.arguments)) == 100


@pytest.mark.parametrize(
    "line",
    ["'" * 10_000, '"' * 10_000, "\\a" * 5_000, '"' + '\\"' * 4_999 + '"', '"' + "a\\" * 4_999, "'a'\"b\"\\c" * 1_111],
)
def test_ten_thousand_characters_take_less_than_five_milliseconds(line: str) -> None:
    def once() -> float:
        begun = time.process_time()
        with suppress(ParseError):
            tokenize(line)
        return time.process_time() - begun

    assert min(once() for _ in range(10)) < 0.005
