"""Asks a person at the terminal for what nobody else may see."""

import asyncio

from nexus.call import Call
from nexus.output.log import log_line
from nexus.schemas.errors import ValidationError

ANSWER_SECONDS = 120.0
LONGEST = 64 * 1024


class Asking:
    """One command's way to ask. The terminal shows the question, on stderr, and nothing of the answer."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def __call__(self, prompt: str) -> str:
        """Return the line that is typed. Raises `ValidationError` without a terminal, and when nobody answers."""
        terminal, stderr = self._call.terminal, self._call.stderr
        if terminal is None or not stderr.is_terminal:
            raise ValidationError.because("Nobody can be asked here: give it on standard input.", field="stdin")
        await terminal.hidden()
        await stderr.write(prompt.encode())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                line = await self._line()
        except TimeoutError:
            raise ValidationError.because(f"Nobody answered for {ANSWER_SECONDS:g} seconds.", field="stdin") from None
        finally:
            await stderr.write(b"\n")
        return line.decode(errors="surrogateescape")

    async def _line(self) -> bytes:
        line = b""
        async for chunk in self._call.stdin.chunks():
            line += chunk
            if b"\n" in line or len(line) > LONGEST:
                break
        return line.partition(b"\n")[0].removesuffix(b"\r")


class Telling:
    """One command's way to say something on stderr while it is under way: a sentence to a person, else a log record."""

    def __init__(self, call: Call, request_id: str) -> None:
        self._stderr = call.stderr
        self._request_id = request_id

    async def __call__(self, message: str) -> None:
        """Say it."""
        if self._stderr.is_terminal:
            await self._stderr.write(f"{message}\n".encode())
        else:
            await self._stderr.write(log_line("info", message, self._request_id))
