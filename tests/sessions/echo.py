"""A session type for tests that can do everything: its driver is real, what it drives is itself."""

import json

from nexus.kernel.sessions.driver import Audience, Driver, GivenInput
from nexus.kernel.sessions.output import SessionOutput
from nexus.schemas.session import Capabilities
from nexus.sessions import lines
from nexus.sessions.types import SessionType

ALL = Capabilities(send=True, receive=True, interrupt=True, resize=True, close=True, restart=True, stream=True)
ECHO = SessionType("echo", ALL, metadata=("note",))
PIECE = 1000


class Echo(Driver):
    """Answers input by the same text; `print COUNT` and `exit CODE` are what they say."""

    def __init__(self, output: SessionOutput) -> None:
        self.output = output
        self.audiences: list[Audience] = []

    async def start(self) -> None:
        if self.output.options.get("fails"):
            raise OSError("it was asked to fail")
        await self.output.describe(note=self.output.options.get("note"))

    async def resume(self) -> None:
        await self.output.status("connected", "taken up")

    async def send(self, given: GivenInput) -> bool:
        text = given.data.decode(errors="replace")
        match text.split():
            case ["print", count]:
                for start in range(0, int(count), PIECE):
                    numbers = range(start + 1, min(start + PIECE, int(count)) + 1)
                    await self.output.append([lines.log(f"line {number}", "info", "echo") for number in numbers])
            case ["exit", code]:
                await self.output.end("exited", int(code))
            case _:
                await self.output.append([lines.terminal_output(text)])
        return True

    async def interrupt(self) -> None:
        await self.output.append([lines.terminal_output("interrupted")])

    async def resize(self, columns: int, rows: int) -> None:
        await self.output.append([lines.terminal_output(f"{columns}x{rows}")])

    def audience(self, audience: Audience) -> None:
        self.audiences.append(audience)

    async def close(self, reason: str) -> None:
        await self.output.end(reason, None)


def seqs(content: bytes) -> list[int]:
    return [json.loads(line)["seq"] for line in content.splitlines()]
