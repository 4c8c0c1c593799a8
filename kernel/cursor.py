"""Cursors: the place in a sorted list at which the next page begins, opaque to whoever carries it."""

import base64
import binascii
import json

from nexus.schemas.errors import ValidationError

MOST_CHARACTERS = 8192
MOST_NUMBER = 2**63 - 1
Place = tuple[str | int, str | int]
"""The sort key of the last item that was told, and what tells it from others of the same key."""


def encode(order: str, place: Place) -> str:
    """Return the cursor of a place in the list that is sorted by `order`."""
    text = json.dumps([order, *place], ensure_ascii=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(cursor: str, order: str) -> Place:
    """Return the place. Raises `ValidationError` for what is no cursor, or belongs to another order."""
    invalid = ValidationError.because(
        "The cursor is none of this list's.", field="cursor", hint="Take nextCursor of a page as it is."
    )
    if len(cursor) > MOST_CHARACTERS:
        raise invalid
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        raise invalid from None
    match found:
        case [str() as made_for, str() | int() as key, str() | int() as rest] if _fits(key) and _fits(rest):
            if made_for != order:
                raise ValidationError.because(
                    f"The cursor belongs to the list sorted by {made_for or 'nothing'}.", field="cursor"
                )
            return key, rest
        case _:
            raise invalid


def _fits(value: str | int) -> bool:
    """Return whether the value is one that a database could have given: 64 bits, or text that can be written."""
    if isinstance(value, int):
        return -MOST_NUMBER - 1 <= value <= MOST_NUMBER
    return value.isprintable() or not any("\ud800" <= character <= "\udfff" for character in value)
