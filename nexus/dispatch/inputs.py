"""`--input FILE|-`: a command's arguments as one JSON object, under what the flags say."""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from nexus.call import Call
from nexus.schemas.command import CommandSpec, OptionSpec
from nexus.schemas.errors import InputInvalid

MOST_INPUT_BYTES = 16 * 1024 * 1024


async def arguments_from_input(source: str, call: Call, spec: CommandSpec) -> dict[str, Any]:
    """Read the object and return it by argument names. Raises `InputInvalid`."""
    content = await _read(source, call)
    try:
        found = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputInvalid.because(f"--input is no UTF-8 at byte {error.start}.", position=error.start) from error
    except json.JSONDecodeError as error:
        raise InputInvalid.because(
            f"--input is no JSON at line {error.lineno}, column {error.colno}: {error.msg}.",
            line=error.lineno,
            column=error.colno,
        ) from error
    except (RecursionError, ValueError) as error:
        raise InputInvalid.because(f"--input cannot be read as JSON: {error}.") from error
    if not isinstance(found, dict):
        raise InputInvalid.because(
            "--input wants a JSON object of arguments.", expected="object", hint=f"nexus schema {' '.join(spec.path)}"
        )
    return by_argument_name(found, spec.options)


def by_argument_name(given: Mapping[str, Any], options: Iterable[OptionSpec]) -> dict[str, Any]:
    """Name arguments as the model does, whether they came as `contentPath`, `content-path` or `content_path`."""
    known = {option.name for option in options}
    if given.keys() <= known:
        return dict(given)
    names = {_plain(name): name for name in known}
    return {names.get(_plain(key), key): value for key, value in given.items()}


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


async def _read(source: str, call: Call) -> bytes:
    if source == "-":
        return await call.stdin.read(MOST_INPUT_BYTES)
    path = call.cwd / source
    try:
        with path.open("rb") as file:
            content = file.read(MOST_INPUT_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputInvalid.because(f"--input {source[:200]!r} cannot be read: {reason}.") from error
    if len(content) > MOST_INPUT_BYTES:
        raise InputInvalid.because(f"--input is larger than {MOST_INPUT_BYTES} bytes.", limit=MOST_INPUT_BYTES)
    return content
