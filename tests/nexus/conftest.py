"""A small tree of commands of its own, and calls whose bytes the tests hold."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field

from nexus.call import Call
from nexus.client.way import Way
from nexus.dispatch.runtime import Runtime
from nexus.fronts import CommandFronts
from nexus.registry.flags import GLOBAL_FLAGS
from nexus.registry.index import CommandIndex, IndexFile, write_index
from nexus.registry.registry import HandlerRegistry
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.errors import ReaderGone, ValidationError
from nexus.schemas.model import Model


class Said(Model):
    said: dict[str, Any]


class SayArguments(Arguments):
    text: str = Field(description="What to say.", json_schema_extra={"short": "t"})
    times: int = Field(default=1, ge=1, le=9, description="How often.")
    tags: list[str] = Field(default_factory=list, description="Tags.")
    loud: bool = Field(default=False, description="Shout.")
    extra: dict[str, Any] = Field(default_factory=dict, description="More, as JSON.")


class Say(CommandHandler[SayArguments, Said]):
    """Say something."""

    path = ("talk", "word", "say")
    arguments = SayArguments
    result = Said
    examples = (Example(line="nexus talk word say --text hello", shows="hello"),)

    async def execute(self, context: ExecutionContext[SayArguments]) -> Said:
        return Said(said=context.args.model_dump())


class Shout(Say):
    """Say something loudly."""

    path = ("talk", "word", "shout")


class EchoArguments(Arguments):
    words: list[str] = Field(
        default_factory=list, description="Words.", json_schema_extra={"positional": True, "rest": True}
    )


class Echo(CommandHandler[EchoArguments, Said]):
    """Give words back."""

    path = ("talk", "word", "echo")
    arguments = EchoArguments
    result = Said
    examples = (Example(line="nexus talk word echo a b", shows="a b"),)

    async def execute(self, context: ExecutionContext[EchoArguments]) -> Said:
        return Said(said={"words": context.args.words})


class Forget(CommandHandler[Arguments, Said]):
    """Forget everything."""

    path = ("talk", "memory", "forget")
    result = Said
    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.WRITE, Effect.DESTRUCTIVE})
    examples = (Example(line="nexus talk memory forget --yes", shows="nothing"),)

    async def execute(self, context: ExecutionContext[Arguments]) -> Said:
        return Said(said={"forgotten": True})


class Break(CommandHandler[Arguments, Said]):
    """Raise what no command should."""

    path = ("talk", "memory", "break")
    result = Said
    examples = (Example(line="nexus talk memory break", shows="a fault"),)

    async def execute(self, context: ExecutionContext[Arguments]) -> Said:
        raise RuntimeError("the handler broke")


class Lie(CommandHandler[Arguments, Said]):
    """Return what the result model forbids."""

    path = ("talk", "memory", "lie")
    result = Said
    examples = (Example(line="nexus talk memory lie", shows="a fault"),)

    async def execute(self, context: ExecutionContext[Arguments]) -> Said:
        return Said.model_construct(said="no object")


class Wait(CommandHandler[Arguments, Said]):
    """Wait for ever."""

    path = ("talk", "word", "wait")
    result = Said
    examples = (Example(line="nexus talk word wait", shows="nothing"),)

    async def execute(self, context: ExecutionContext[Arguments]) -> Said:
        await asyncio.Event().wait()
        raise AssertionError


class Block(CommandHandler[Arguments, Said]):
    """Tell the name of the thread that it runs in."""

    path = ("talk", "word", "block")
    result = Said
    examples = (Example(line="nexus talk word block", shows="a thread"),)

    def execute(self, context: ExecutionContext[Arguments]) -> Said:  # type: ignore[override]
        import threading

        return Said(said={"thread": threading.current_thread() is not threading.main_thread()})


HANDLERS = (Say, Shout, Echo, Forget, Break, Lie, Wait, Block)


@pytest.fixture
def tree(tmp_path: Path) -> CommandIndex:
    """Return an index of the commands above, with the built-in help and version beside them."""
    from nexus.registry.build import built_in_registry

    registry = HandlerRegistry(GLOBAL_FLAGS)
    for handler in HANDLERS:
        registry.register(*handler.path, handler=handler)
    registry.alias(("say",), Say.path)
    target = tmp_path / "tree.index"
    write_index(registry.nodes(), target)
    builtin = tmp_path / "builtin.index"
    write_index(built_in_registry().nodes(), builtin)
    return CommandIndex([IndexFile(builtin), IndexFile(target)])


@dataclass
class Bytes:
    """An end that keeps what is written to it; `gone` is one that nobody reads."""

    is_terminal: bool = False
    gone: bool = False
    written: bytearray = field(default_factory=bytearray)

    async def write(self, data: bytes, reached: object = None) -> None:
        if self.gone:
            raise ReaderGone
        self.written += data


@dataclass
class Given:
    """A stdin that holds some bytes."""

    content: bytes = b""
    is_terminal: bool = False

    async def read(self, limit: int) -> bytes:
        if len(self.content) > limit:
            raise ValidationError.because("too much")
        return self.content

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.content


class Sent:
    """Signals that the test sends."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[int] = asyncio.Queue()

    async def next(self) -> int:
        return await self.queue.get()


@dataclass
class Folders:
    """Every place below one folder."""

    config: Path
    state: Path
    data: Path


class NoKernel:
    """The kernel of commands that need none."""

    async def way(self) -> Way:
        raise AssertionError("this command needs no kernel")


@pytest.fixture
def runtime(tree: CommandIndex, tmp_path: Path) -> Runtime:
    return Runtime(NoKernel(), Folders(tmp_path / "config", tmp_path / "state", tmp_path / "data"), CommandFronts, tree)


CallMaker = Callable[..., Call]


@pytest.fixture
def make_call(tmp_path: Path) -> CallMaker:
    """Return a maker of calls: words, and what differs from a quiet caller without a terminal."""

    def make(
        *argv: str, stdin: bytes = b"", terminal: bool = False, environment: Mapping[str, str] | None = None
    ) -> Call:
        return Call(
            argv=argv,
            cwd=tmp_path,
            environment=environment or {},
            stdin=Given(stdin, terminal),
            stdout=Bytes(terminal),
            stderr=Bytes(terminal),
            signals=Sent(),
        )

    return make
