"""Documents of pipelines, as tests write them."""

from typing import Any

from nexus.schemas.pipeline import PipelineDocument

Written = dict[str, Any]


def written(*, name: str = "sales", **fields: Any) -> Written:
    """Return a document as JSON has it; without steps of its own it has one that prints a word."""
    return {"name": name, "steps": {"say": {"run": ["echo", "hello"]}}, **fields}


def document(**fields: Any) -> PipelineDocument:
    return PipelineDocument.model_validate(written(**fields))


def graph(needs: dict[str, list[str]]) -> PipelineDocument:
    """Return a document whose steps need each other as it is told."""
    return document(steps={name: {"run": ["true"], "needs": needed} for name, needed in needs.items()})
