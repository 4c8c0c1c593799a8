"""The table of what the libraries raise is complete: each of their failures is told in its own words."""

import inspect

from pydantic_ai import exceptions

from nexus.kernel.ai.catalog import choose
from nexus.kernel.ai.failures import Asked, _table, told
from nexus.schemas.ai import AiSettings
from nexus.schemas.session import CallerSurroundings

KEY = "sk-very-secret-0815"


def asked() -> Asked:
    caller = CallerSurroundings(environment={"OPENAI_API_KEY": KEY})
    return Asked(choose("openai:m", caller, AiSettings()), caller.environment, 5)


def test_every_failure_of_a_model_is_in_the_table() -> None:
    kinds = [kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if issubclass(kind, Exception)]
    of_models = [kind for kind in kinds if issubclass(kind, exceptions.ModelAPIError)]
    assert len(of_models) > 10
    known = tuple(kind for kind, _ in _table())
    assert all(issubclass(kind, known) for kind in of_models)


def test_more_special_classes_stand_before_what_they_are() -> None:
    kinds = [kind for kind, _ in _table()]
    for number, kind in enumerate(kinds):
        assert not any(issubclass(later, kind) for later in kinds[number + 1 :]), kind


def test_what_nobody_foresaw_is_a_failure_of_the_back_end_without_its_key() -> None:
    entry = told(RuntimeError(f"broken with {KEY}"), asked()).entry()
    assert entry.code == "AI_BACKEND_FAILED"
    assert "RuntimeError" in entry.message
    assert KEY not in entry.model_dump_json()
