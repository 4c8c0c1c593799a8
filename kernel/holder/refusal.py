"""What the holder answers when it will not do what it was asked."""

from typing import Any


class Refused(Exception):
    """`code` says why: unknown, ended, full, not-a-terminal, invalid, spawn, stopping, version; `data` says what of."""

    def __init__(self, code: str, message: str, **data: Any) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    def to_wire(self) -> dict[str, Any]:
        """Return it as the answer's `error`."""
        return {"code": self.code, "message": str(self), **self.data}
