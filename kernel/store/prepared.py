"""Statements that are made once and run often: compiled at their first use, and from then on given to the driver."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Dialect, Row, Select
from sqlalchemy.engine import result_tuple

Run = Callable[[Connection, Mapping[str, Any]], list[Row[Any]]]


class Prepared:
    """One `select`, whose parameters are its `bindparam`s by name. It cannot have a list as a parameter.

    SQLAlchemy's own way to the driver and back costs more than SQLite takes. The rows are as by `connection.execute`,
    which one that is not run `again` is left to.
    """

    def __init__(self, statement: Select[Any], *, again: bool = True) -> None:
        self.statement = statement
        self._again = again
        self._runs: dict[str, Run] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Row[Any]]:
        """Return what the statement finds. Raises the driver's errors."""
        run = self._runs.get(connection.dialect.name)
        if run is None:
            known = self._again and connection.dialect.name == "sqlite"
            run = (_driven if known else _executed)(self.statement, connection.dialect)
            self._runs[connection.dialect.name] = run
        return run(connection, values)


def _executed(statement: Select[Any], _dialect: Dialect) -> Run:
    return lambda connection, values: list(connection.execute(statement, values).all())


def _driven(statement: Select[Any], dialect: Dialect) -> Run:
    compiled = statement.compile(dialect=dialect)
    text, names, defaults = str(compiled), compiled.positiontup or [], compiled.params
    into = {name: compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names}
    columns = list(statement.selected_columns)
    row_of = result_tuple([str(column.key) for column in columns])
    out = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    processed = [(place, process) for place, process in enumerate(out) if process is not None]

    def run(connection: Connection, values: Mapping[str, Any]) -> list[Row[Any]]:
        given = []
        for name in names:
            value, process = values.get(name, defaults[name]), into[name]
            given.append(value if process is None else process(value))
        cursor = connection.connection.cursor()
        try:
            cursor.execute(text, given)
            found = [list(row) for row in cursor.fetchall()]
        finally:
            cursor.close()
        for row in found:
            for place, process in processed:
                row[place] = process(row[place])
        return [row_of(row) for row in found]

    return run
