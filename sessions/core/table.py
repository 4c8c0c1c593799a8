"""State machines as tables: where one is, what comes in, where that leads and what is to be done.

Two rules. Whatever is not in the table is illegal, so a table says all that can happen. The table is the only source:
the code moves by it, the docs are drawn from it.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Generic, TypeVar

State = TypeVar("State", bound=Enum)
Input = TypeVar("Input", bound=Enum)
Action = TypeVar("Action", bound=Enum)


class IllegalMove(Exception):
    """An input that the table has no line for: a fault of the peer, or of the code around the machine."""

    def __init__(self, machine: str, state: Enum, given: Enum) -> None:
        super().__init__(machine, state, given)
        self.machine = machine
        self.state = state
        self.given = given

    def __str__(self) -> str:
        return f"the {self.machine} is {self.state.value} and cannot take '{self.given.value}'"


class Table(Generic[State, Input, Action]):
    """The transitions of one machine: `moves[state][input]` is the next state and the action."""

    def __init__(self, name: str, moves: Mapping[State, Mapping[Input, tuple[State, Action]]]) -> None:
        self.name = name
        self.moves = moves

    def move(self, state: State, given: Input) -> tuple[State, Action]:
        """Return the next state and what is to be done. Raises IllegalMove."""
        try:
            return self.moves[state][given]
        except KeyError:
            raise IllegalMove(self.name, state, given) from None


def drawn(table: Table[State, Input, Action]) -> str:
    """Draw the table as Markdown: a line a state, a column an input; `·` is an illegal move."""
    inputs = list(dict.fromkeys(given for moves in table.moves.values() for given in moves))
    lines = [
        f"| {table.name} | " + " | ".join(given.value for given in inputs) + " |",
        "|---" * (len(inputs) + 1) + "|",
    ]
    for state, moves in table.moves.items():
        cells = [_cell(state, moves.get(given)) for given in inputs]
        lines.append(f"| **{state.value}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(state: Enum, move: tuple[Enum, Enum] | None) -> str:
    if move is None:
        return "·"
    target, action = move
    return action.value if target is state else f"{action.value} → **{target.value}**"
