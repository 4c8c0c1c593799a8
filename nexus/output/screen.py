"""The end that an answer goes to, as those who write it need to know it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Screen:
    """What is known of the end that an answer goes to."""

    is_terminal: bool
    columns: int = 80
    colour: bool = False
