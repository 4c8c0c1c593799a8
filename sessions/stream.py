"""What a streaming command hands to whoever prints it: whole lines, and the position that they reach.

A streaming handler is a `CommandHandler[Args, LineStream]`: its `execute` returns the stream, its `result` model is the
form that `--collect` gives. Whoever prints does no more than this:

    async for lines in stream:          # a NexusError before the first lines is an envelope, none comes after them
        await stdout.write(lines.data)
    exit(stream.exit_status)

On a signal it calls `stop` and goes on with the loop: what is left is one item at the most, with the `interrupt` and
the `close`, at once. When the printer's process died, the next one gives the command `Printed` and the stream goes on
behind it: no metadata a second time, no line twice, none missing.
"""

from typing import Protocol

from nexus.schemas.stream import STOP_STATUS, Lines, OutputStream, Printed, StopReason

__all__ = ["STOP_STATUS", "LineStream", "Lines", "OutputStream", "Printed", "StopReason"]


class LineStream(OutputStream, Protocol):
    """The lines of one session for one reader: one `metadata` first, one `close` last.

    Iterating pulls: nothing is read ahead of the printer but a bounded buffer, so a slow one lags on the log and slows
    nobody. `session_id` and `epoch` are known from the first item on; they name the position for `Printed`. `stop`
    makes the iteration yield its `interrupt` and `close`; once only.
    """

    @property
    def session_id(self) -> str: ...

    @property
    def epoch(self) -> int: ...
