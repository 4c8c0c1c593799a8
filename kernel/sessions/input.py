"""Numbered input as the kernel takes it: in order, once, across reconnects and across the kernel's own end."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from nexus.kernel.sessions.driver import GivenInput
from nexus.kernel.sessions.log import EventLog
from nexus.schemas.errors import OutcomeUnknown, SessionGap
from nexus.schemas.session import InputAccepted
from nexus.sessions.core.input import InAction, Inbox

MOST_CLIENTS = 256
"""So many clients of one session are remembered in memory; the others in the file."""

_NOTE = (
    "INSERT INTO input (session, client, begun, done) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
    " SET begun = max(begun, excluded.begun), done = max(done, excluded.done)"
)


@dataclass(slots=True)
class _Client:
    inbox: Inbox
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class SessionInputs:
    """The inputs of one session. `durable` notes them in the file, for a driver that does not number them itself.

    Noted before and after: an input that was begun when the process died, and not done, is of unknown outcome.
    """

    def __init__(self, log: EventLog, key: int, *, durable: bool) -> None:
        self._log = log
        self._key = key
        self._durable = durable
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._under_way: set[asyncio.Task[InputAccepted]] = set()

    async def take(self, given: GivenInput, apply: Callable[[GivenInput], Awaitable[bool]]) -> InputAccepted:
        """Apply an input unless it was. Raises SessionGap when one before it is missing, and what `apply` raises.

        Whoever sent it may leave meanwhile: it is applied to its end, or it would be applied again when it comes again.
        """
        taking = asyncio.create_task(self._take(given, apply))
        self._under_way.add(taking)
        taking.add_done_callback(self._done)
        return await asyncio.shield(taking)

    def _done(self, taking: "asyncio.Task[InputAccepted]") -> None:
        self._under_way.discard(taking)
        if not taking.cancelled():
            # Told to whoever sent it, if he is still there.
            taking.exception()

    async def _take(self, given: GivenInput, apply: Callable[[GivenInput], Awaitable[bool]]) -> InputAccepted:
        client = await self._client(given)
        async with client.turn:
            action = client.inbox.receive(given.number)
            if action is InAction.REFUSE:
                raise _missing(given, client.inbox.applied)
            if action is not InAction.APPLY:
                return InputAccepted(number=given.number, repeated=True)
            return await self._apply(given, client.inbox, apply)

    async def _apply(
        self, given: GivenInput, inbox: Inbox, apply: Callable[[GivenInput], Awaitable[bool]]
    ) -> InputAccepted:
        try:
            if self._durable:
                await self._note("begun", given)
            applied = await apply(given)
        except BaseException:
            inbox.failed()
            raise
        inbox.done()
        if self._durable:
            self._log.note(self._statement("done", given))
        return InputAccepted(number=given.number, repeated=not applied)

    async def _client(self, given: GivenInput) -> _Client:
        client = self._clients.get(given.client)
        if client is None:
            applied = await self._known(given)
            client = self._clients.setdefault(given.client, _Client(Inbox(applied)))
            while len(self._clients) > MOST_CLIENTS:
                self._clients.popitem(last=False)
        self._clients.move_to_end(given.client)
        return client

    async def _known(self, given: GivenInput) -> int:
        """Return the last number that was applied for a client, as far as anyone knows."""
        if not self._durable:
            # Whoever is driven says which of them it had.
            return given.number - 1
        rows = await self._log.query(
            "SELECT begun, done FROM input WHERE session = ? AND client = ?", (self._key, given.client)
        )
        begun, done = rows[0] if rows else (0, 0)
        if begun > done and given.number == begun:
            self._log.note(self._statement("done", given))
            raise OutcomeUnknown.because(
                f"The kernel ended while input {begun} was being applied: whether it was is not known.",
                number=begun,
                client=given.client,
            )
        return int(max(begun, done))

    async def _note(self, column: str, given: GivenInput) -> None:
        statement, values = self._statement(column, given)
        await self._log.run(lambda connection: connection.execute(statement, values))

    def _statement(self, column: str, given: GivenInput) -> tuple[str, tuple[int, str, int, int]]:
        done = given.number if column == "done" else given.number - 1
        return (_NOTE, (self._key, given.client, given.number, done))


def _missing(given: GivenInput, applied: int) -> SessionGap:
    return SessionGap.because(
        f"Input {given.number} came before input {applied + 1}.",
        client=given.client,
        missing={"first": applied + 1, "last": given.number - 1},
    )
