"""A document is read as it is meant, and whatever is wrong in one is told with its place."""

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.handlers.pipeline.document import MOST_BYTES, given_document, read_document
from nexus.handlers.pipeline.outline import MOST_DEPTH, MOST_NODES
from nexus.schemas.errors import ValidationError
from nexus.schemas.pipeline import PipelineDocument

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029\x85\ufeff"), max_size=12)
WORDS = st.one_of(
    TEXT, st.sampled_from(["yes", "no", "null", "~", "5", "1.10", "0x1f", "1e3", "- a", "# x", "<<", "on"])
)
STEP_NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,6}", fullmatch=True)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True)
# YAML 1.2 reads 1e3 as a number, and what writes YAML 1.1 does not quote it.
UNQUOTED = re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+|[-+]?0[0-9.]+")
VALUES = st.one_of(
    *(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(-1e9, 1e9)),
    WORDS.filter(lambda word: not UNQUOTED.fullmatch(word)),
)
STEPS = st.fixed_dictionaries(
    {"run": st.lists(WORDS, min_size=1, max_size=4)},
    optional={
        "description": WORDS,
        "environment": st.dictionaries(NAMES, WORDS, max_size=3),
        "secrets": st.lists(NAMES, max_size=2),
        "timeoutSeconds": st.floats(0.1, 1000),
        "memoryMib": st.integers(16, 5000),
        "network": st.booleans(),
        "retries": st.fixed_dictionaries({"attempts": st.integers(1, 20), "delaySeconds": st.floats(0, 3600)}),
    },
)
TYPED = st.fixed_dictionaries({"type": st.sampled_from(["integer", "number", "boolean"]), "default": VALUES})
TEXTS = st.fixed_dictionaries({"default": WORDS.filter(bool)}, optional={"choices": st.lists(WORDS, min_size=1)})
DOCUMENTS = st.fixed_dictionaries(
    {"name": STEP_NAMES, "steps": st.dictionaries(STEP_NAMES, STEPS, min_size=1, max_size=4)},
    optional={
        "parameters": st.dictionaries(NAMES, st.one_of(TYPED, TEXTS), max_size=3),
        "datasets": st.dictionaries(NAMES, st.one_of(st.none(), WORDS.filter(bool)), max_size=3),
    },
)


def read(text: str, name: str = "p.yaml") -> PipelineDocument:
    return read_document(text.encode(), name)[0]


