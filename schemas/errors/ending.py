"""Commands that were ended from outside: by a signal, or because nobody reads them."""

from nexus.schemas.errors.error import NexusError


class Interrupted(NexusError):
    """The command was interrupted (Ctrl+C)."""

    type = "interrupted"
    code = "INTERRUPTED"
    exit_status = 130
    sentence = "Interrupted."
    hint = "Run the command again."


class Terminated(Interrupted):
    """The command was terminated (SIGTERM)."""

    code = "TERMINATED"
    exit_status = 143
    sentence = "Terminated."


class HungUp(Interrupted):
    """The terminal went away."""

    code = "HUNG_UP"
    exit_status = 129
    sentence = "The terminal went away."


class ReaderGone(Interrupted):
    """Nobody reads the output any more."""

    code = "READER_GONE"
    exit_status = 141
    sentence = "Nobody reads the output any more."
