"""Plans, words and parameters: what is wrong in a document is told with its place, and what is right is kept so."""

import json
import math
import re
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.kernel.pipelines.parameters import taken, text_of
from nexus.kernel.pipelines.plan import Plan, secrets_of
from nexus.kernel.pipelines.words import filled, references
from nexus.schemas.errors import ValidationError
from nexus.schemas.model import MOST_WHOLE
from tests.kernel.pipelines.documents import document, graph

QUICK = settings(max_examples=60, deadline=None)
NAMES = [f"s{number}" for number in range(12)]


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, list[str]]:
    """Graphs in which each step needs some of those before it, told in any order."""
    steps = draw(st.permutations(NAMES))
    needs = {name: draw(st.lists(st.sampled_from(steps[:place]))) if place else [] for place, name in enumerate(steps)}
    return {name: needs[name] for name in draw(st.permutations(NAMES))}


def reachable(needs: dict[str, list[str]], step: str) -> set[str]:
    direct = {name for name, needed in needs.items() if step in needed}
    return direct.union(*(reachable(needs, name) for name in direct))


@QUICK
@given(acyclic())
def test_each_step_comes_behind_what_it_needs_and_waves_may_run_at_once(needs: dict[str, list[str]]) -> None:
    plan = Plan(graph(needs))
    assert sorted(plan.order) == sorted(NAMES)
    assert plan.order == [name for wave in plan.waves for name in wave]
    place = {name: number for number, wave in enumerate(plan.waves) for name in wave}
    for name, needed in needs.items():
        assert plan.needs(name) == list(dict.fromkeys(needed))
        # It is in the first wave in which it may be.
        assert place[name] == max((place[each] + 1 for each in needed), default=0)
        assert plan.behind(name) == reachable(needs, name)


@QUICK
@given(acyclic(), st.data())
def test_a_circle_is_told_with_its_steps(needs: dict[str, list[str]], data: st.DataObject) -> None:
    first = data.draw(st.sampled_from(NAMES))
    last = data.draw(st.sampled_from(sorted(reachable(needs, first) | {first})))
    looped = {**needs, first: [*needs[first], last]}
    with pytest.raises(ValidationError) as refused:
        Plan(graph(looped))
    told = refused.value.data
    cycle = told["cycle"]
    assert cycle[0] == cycle[-1]
    assert all(after in looped[before] for before, after in pairwise(cycle))
    assert told["field"] == f"steps.{cycle[0]}.needs"
    assert " needs ".join(cycle)[:50] in str(refused.value)


def test_a_plan_of_five_hundred_steps_in_a_row_is_made() -> None:
    names = [f"s{number}" for number in range(500)]
    plan = Plan(graph({name: names[max(0, place - 1) : place] for place, name in enumerate(names)}))
    assert plan.order == names
    assert plan.behind("s0") == set(names[1:])


def one(**fields: Any) -> dict[str, Any]:
    """Return the fields of a document with one step, a, that has these."""
    return {"steps": {"a": {"run": ["x"], **fields}, "b": {"run": ["x"]}}}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    (one(needs=["bb"]), "steps.a.needs", "Did you mean b?"),
    (one(run=[""]), "steps.a.run", "names no program"),
    (one(run=["x", "${parameters.rows}"]), "steps.a.run.1", "no such parameter"),
    (one(environment={"A": "${project}"}), "steps.a.environment.A", "no project"),
    (one(run=["x", "${HOME}"]), "steps.a.run.1", "$${"),
    (one(run=["x", "${parameters.a"]), "steps.a.run.1", "no reference"),
    (one(datasets=["sales"]), "steps.a.datasets", "no such data set"),
    ({"datasets": {"d": None}, **one(run=["${datasets.d}"])}, "steps.a.run.0", "Add d to the datasets"),
    (one(run=["x", "${inputs.b}"]), "steps.a.run.1", "Add b to the needs"),
    (one(environment={"NEXUS_RUN_ID": "1"}), "steps.a.environment.NEXUS_RUN_ID", "by the kernel"),
    (one(secrets=["KEY"], environment={"KEY": "1"}), "steps.a.environment.KEY", "secret"),
    (one(secrets=["KEY"], environment={"KEY_FILE": "1"}), "steps.a.environment.KEY_FILE", "secret"),
    (one(artifacts={"Rows": "a", "rows": "b"}), "steps.a.artifacts.rows", "step a"),
    ({"parameters": {"n": {"type": "integer", "default": "many"}}}, "parameters.n.default", "whole number"),
    ({"parameters": {"n": {"type": "integer", "choices": [1, "x"]}}}, "parameters.n.choices", "whole number"),
    ({"parameters": {"n": {"default": "c", "choices": ["a", "b"]}}}, "parameters.n.default", "no choice"),
    ({"parameters": {"n": {"type": "integer", "default": 10**30}}}, "parameters.n.default", "64 bits"),
]


