"""The reader's side of a stream: takes last + 1, drops what it has, stops at a gap and asks again, ends once."""

from enum import Enum

from nexus.sessions.core.position import Batch, Position
from nexus.sessions.core.table import Table


class State(Enum):
    DETACHED = "detached"
    """Nothing is asked; the position stands."""
    JOINING = "joining"
    """Asked for what is behind the position, not answered yet."""
    READING = "reading"
    LAGGING = "lagging"
    """Reading, and a heartbeat told of newer events than came."""
    ENDED = "ended"
    """The stream's own end was delivered."""
    FAILED = "failed"
    """Refused for good: a gap, an expired session, no connection to be had."""
    STOPPED = "stopped"
    """The reader wants no more."""


class Input(Enum):
    ATTACH = "attach"
    ATTACHED = "attached"
    ELSEWHERE = "attached elsewhere"
    NEXT = "next"
    OVERLAP = "overlap"
    OLD = "old"
    AHEAD = "ahead"
    LEVEL = "heartbeat level"
    BEHIND = "heartbeat ahead"
    END = "end"
    LOST = "lost"
    REFUSED = "refused"
    STOP = "stop"


class Action(Enum):
    NONE = "none"
    ASK = "ask"
    DELIVER = "deliver"
    CUT = "cut, deliver"
    DROP = "drop"
    RESUME = "resume"
    TELL_GAP = "tell the gap"
    TELL = "tell"


_ANYWHERE = {
    Input.REFUSED: (State.FAILED, Action.TELL),
    Input.STOP: (State.STOPPED, Action.NONE),
}
_BEFORE_JOINING = {
    # What an earlier attachment left on the wire belongs to no one.
    Input.NEXT: (State.JOINING, Action.DROP),
    Input.OVERLAP: (State.JOINING, Action.DROP),
    Input.OLD: (State.JOINING, Action.DROP),
    Input.AHEAD: (State.JOINING, Action.DROP),
    Input.LEVEL: (State.JOINING, Action.DROP),
    Input.BEHIND: (State.JOINING, Action.DROP),
}
_READING = {
    Input.NEXT: (State.READING, Action.DELIVER),
    Input.OVERLAP: (State.READING, Action.CUT),
    Input.AHEAD: (State.DETACHED, Action.RESUME),
    Input.LEVEL: (State.READING, Action.NONE),
    Input.LOST: (State.DETACHED, Action.RESUME),
    Input.END: (State.ENDED, Action.NONE),
    **_ANYWHERE,
}


def _over(state: State) -> dict[Input, tuple[State, Action]]:
    """What still comes in when all is over changes nothing."""
    late = (Input.NEXT, Input.OVERLAP, Input.OLD, Input.AHEAD, Input.LEVEL, Input.BEHIND, Input.LOST, Input.REFUSED)
    return {**dict.fromkeys(late, (state, Action.DROP)), Input.STOP: (state, Action.NONE)}


READER = Table(
    "reader",
    {
        State.DETACHED: {
            Input.ATTACH: (State.JOINING, Action.ASK),
            Input.LOST: (State.DETACHED, Action.RESUME),
            **_ANYWHERE,
        },
        State.JOINING: {
            Input.ATTACHED: (State.READING, Action.NONE),
            Input.ELSEWHERE: (State.FAILED, Action.TELL_GAP),
            Input.LOST: (State.DETACHED, Action.RESUME),
            **_BEFORE_JOINING,
            **_ANYWHERE,
        },
        State.READING: {
            **_READING,
            Input.OLD: (State.READING, Action.DROP),
            Input.BEHIND: (State.LAGGING, Action.NONE),
        },
        State.LAGGING: {
            **_READING,
            Input.OLD: (State.LAGGING, Action.DROP),
            # Told twice and nothing came between: what is missing will not come by itself.
            Input.BEHIND: (State.DETACHED, Action.RESUME),
        },
        State.ENDED: {**_over(State.ENDED)},
        State.FAILED: {**_over(State.FAILED)},
        State.STOPPED: {**_over(State.STOPPED)},
    },
)


class Reader:
    """One reader's position in one session, whatever its transport does.

    Feed it what comes in; it returns what is to be printed (`receive`) or says that the reader must ask again
    (`must_resume`). `epoch` and `last` are None until the first answer of a reader that joins without a position.
    """

    def __init__(self, session_id: str, *, epoch: int | None = None, last: int | None = None) -> None:
        self.session_id = session_id
        self.epoch = epoch
        self.last = last
        self.newest = last or 0
        self.state = State.DETACHED

    @property
    def position(self) -> Position | None:
        """Where the reader stands; None before it joined."""
        if self.epoch is None or self.last is None:
            return None
        return Position(self.session_id, self.epoch, self.last)

    @property
    def behind(self) -> int:
        """How many events the reader knows of and has not got."""
        return max(0, self.newest - (self.last or 0))

    @property
    def over(self) -> bool:
        return self.state in (State.ENDED, State.FAILED, State.STOPPED)

    @property
    def must_resume(self) -> bool:
        return self.state is State.DETACHED

    def attach(self) -> None:
        """Note that the stream behind the position is asked for."""
        self._move(Input.ATTACH)

    def attached(self, epoch: int, after: int, newest: int) -> bool:
        """Take the answer: the stream starts behind `after`. False is a gap: it is not from where we stand."""
        here = self.epoch in (None, epoch) and self.last in (None, after)
        self._move(Input.ATTACHED if here else Input.ELSEWHERE)
        if here:
            self.epoch, self.last, self.newest = epoch, after, max(newest, after)
        return here

    def receive(self, batch: Batch) -> bytes:
        """Take a batch and return its lines that are new: all, those behind the overlap, or none."""
        action = self._move(self._place(batch))
        if action not in (Action.DELIVER, Action.CUT):
            return b""
        fresh = batch if action is Action.DELIVER else batch.after(self.last or 0)
        self.last = batch.last
        self.newest = max(self.newest, batch.last)
        if batch.end:
            self._move(Input.END)
        return fresh.lines

    def heartbeat(self, newest: int) -> None:
        """Take the newest seq that there is."""
        self.newest = max(self.newest, newest)
        self._move(Input.BEHIND if newest > (self.last or 0) else Input.LEVEL)

    def lost(self) -> None:
        """Note that the connection is gone."""
        self._move(Input.LOST)

    def refused(self) -> None:
        """Note that there is nothing more to be had."""
        self._move(Input.REFUSED)

    def stop(self) -> None:
        """Note that the reader wants no more."""
        self._move(Input.STOP)

    def _place(self, batch: Batch) -> Input:
        last = self.last or 0
        if batch.epoch != self.epoch or batch.first > last + 1:
            return Input.AHEAD
        if batch.last <= last:
            return Input.OLD
        return Input.NEXT if batch.first == last + 1 else Input.OVERLAP

    def _move(self, given: Input) -> Action:
        self.state, action = READER.move(self.state, given)
        return action
