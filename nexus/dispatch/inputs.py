"""`--input FILE|-`: a command's arguments as one JSON object, under what the flags say."""

import asyncio
import errno
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from shlex import quote
from typing import Any

from nexus.call import Call
from nexus.schemas.command import CommandSpec, OptionSpec
from nexus.schemas.errors import InputInvalid
from nexus.schemas.regular import open_regular

MOST_INPUT_BYTES = 16 * 1024 * 1024
_OWN_STDIN = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
_OWN_DESCRIPTORS = ("/dev/fd/", "/proc/self/", "/proc/thread-self/")


async def arguments_from_input(source: str, call: Call, spec: CommandSpec) -> dict[str, Any]:
    """Read the object and return it by argument names. Raises `InputInvalid`."""
    command = " ".join(spec.path)
    try:
        content = await _read(source, call, command)
        return by_argument_name(_object(content), spec.options)
    except InputInvalid as error:
        error.own_hint = error.own_hint or f"nexus schema {command}"
        raise


def _object(content: bytes) -> dict[str, Any]:
    try:
        # Some editors begin a text with a mark of its encoding.
        found = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_unlike)
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
        raise InputInvalid.because("--input wants a JSON object of arguments.", expected="object")
    return found


def _unlike(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that stands twice: which of the two was meant, nobody knows."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputInvalid.because(f"--input says {twice[:200]!r} twice.", field=twice[:200])
    return found


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


async def _read(source: str, call: Call, command: str) -> bytes:
    if source == "-" or source in _OWN_STDIN:
        # Opened by its name it would be the stdin of the process that answers.
        return await call.stdin.read(MOST_INPUT_BYTES)
    by_stdin = f"nexus {command} --input - < {quote(source[:200])}"
    if source.startswith(_OWN_DESCRIPTORS):
        raise InputInvalid.because(f"--input {source[:200]!r} is open in the caller alone.", hint=by_stdin)
    try:
        # In a thread: the disk may be slow, and other commands do not wait for it.
        content = await asyncio.to_thread(_content, call.cwd / source)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        is_pipe = getattr(error, "errno", None) == errno.ESPIPE
        raise InputInvalid.because(
            f"--input {source[:200]!r} cannot be read: {reason}.", hint=by_stdin if is_pipe else None
        ) from error
    if len(content) > MOST_INPUT_BYTES:
        raise InputInvalid.because(f"--input is larger than {MOST_INPUT_BYTES} bytes.", limit=MOST_INPUT_BYTES)
    return content


def _content(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read(MOST_INPUT_BYTES + 1)
