"""Texts: given on the command line, in a file, or as `-` on standard input."""

import asyncio
from typing import Any

from nexus.handlers.places import absolute
from nexus.schemas.command import ExecutionContext
from nexus.schemas.errors import ValidationError
from nexus.schemas.regular import open_regular

FROM_STDIN = "-"
_ALSO_STDIN = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
_CALLERS_OWN = ("/dev/fd/", "/proc/self/", "/proc/thread-self/")
"""Opened by these names it would be what the process that answers has open."""


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


async def file_given(context: ExecutionContext[Any], source: str, *, field: str, limit: int) -> tuple[bytes, str]:
    """Return what is in the file, or in standard input when it is `-`, and the name under which faults are told.

    Raises `ValidationError` for more than `limit` bytes, and for a file that cannot be read.
    """
    if source == FROM_STDIN or source in _ALSO_STDIN:
        return await context.stdin.read(limit), "Standard input"
    if source.startswith(_CALLERS_OWN):
        raise ValidationError.because(
            f"{source[:200]} is open in the caller alone.",
            field=field,
            hint=f"Give it on standard input: --{field} - < {source[:200]}",
        )
    path = absolute(source, context.cwd, context.environment)
    try:
        # In a thread: the disk may be slow, and other commands do not wait for it.
        content = await asyncio.to_thread(_content, path, limit)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValidationError.because(f"{path} cannot be read: {reason}.", field=field, path=path) from error
    if len(content) > limit:
        raise ValidationError.because(f"{path} is larger than {limit} bytes.", field=field, path=path, limit=limit)
    return content, path


def _content(path: str, limit: int) -> bytes:
    with open_regular(path) as file:
        return file.read(limit + 1)
