"""What an envelope says of commands, by the name that the program is called by."""

from typing import Any

from nexus.schemas.envelope import Envelope

NEXUS = "nexus"


def called(envelope: Envelope, program: str, *, data: bool = False) -> Envelope:
    """Return the envelope with commands to run under the program's own name: in errors, and in `data` if that is help.

    A command stands alone in its text and begins with `nexus`.
    """
    if program == NEXUS:
        return envelope
    errors = [
        error.model_copy(update={"details": _renamed(error.details, program)})  # its message is for people
        for error in envelope.errors
    ]
    about = envelope.data
    is_help = data or (isinstance(about, dict) and {"usage", "next"} <= about.keys())
    return envelope.model_copy(update={"errors": errors, "data": _renamed(about, program) if is_help else about})


def _renamed(value: Any, program: str) -> Any:
    if isinstance(value, str):
        if value.startswith(f"{NEXUS} "):
            # Its commands have as many words as their table gives them.
            value = value.replace("NAMESPACE RESOURCE ACTION", "COMMAND").replace("RESOURCE ACTION", "COMMAND")
        return program + value[len(NEXUS) :] if value == NEXUS or value.startswith(f"{NEXUS} ") else value
    if isinstance(value, dict):
        return {name: _renamed(inner, program) for name, inner in value.items()}
    return [_renamed(inner, program) for inner in value] if isinstance(value, list) else value
