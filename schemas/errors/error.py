"""What every error is: a type, a code, an exit status, a sentence of its own data; and one told over the wire."""

from typing import Any, ClassVar, Literal, Self

from pydantic.alias_generators import to_camel

from nexus.schemas.envelope import ErrorEntry

ErrorType = Literal[
    "parse",
    "validation",
    "context",
    "auth",
    "permission",
    "not_found",
    "conflict",
    "session",
    "backend",
    "timeout",
    "interrupted",
    "plugin",
    "internal",
]


def clipped(text: str, most: int = 200) -> str:
    """Shorten what an error quotes of its input."""
    return text if len(text) <= most else text[:most] + "…"


class NexusError(Exception):
    """An error as a value: `type`, `code` and `exit_status` of its class, a sentence and details of its own.

    `sentence` is a format string over the keyword data; the data reaches `details` under camelCase names.
    """

    type: ClassVar[ErrorType] = "internal"
    code: ClassVar[str] = "INTERNAL_ERROR"
    exit_status: ClassVar[int] = 1
    sentence: ClassVar[str] = "{reason}"
    hint: ClassVar[str | None] = None
    retryable: ClassVar[bool] = False

    def __init__(self, *, hint: str | None = None, retry_after_ms: int | None = None, **data: Any) -> None:
        self.data = data
        self.own_hint = hint
        self.retry_after_ms = retry_after_ms
        super().__init__(data)

    def __str__(self) -> str:
        return self.sentence.format(**self.data)

    def entry(self) -> ErrorEntry:
        """Return the error as the envelope and the event carry it; a reason that is the message is not told twice."""
        details: dict[str, Any] = {
            "hint": self.own_hint or (self.hint.format(**self.data) if self.hint else None),
            "retryable": self.retryable,
            "retryAfterMs": self.retry_after_ms,
            "exitCode": self.exit_status,
            **{
                to_camel(name): value
                for name, value in self.data.items()
                if name != "reason" or self.sentence != "{reason}"
            },
        }
        return ErrorEntry(
            type=self.type,
            code=self.code,
            message=str(self),
            details={name: value for name, value in details.items() if value is not None},
        )

    def entries(self) -> list[ErrorEntry]:
        """Return what the envelope's `errors` hold: this error, or each of several found at once."""
        return [self.entry()]

    @classmethod
    def because(cls, reason: str, *, hint: str | None = None, **data: Any) -> Self:
        """Make the error with a sentence of its own, for classes whose sentence is `{reason}`."""
        return cls(reason=reason, hint=hint, **data)


class ReportedError(NexusError):
    """An error that came over the wire, already in its final form: told on as it was told to us."""

    def __init__(self, reported: ErrorEntry) -> None:
        super().__init__()
        self.reported = reported

    @property
    def reported_exit_status(self) -> int:
        """The exit status that the error names, 1 when it names none."""
        status = self.reported.details.get("exitCode", 1)
        return status if isinstance(status, int) else 1

    def __str__(self) -> str:
        return self.reported.message

    def entry(self) -> ErrorEntry:
        return self.reported
