"""SQLAlchemy's engine for PostgreSQL: texts that compare byte by byte, and a bounded pool."""

from typing import Any

from sqlalchemy import Column, Engine, create_engine
from sqlalchemy.dialects.postgresql.base import PGTypeCompiler
from sqlalchemy.types import Text

from nexus.kernel.postgresql.server import Server


class ByteTexts(PGTypeCompiler):
    """Makes columns of text compare as SQLite's do, whatever the database's own rules are.

    So lists are sorted alike, and no update of the system's locales leaves an index in another order than its rows.
    """

    def visit_TEXT(self, type_: Text, type_expression: Any = None, **options: Any) -> str:  # noqa: N802 -- SQLAlchemy's
        declared = super().visit_TEXT(type_, **options)
        of_column = isinstance(type_expression, Column)
        return f'{declared} COLLATE "C"' if of_column and not type_.collation else declared


def engine_of(server: Server, connections: int) -> Engine:
    """Return an engine that holds so many connections at most, opened when they are first wanted."""
    engine = create_engine(
        "postgresql+psycopg://",
        creator=server.connect,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
    )
    engine.dialect.type_compiler_instance = ByteTexts(engine.dialect)
    return engine
