"""Numbered input: a client numbers what it sends, so that what is sent again after a reconnect is applied once."""

from collections import deque
from enum import Enum

from nexus.sessions.core.table import Table

MOST_UNACKNOWLEDGED = 1024
"""How many inputs a client keeps until they are acknowledged; then it must wait."""


class OutState(Enum):
    CLEAR = "clear"
    """All that was sent is acknowledged."""
    WAITING = "waiting"
    OFFLINE = "offline"


class OutInput(Enum):
    PUT = "put"
    ALL_ACKNOWLEDGED = "all acknowledged"
    SOME_ACKNOWLEDGED = "some acknowledged"
    LOST = "lost"
    REJOINED_CLEAR = "back, nothing open"
    REJOINED_OPEN = "back, some open"


class OutAction(Enum):
    NONE = "none"
    SEND = "send"
    KEEP = "keep"
    SEND_AGAIN = "send again"


OUTBOX = Table(
    "sender",
    {
        OutState.CLEAR: {
            OutInput.PUT: (OutState.WAITING, OutAction.SEND),
            OutInput.ALL_ACKNOWLEDGED: (OutState.CLEAR, OutAction.NONE),
            OutInput.LOST: (OutState.OFFLINE, OutAction.NONE),
        },
        OutState.WAITING: {
            OutInput.PUT: (OutState.WAITING, OutAction.SEND),
            OutInput.SOME_ACKNOWLEDGED: (OutState.WAITING, OutAction.NONE),
            OutInput.ALL_ACKNOWLEDGED: (OutState.CLEAR, OutAction.NONE),
            OutInput.LOST: (OutState.OFFLINE, OutAction.NONE),
        },
        OutState.OFFLINE: {
            OutInput.PUT: (OutState.OFFLINE, OutAction.KEEP),
            OutInput.LOST: (OutState.OFFLINE, OutAction.NONE),
            # An answer may still be read from what the lost connection had brought.
            OutInput.SOME_ACKNOWLEDGED: (OutState.OFFLINE, OutAction.NONE),
            OutInput.ALL_ACKNOWLEDGED: (OutState.OFFLINE, OutAction.NONE),
            OutInput.REJOINED_CLEAR: (OutState.CLEAR, OutAction.NONE),
            OutInput.REJOINED_OPEN: (OutState.WAITING, OutAction.SEND_AGAIN),
        },
    },
)


class Outbox:
    """The sender's side: numbers from 1, kept until acknowledged, at most `MOST_UNACKNOWLEDGED` of them."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.state = OutState.CLEAR
        self._open: deque[tuple[int, bytes]] = deque()
        self._newest = 0

    @property
    def full(self) -> bool:
        return len(self._open) >= MOST_UNACKNOWLEDGED

    @property
    def open(self) -> list[tuple[int, bytes]]:
        """What is not acknowledged, oldest first."""
        return list(self._open)

    def put(self, data: bytes) -> tuple[int, bool]:
        """Number the input. Return its number and whether it can be sent now. Raises OverflowError when full."""
        if self.full:
            raise OverflowError(f"{MOST_UNACKNOWLEDGED} inputs are not acknowledged")
        self._newest += 1
        self._open.append((self._newest, data))
        return self._newest, self._move(OutInput.PUT) is OutAction.SEND

    def acknowledged(self, seq: int) -> None:
        """Let go of every input up to `seq`."""
        while self._open and self._open[0][0] <= seq:
            self._open.popleft()
        self._move(OutInput.SOME_ACKNOWLEDGED if self._open else OutInput.ALL_ACKNOWLEDGED)

    def lost(self) -> None:
        self._move(OutInput.LOST)

    def rejoined(self) -> list[tuple[int, bytes]]:
        """Note that the connection is back; return what must be sent again, in its order."""
        self._move(OutInput.REJOINED_OPEN if self._open else OutInput.REJOINED_CLEAR)
        return self.open

    def _move(self, given: OutInput) -> OutAction:
        self.state, action = OUTBOX.move(self.state, given)
        return action


class InState(Enum):
    OPEN = "open"
    APPLYING = "applying"


class InInput(Enum):
    NEXT = "next"
    OLD = "old"
    AHEAD = "ahead"
    APPLIED = "applied"
    FAILED = "failed"


class InAction(Enum):
    APPLY = "apply"
    ACKNOWLEDGE = "acknowledge"
    REFUSE = "refuse"
    WAIT = "wait"


INBOX = Table(
    "receiver of input",
    {
        InState.OPEN: {
            InInput.NEXT: (InState.APPLYING, InAction.APPLY),
            InInput.OLD: (InState.OPEN, InAction.ACKNOWLEDGE),
            InInput.AHEAD: (InState.OPEN, InAction.REFUSE),
        },
        InState.APPLYING: {
            # The one being applied, sent again, or one that overtook it: answered when that is known.
            InInput.NEXT: (InState.APPLYING, InAction.WAIT),
            InInput.AHEAD: (InState.APPLYING, InAction.WAIT),
            InInput.OLD: (InState.APPLYING, InAction.ACKNOWLEDGE),
            InInput.APPLIED: (InState.OPEN, InAction.ACKNOWLEDGE),
            # Its sender is told, and may send the same number again.
            InInput.FAILED: (InState.OPEN, InAction.REFUSE),
        },
    },
)


class Inbox:
    """The receiver's side, for one client: applies last + 1, acknowledges what it has, refuses what jumps ahead."""

    def __init__(self, applied: int = 0) -> None:
        self.applied = applied
        self.state = InState.OPEN

    def receive(self, seq: int) -> InAction:
        """Say what is to be done with input number `seq`. After APPLY, call `done` or `failed`."""
        if seq <= self.applied:
            return self._move(InInput.OLD)
        return self._move(InInput.NEXT if seq == self.applied + 1 else InInput.AHEAD)

    def done(self) -> None:
        self._move(InInput.APPLIED)
        self.applied += 1

    def failed(self) -> None:
        self._move(InInput.FAILED)

    def _move(self, given: InInput) -> InAction:
        self.state, action = INBOX.move(self.state, given)
        return action
