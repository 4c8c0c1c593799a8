"""Whatever the words are, the answer is one envelope, and its exit code is the process's."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus.registry.flags import GLOBAL_FLAGS
from nexus.registry.index import CommandIndex
from nexus.schemas.command import Effect

RUNS_ANOTHER = {("agent", "file", "open")}
"""Commands that start whatever program their words name."""

COMMANDS = [
    spec
    for spec in CommandIndex.built_in().commands()
    if Effect.STREAMING not in spec.effects and len(spec.path) == 3 and spec.path not in RUNS_ANOTHER
]
PATH_WORDS = sorted(
    {word for spec in COMMANDS for word in spec.path if word not in ("stop", "restart", "open", "start")}
)
FLAGS = sorted(
    {flag for spec in COMMANDS for option in spec.options for flag in option.flags}
    | (GLOBAL_FLAGS.keys() - {"--output", "-o", "--server", "--profile"})
)

ANY_BYTES = st.binary(max_size=40).map(lambda word: word.replace(b"\0", b""))
ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40).map(str.encode)
WORDS = st.one_of(
    st.sampled_from(PATH_WORDS).map(str.encode),
    st.sampled_from(FLAGS).map(str.encode),
    st.sampled_from([b"--", b"-", b"", b"=", b"--=", b"-x", b"..", b"\xff", "é".encode(), b"{}", b"[", b"9" * 400]),
    ANY_TEXT,
    ANY_BYTES,
)
ARGVS = st.one_of(
    st.lists(WORDS, max_size=8),
    st.tuples(st.sampled_from(COMMANDS), st.lists(WORDS, max_size=5)).map(
        lambda drawn: [*(word.encode() for word in drawn[0].path), *drawn[1]]
    ),
)


@pytest.mark.timeout(300)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(argv=ARGVS)
def test_any_words_get_one_envelope(home: Any, argv: list[bytes]) -> None:
    answered = home.run(*argv)
    if any(word.startswith((b"-o", b"--output")) for word in argv):
        return
    envelope = answered.envelope
    errors = envelope["errors"]
    if envelope["status"] == "ok":
        assert (answered.status, errors) == (0, [])
    else:
        assert answered.status == errors[0]["details"]["exitCode"] != 0
        assert envelope["data"] is None
        assert envelope["message"] == errors[0]["message"]
        assert not any(error["type"] == "internal" for error in errors), envelope


@pytest.mark.parametrize("size", [1_000, 100_000])
def test_long_words_are_clipped_where_they_are_quoted(home: Any, size: int) -> None:
    answered = home.run("agent", "x" * size)
    assert answered.code == "COMMAND_NOT_FOUND"
    assert len(answered.stdout) < 4_000