@pytest.mark.parametrize(("fields", "field", "words"), WRONG)
def test_what_is_wrong_is_told_with_its_place(fields: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Plan(document(**fields))
    assert refused.value.data["field"] == field
    assert words in f"{refused.value} {refused.value.own_hint}"


def test_the_largest_document_is_planned_at_once() -> None:
    names = [f"s{number}" for number in range(500)]
    steps = {
        name: {
            "run": ["x", *["${parameters.p}"] * 199],
            "needs": names[:place],
            "artifacts": {f"{name}-{number}": "x" for number in range(100)},
        }
        for place, name in enumerate(names)
    }
    # It would take minutes if anything in it took the square of its size.
    assert Plan(document(steps=steps, parameters={"p": {}})).order == names


def test_what_a_document_refers_to_is_found_and_its_secrets_are_told() -> None:
    steps = {
        "extract": {"run": ["x", "${parameters.rows}", "${datasets.sales}"], "datasets": ["sales"], "secrets": ["B"]},
        "load": {"run": ["x", "${inputs.extract}/a", "$${HOME}"], "needs": ["extract"], "secrets": ["B", "A"]},
    }
    told = document(steps=steps, parameters={"rows": {"type": "integer"}}, datasets={"sales": "s"}, project="prj_1")
    assert Plan(told).waves == [["extract"], ["load"]]
    assert secrets_of(told) == ["A", "B"]


PLAIN = st.text(max_size=20)
REFERENCES = st.sampled_from(["parameters.rows", "datasets.sales", "inputs.extract-1", "project"])
PARTS = st.lists(st.tuples(st.just("text"), PLAIN) | st.tuples(st.just("reference"), REFERENCES), max_size=6)


@QUICK
@given(PARTS, st.dictionaries(REFERENCES, PLAIN))
def test_words_are_filled_once_and_everything_else_is_as_it_was(
    parts: list[tuple[str, str]], given_values: dict[str, str]
) -> None:
    values = {
        **dict.fromkeys(("parameters.rows", "datasets.sales", "inputs.extract-1", "project"), "${v}"),
        **given_values,
    }
    text, expected = "", ""
    for kind, part in parts:
        if kind == "text":
            # A dollar at the end would make the next reference a plain one.
            plain = part.rstrip("$")
            text, expected = text + plain.replace("${", "$${"), expected + plain
        else:
            text, expected = f"{text}${{{part}}}", expected + values[part]
    assert filled(text, values) == expected
    assert references(text) == [part for kind, part in parts if kind == "reference"]


@QUICK
@given(st.text("${}a.project meters-", max_size=30))
def test_any_text_is_filled_or_refused(text: str) -> None:
    found: list[str] | None = None
    with suppress(ValidationError):
        found = references(text)
    if found is None:
        with pytest.raises(ValidationError) as refused:
            filled(text, {})
        assert refused.value.own_hint
        return
    made = filled(text, dict.fromkeys(found, ""))
    assert len(made) <= len(text)
    if "${" not in text:
        assert made == text


def test_a_reference_to_nothing_that_is_there_is_refused() -> None:
    with pytest.raises(ValidationError) as refused:
        filled("${parameters.a}", {"parameters.b": "1"})
    assert refused.value.data["available"] == ["parameters.b"]


VALUES = {
    "integer": st.integers(-MOST_WHOLE - 1, MOST_WHOLE),
    "number": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-MOST_WHOLE - 1, MOST_WHOLE),
    "boolean": st.booleans(),
    "string": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30),
}


@QUICK
@given(st.data())
def test_a_parameter_is_the_same_told_as_itself_and_as_text(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(VALUES)))
    value = data.draw(VALUES[kind])
    told = document(parameters={"p": {"type": kind}})
    for given_value in (value, text_of(value)):
        found = taken(told, {"p": given_value})["p"]
        assert found == value
        assert isinstance(found, bool) == (kind == "boolean")
    assert isinstance(value, str) or json.loads(text_of(value)) == value


@QUICK
@given(st.sampled_from(sorted(VALUES)), st.text(max_size=8) | st.integers() | st.floats() | st.booleans())
def test_whatever_is_told_is_typed_and_bounded_or_refused(kind: str, value: Any) -> None:
    told = document(parameters={"p": {"type": kind}})
    found = None
    with suppress(ValidationError):
        found = taken(told, {"p": value})["p"]
    if found is None:
        with pytest.raises(ValidationError) as refused:
            taken(told, {"p": value})
        assert refused.value.data["field"] == "parameters.p"
        return
    match kind:
        case "integer":
            assert type(found) is int
            assert abs(found) <= MOST_WHOLE + 1
        case "number":
            assert not isinstance(found, bool | str)
            assert math.isfinite(found)
        case "string":
            assert isinstance(found, str)
            assert "\0" not in found
        case _:
            assert isinstance(found, bool)


def test_defaults_are_filled_in_and_what_is_missing_unknown_or_no_choice_is_told() -> None:
    parameters = {
        "rows": {"type": "integer", "default": "10"},
        "mode": {"choices": ["fast", "slow"]},
        "strict": {"type": "boolean", "default": False},
    }
    told = document(parameters=parameters)
    assert taken(told, {"mode": "fast"}) == {"rows": 10, "mode": "fast", "strict": False}
    assert taken(told, {"mode": "slow", "strict": "true", "rows": 3.0}) == {"rows": 3, "mode": "slow", "strict": True}
    for given_values, field, words in (
        ({}, "parameters.mode", "--param mode="),
        ({"mode": "fats"}, "parameters.mode", "fast, slow"),
        ({"mode": "fast", "row": 1}, "parameters.row", "rows"),
        ({"mode": "fast", "rows": True}, "parameters.rows", "whole number"),
        ({"mode": "fast", "strict": 1}, "parameters.strict", "true or false"),
    ):
        with pytest.raises(ValidationError) as refused:
            taken(told, given_values)
        assert refused.value.data["field"] == field
        assert re.search(words, json.dumps(refused.value.entry().details) + str(refused.value))
