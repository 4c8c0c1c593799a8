"""Updates: which fields are to change, and which ones did."""

from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from nexus.schemas.command import Arguments
from nexus.schemas.model import Model

Body = TypeVar("Body", bound=BaseModel)
Result = TypeVar("Result", bound="Changed")


class Changed(Model):
    """What an update adds to the resource that it returns."""

    changed: list[str] = Field(
        default_factory=list, description="The fields that are different now; empty when all were so before."
    )


class ChangeArguments(Arguments):
    """`--id` and at least one thing to change. Empty text clears a field named in `clearable`."""

    clearable: ClassVar[frozenset[str]] = frozenset()

    id: str = Field(min_length=1, max_length=200, description="Its id, or its exact name.")

    @model_validator(mode="after")
    def _something_to_change(self) -> Self:
        if not self.wanted():
            names = [f"--{name.replace('_', '-')}" for name in type(self).model_fields if name != "id"]
            raise PydanticCustomError("nothing_to_change", "Give at least one of {flags}.", {"flags": ", ".join(names)})
        return self

    def wanted(self) -> dict[str, Any]:
        """Return the fields to change and their new values."""
        given = {name: getattr(self, name) for name in type(self).model_fields if name != "id"}
        return {
            name: None if value == "" and name in self.clearable else value
            for name, value in given.items()
            if value is not None
        }

    def body(self, model: type[Body], **resolved: Any) -> Body:
        """Return the request's body with only these fields set; `resolved` takes the place of what was typed."""
        return model.model_validate({**self.wanted(), **resolved})


def changed(result: type[Result], before: BaseModel, after: BaseModel) -> Result:
    """Return `after` with the names of the fields that differ from `before`; the time of the change is none of them."""
    fields = [name for name in type(after).model_fields if name != "updated_at"]
    differ = [to_camel(name) for name in fields if getattr(before, name) != getattr(after, name)]
    return result.model_validate({**dict(after), "changed": differ})


def told(resource: str, name: str, result: Changed) -> str:
    """Say in one sentence what an update changed."""
    if not result.changed:
        return f"The {resource} {name!r} was so already."
    return f"Changed {', '.join(result.changed)} of the {resource} {name!r}."
