"""Passwords and other secrets: typed at a terminal, unseen, or read from standard input; never an argument."""

from typing import Any

from pydantic import TypeAdapter
from pydantic import ValidationError as ModelError

from nexus.schemas.account import Password
from nexus.schemas.command import ExecutionContext
from nexus.schemas.errors import ValidationError

MOST_BYTES = 64 * 1024


async def secret_given(
    context: ExecutionContext[Any], prompt: str, *, field: str, kind: Any = str, most: int = MOST_BYTES
) -> str:
    """Return the secret; of standard input all of it but the newline at its end.

    `kind` is the type that it must fit, as `Password`. Raises `ValidationError` for nothing at all, for what does not
    fit or is no UTF-8, and where it can be neither typed nor read; it never tells what was given.
    """
    if context.stdin.is_terminal:
        text = await _typed(context, prompt, field)
    else:
        try:
            text = (await context.stdin.read(most)).decode()
        except UnicodeDecodeError:
            raise ValidationError.because("Standard input is no UTF-8 text.", field=field) from None
        text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValidationError.because(
            f"There is no {field}: type it at a terminal, or give it on standard input.", field=field
        )
    return fitting(text, kind, field)


async def new_password_given(context: ExecutionContext[Any], prompt: str) -> str:
    """Return a password to be; at a terminal it is typed twice. Raises as `secret_given`, and when the two differ."""
    password = await secret_given(context, prompt, field="password", kind=Password)
    if context.stdin.is_terminal and await _typed(context, "The same again: ", "password") != password:
        raise ValidationError.because("The two are not the same: nothing was changed.", field="password")
    return password


def fitting(text: str, kind: Any, field: str) -> str:
    """Return a secret that fits its type. Raises `ValidationError`, which does not tell the secret."""
    try:
        checked: str = TypeAdapter(kind).validate_python(text)
    except ModelError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        raise ValidationError.because(f"The {field}: {found['msg']}.", field=field, expected=found["type"]) from None
    return checked


async def _typed(context: ExecutionContext[Any], prompt: str, field: str) -> str:
    if context.ask is None:
        raise ValidationError.because(f"The {field} cannot be typed here: give it on standard input.", field=field)
    return await context.ask(prompt)
