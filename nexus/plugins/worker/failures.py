"""What a plugin's code raises to answer with an error of its own, and what its confinement raises at it."""

from typing import Any


class PluginFailure(Exception):
    """An error that the command's caller is told as it is. `type` is one of the envelope's types of errors.

    `code` is UPPER_SNAKE and stable; `hint` is what to do next, as a command where one exists.
    """

    type = "plugin"
    code = "PLUGIN_ERROR"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.hint = hint
        self.details = details

    def told(self) -> dict[str, Any]:
        """Return it as it travels: what JSON cannot hold of its details is told as text."""
        plain = (str, int, float, bool, type(None), list, dict)
        details = {name: value if isinstance(value, plain) else str(value) for name, value in self.details.items()}
        return {
            "type": self.type,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "details": details,
        }


class Invalid(PluginFailure):
    """An argument cannot be used; give its name as `field`."""

    type = "validation"
    code = "VALIDATION_ERROR"


class NotFound(PluginFailure):
    """What was asked for is not there."""

    type = "not_found"
    code = "RESOURCE_NOT_FOUND"


class Conflict(PluginFailure):
    """It clashes with what is there."""

    type = "conflict"
    code = "RESOURCE_CONFLICT"


class Unavailable(PluginFailure):
    """What the plugin speaks to failed, or cannot be reached."""

    type = "backend"
    code = "BACKEND_ERROR"


class RightMissing(PermissionError):
    """The plugin did what it has no right to; `right` names it as the manifest asks for it."""

    def __init__(self, right: str, did: str) -> None:
        super().__init__(f"no right to {did}: it wants the right {right!r}")
        self.right = right
        self.did = did
