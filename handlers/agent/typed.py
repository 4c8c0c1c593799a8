"""A command that is typed into an open terminal: its output is what the terminal prints until its shell is through."""

import hashlib
import json
import os
import re
import shlex
from typing import Any

from nexus.handlers.session.streams import StreamArguments, interrupting, stream_of
from nexus.schemas.command import ExecutionContext
from nexus.schemas.errors import ValidationError
from nexus.schemas.session import Session, SessionInput, SessionView
from nexus.sessions.client import SessionClient
from nexus.sessions.follow import SessionStream, Through

STATUS_WORDS = {**dict.fromkeys(("sh", "ash", "bash", "dash", "ksh", "mksh", "zsh"), "$?"), "fish": "$status"}
"""The shells that a command can be typed into, and where each keeps the exit code of what it ran last."""

LONGEST_MARK = 256


class ShellThrough:
    """Says that a reader is through once the shell has told, by an OSC 133 mark of ours, how the command ended.

    The mark (FinalTerm's "command finished") is part of the output, and no terminal shows it. One up to the event
    `behind` is of an earlier run of the same command. `pass_exit_code` makes the command's exit code that of the
    reader.
    """

    def __init__(self, token: str, behind: int, *, pass_exit_code: bool) -> None:
        self._mark = re.compile(rf"\x1b\]133;D;(\d{{1,3}});aid={token}\x07")
        self._behind = behind
        self._pass = pass_exit_code
        self._before = ""

    def __call__(self, line: bytes) -> Through | None:
        if b'"terminal-output"' not in line[:200]:
            return None
        event = json.loads(line)
        if event["seq"] <= self._behind:
            return None
        text = self._before + event["payload"]["content"]
        found = self._mark.search(text)
        self._before = text[-LONGEST_MARK:]
        if found is None:
            return None
        code = int(found[1])
        return Through(code if self._pass else 0, exit_code=code)


def typed_line(command: str, status_word: str, token: str) -> bytes:
    """Write what is typed: the command for the shell to evaluate, and the mark with its exit code behind it."""
    if any((character < " " and character != "\n") or character == "\x7f" for character in command):
        # A tab would complete, an escape would edit: they are told by their numbers.
        escaped = "".join(f"\\{byte:03o}" for byte in command.encode())
        quoted = f"(printf '{escaped}' | string collect)" if status_word == "$status" else f"\"$(printf '{escaped}')\""
    else:
        quoted = shlex.quote(command)
    return f"eval {quoted}; printf '\\033]133;D;%s;aid={token}\\007' {status_word}\r".encode()


async def type_command(
    context: ExecutionContext[Any], client: SessionClient, session: Session, command: str, token: str
) -> SessionView:
    """Type the command, its end marked by the token, and return where the terminal's stream stood before.

    Raises `ValidationError` when the terminal has no shell that says how a command ended.
    """
    content = typed_line(command, _status_word(session), token)
    view = await client.view(session.session_id)
    writer = context.flags.idempotency_key or context.request_id
    await client.send_input(session.session_id, SessionInput.of(writer, 1, content))
    return view


async def typed_stream(
    context: ExecutionContext[Any], client: SessionClient, session: Session, command: str, *, pass_exit_code: bool
) -> SessionStream:
    """Type the command and return the stream of what follows, up to its end. The terminal stays open.

    What an earlier process typed is not typed again: its token is known, as it is the command's. An interrupt reaches
    the terminal's foreground job. Raises as `type_command` does.
    """
    token = hashlib.blake2b(f"{session.session_id}\0{command}".encode(), digest_size=12).hexdigest()
    args: StreamArguments = context.args
    if context.printed is None:
        before = await type_command(context, client, session, command, token)
        behind = before.newest
        if args.after is None and args.tail is None:
            args = args.model_copy(update={"epoch": before.epoch, "after": behind})
    else:
        behind = context.printed.seq
    return stream_of(
        client,
        session.session_id,
        args,
        follow=True,
        printed=context.printed,
        on_stop=interrupting(client, session.session_id, always=True),
        until=ShellThrough(token, behind, pass_exit_code=pass_exit_code),
    )


def _status_word(session: Session) -> str:
    shell = os.path.basename(str(session.metadata.get("shell", "")))
    if "command" in session.metadata or shell not in STATUS_WORDS:
        program = session.metadata.get("command", shell)
        raise ValidationError.because(
            f"The terminal runs {str(program)[:100]!r}, no shell that would say how a command ended.",
            field="session-id",
            hint="nexus agent terminal send --help",
            expected=" | ".join(STATUS_WORDS),
        )
    return STATUS_WORDS[shell]
