"""Letters' case set aside in a search, in each database by its own means and alike in all of them."""

from typing import Any

from sqlalchemy import ColumnElement, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

ESCAPE = "/"


class folded(FunctionElement[str]):  # noqa: N801 -- a function of SQL, named as those are
    """A text with letters' case set aside."""

    type = Text()
    inherit_cache = True


@compiles(folded)
def _by_lower(element: folded, compiler: SQLCompiler, **options: Any) -> str:
    # On our connections to SQLite this is Python's casefold.
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(folded, "postgresql")
def _by_upper(element: folded, compiler: SQLCompiler, **options: Any) -> str:
    # The columns compare bytes. Unicode's root rules know every alphabet, and the upper case of ß and ss is one.
    return f'upper({compiler.process(element.clauses, **options)} COLLATE "und-x-icu")'


def contains_folded(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Return the condition that the column contains the text, letters' case aside."""
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return folded(column).like(folded(literal(f"%{text}%", Text())), escape=ESCAPE)
