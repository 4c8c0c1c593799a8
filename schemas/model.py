"""The base of every model on the wire: camelCase outside, snake_case inside, nothing unknown in silence."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel


def to_utc(moment: datetime) -> datetime:
    """Return the moment in UTC; one without a zone is taken as UTC."""
    if moment.tzinfo is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def rfc3339(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds, always the same width: `2026-11-20T12:00:00.000000Z`."""
    # A third of what strftime takes, and a year before 1000 keeps its four digits.
    return to_utc(moment).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


Timestamp = Annotated[datetime, AfterValidator(to_utc), PlainSerializer(rfc3339, return_type=str)]
"""A moment in UTC, written as RFC 3339 with microseconds."""


MOST_WHOLE = 2**63 - 1
"""The largest whole number that databases and systems take; a request that has a larger one is refused."""


class Model(BaseModel):
    """A shape on the wire. Fields are camelCase in JSON; a reader ignores fields that a newer writer added."""

    # Building a validator costs up to a millisecond a model: only those that are used are built.
    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        defer_build=True,
        extra="ignore",
        # What was typed may be a password: an error names the field, and never what stood in it.
        hide_input_in_errors=True,
    )


class StrictModel(Model):
    """A shape that people and programs send us: an unknown field is an error, not a typo that passes."""

    model_config = ConfigDict(extra="forbid")