@given(document=DOCUMENTS, wrapped=st.booleans(), indent=st.sampled_from([None, 1, 4]), flow=st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_what_is_read(document: dict[str, Any], wrapped: bool, indent: Any, flow: bool) -> None:
    meant = PipelineDocument.model_validate(document)
    whole = {"pipeline": document} if wrapped else document
    assert given_document(whole, "x")[0] == meant
    assert read(json.dumps(whole, indent=indent), "p.json") == meant
    assert read(json.dumps(whole, indent=indent, ensure_ascii=False)) == meant
    assert read(yaml.safe_dump(whole, allow_unicode=True, default_flow_style=flow, width=40)) == meant
    answer = {"status": "ok", "data": {"id": "x", "document": meant.model_dump(mode="json")}, "errors": []}
    assert read(yaml.safe_dump(answer, sort_keys=False)) == meant


def faults_of(content: bytes, name: str = "p.yaml") -> list[dict[str, Any]]:
    with pytest.raises(ValidationError) as caught:
        read_document(content, name)
    return [{"message": entry.message, **entry.details} for entry in caught.value.entries()]


def either(content: bytes, name: str) -> None:
    """Read what may be anything: a document, or faults that stand within the text."""
    try:
        read_document(content, name)
    except ValidationError as error:
        for entry in error.entries():
            line, column = entry.details.get("line", 1), entry.details.get("column", 1)
            lines = content.decode("utf-8-sig", "replace").split("\n")
            assert 1 <= line <= len(lines) + 1, entry
            assert 1 <= column <= max(map(len, lines), default=0) + 2, entry


@given(
    content=st.one_of(st.binary(max_size=60), st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")))
    | st.text("[]{}:,&*-<\"'#\n\t\r xé\0!|>%@`~\u2028\x85\ufeff", max_size=30).map(str.encode)
)
@settings(max_examples=150, deadline=None)
def test_rubbish_is_told_as_such(content: bytes) -> None:
    either(content, "p.yaml")
    either(content, "p.json")


WRITTEN = """\
name: nightly
parameters:
  rows: {type: integer, default: 10}
steps:
  extract:
    run: &words [python3, -c, "print(1)"]
  load:
    needs: [extract]
    run: *words
"""


@given(at=st.integers(0, len(WRITTEN) - 1), cut=st.integers(0, 6), put=st.text("[]{}:,&*-<\"'#\n\t xé\0", max_size=3))
@settings(max_examples=150, deadline=None)
def test_a_document_with_a_slip_is_read_or_told_with_its_place(at: int, cut: int, put: str) -> None:
    either((WRITTEN[:at] + put + WRITTEN[at + cut :]).encode(), "p.yaml")


@pytest.mark.parametrize("before", ["é\u2028ß", "\x85", "# 語\r\n", "\r"])
def test_lines_are_those_of_an_editor(before: str) -> None:
    """YAML ends lines where no editor does; characters are counted, and not bytes."""
    text = f'name: n\ndescription: "{before}"\nsteps: {{a: {{run: [x], "ü": 1}}}}\n'
    (told,) = faults_of(text.encode())
    assert told["line"] == text.count("\n")
    assert told["column"] == text.splitlines(keepends=True)[-1].index('"ü"') + 1
    text = f"{before}\nname: ["
    (told,) = faults_of(text.encode())
    assert told["line"] == text.count("\n") + 1


def test_words_are_texts_however_they_look() -> None:
    written = (
        "name: 2026\nsteps:\n  a:\n    run: [sleep, 5, yes, null, ~, 1.10, 010]\n    environment: {A: 1, B: off}\n"
    )
    step = read(written).steps["a"]
    assert step.run == ["sleep", "5", "yes", "null", "~", "1.10", "010"]
    assert step.environment == {"A": "1", "B": "off"}


def test_a_parameters_values_are_of_its_type() -> None:
    written = (
        "name: p\nsteps: {a: {run: [x]}}\nparameters:\n"
        "  n: {type: integer, default: 7, choices: [7, 8]}\n  f: {type: number, default: 1e3}\n"
        "  b: {type: boolean, default: true}\n  s: {default: 010}\n  t: {default: 'true'}\n"
    )
    found = {name: parameter.default for name, parameter in read(written).parameters.items()}
    assert found == {"n": 7, "f": 1000.0, "b": True, "s": "010", "t": "true"}


def test_steps_may_share_what_they_have_in_common() -> None:
    found = read("name: p\nsteps:\n  a: &a {run: [x], memoryMib: 64}\n  b: {<<: *a, run: [y]}\n").steps
    assert (found["b"].run, found["b"].memory_mib) == (["y"], 64)


@pytest.mark.parametrize(
    ("written", "place", "field", "says"),
    [
        ("name: p\nsteps:\n  a:\n    run: echo hi\n", (4, 10), "steps.a.run", "a list of words"),
        (
            "name: p\nsteps:\n  a:\n    run: [x]\n    tmeoutSeconds: 5\n",
            (5, 5),
            "steps.a.tmeoutSeconds",
            "timeoutSeconds",
        ),
        ("pipeline:\n  name: p\n  steps:\n    - extract: csv@v1\n", (4, 5), "steps", "a mapping of names to steps"),
        ("name: p\nsteps:\n  Bad Name: {run: [x]}\n", (3, 3), "steps.Bad Name", "lower-case"),
        ("name: p\nsteps:\n  a: {}\n", (3, 6), "steps.a.run", "missing"),
        ("name: p\nsteps: {a: {run: [x], retries: {attempts: 50}}}\n", (2, 43), "steps.a.retries.attempts", "20"),
        ("name: p\nname: q\n", (2, 1), None, "a second time; the first is in line 1"),
        ('{"name": "p",\n "name": "q"}', (2, 2), None, "a second time"),
        ('{"name": "p", "steps": {"a": {"run": ["sleep", 5]}}}', (1, 48), "steps.a.run.1", "quotes"),
        ("name: p\n---\nname: q\n", (2, 1), None, "second document"),
        ("name: !!python/object/apply:os.system [ls]\n", (1, 7), None, "tag"),
        ("name: p\n\tsteps: x\n", (2, 1), None, "character"),
        ("a: &a [*a]\n", (1, 8), None, "no anchor 'a' above"),
        ("- a\n", (1, 1), None, "a mapping with a name and steps"),
        ("", (1, 1), None, "a mapping with a name and steps"),
        ("a: " + "[" * 40, (1, 3 + MOST_DEPTH), None, "nested deeper"),
        (
            "parameters: {n: {default: [1]}}\nname: p\nsteps: {a: {run: [x]}}\n",
            (1, 27),
            "parameters.n.default",
            "valid",
        ),
    ],
)
def test_a_fault_is_told_with_its_place(written: str, place: tuple[int, int], field: str | None, says: str) -> None:
    (fault,) = {(each["line"], each["column"]): each for each in faults_of(written.encode())}.values()
    assert (fault["line"], fault["column"], fault.get("field")) == (*place, field)
    assert says in fault["message"]
    assert fault["message"].startswith(f"p.yaml, line {place[0]}, column {place[1]}: ")


def test_every_fault_is_told_in_the_order_in_which_it_stands() -> None:
    written = b"foo: 1\nname: p\nsteps:\n  b: {}\n  a: {run: x}\n"
    assert [fault["line"] for fault in faults_of(written)] == [1, 4, 5]


def test_what_is_no_text_is_told_with_its_place() -> None:
    assert [(fault["line"], fault["column"]) for fault in faults_of(b"name: p\nsteps: \xff\n")] == [(2, 8)]


def test_a_small_text_stays_small() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20))
    merges = "a: &a\n" + "".join(f"  k{n}: 1\n" for n in range(5000)) + "b:\n" + "  - <<: *a\n" * 5000
    for written in (bomb, merges):
        assert len(written) < MOST_BYTES
        assert f"more than {MOST_NODES} things" in faults_of(written.encode())[0]["message"]
