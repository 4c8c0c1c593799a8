"""Texts: given on the command line, or as `-` on standard input."""

from typing import Any

from nexus.schemas.command import ExecutionContext
from nexus.schemas.errors import ValidationError

FROM_STDIN = "-"


async def bytes_given(context: ExecutionContext[Any], value: str, *, limit: int) -> bytes:
    """Return the argument's bytes, or standard input's when it is `-`.

    Raises `ValidationError` when more than `limit` bytes come.
    """
    return await context.stdin.read(limit) if value == FROM_STDIN else value.encode()


async def text_given(context: ExecutionContext[Any], value: str, *, field: str, limit: int) -> str:
    """Return the argument, or standard input's text when it is `-`.

    Raises `ValidationError` for more than `limit` bytes, for nothing at all and for what is no UTF-8.
    """
    if value != FROM_STDIN:
        return value
    data = await context.stdin.read(limit)
    try:
        text = data.decode()
    except UnicodeDecodeError as bad:
        raise ValidationError.because(
            f"Standard input is no UTF-8 text: byte {bad.start} is {data[bad.start]:#04x}.", field=field
        ) from None
    if not text:
        raise ValidationError.because("Standard input was empty.", field=field, expected="some text")
    return text
