"""Statements of a unit of work that run often, compiled once.

SQLAlchemy needs ten times as long to hand a statement to SQLite as SQLite needs to run it.  There, a
`PreparedStatement` goes to the driver as text; on PostgreSQL, where a round trip costs more than both, it takes
the usual way.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from sqlalchemy import JSON, BindParameter, Connection, Executable, bindparam
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql import ClauseElement

T = TypeVar("T", int, str)
Values = Mapping[str, object]
# What the driver gave: a truth value may be 0 or 1, and JSON is text.
Row = Sequence[Any]


class PreparedStatement:
    """An INSERT, UPDATE, DELETE or SELECT with bind parameters, for either database."""

    def __init__(self, statement: Executable) -> None:
        self.statement = statement

    def run(self, conn: Connection, values: Values) -> int:
        """How many rows it changed."""
        if conn.dialect.name == "sqlite":
            return self._on_sqlite(conn, values).rowcount
        return conn.execute(self.statement, values).rowcount

    def many(self, conn: Connection, rows: Sequence[Values]) -> None:
        """The same for each of `rows`."""
        if not rows:
            return
        if conn.dialect.name == "sqlite":
            for values in rows:
                self._on_sqlite(conn, values)
        else:
            conn.execute(self.statement, rows)

    def first(self, conn: Connection, values: Values) -> Row | None:
        if conn.dialect.name == "sqlite":
            row: Row | None = self._on_sqlite(conn, values).fetchone()
            return row
        return conn.execute(self.statement, values).first()

    def scalar(self, conn: Connection, values: Values) -> Any:
        """The first column of the first row, or None."""
        row = self.first(conn, values)
        return None if row is None else row[0]

    def all(self, conn: Connection, values: Values) -> Sequence[Row]:
        if conn.dialect.name == "sqlite":
            return self._on_sqlite(conn, values).fetchall()
        return conn.execute(self.statement, values).all()

    def _on_sqlite(self, conn: Connection, values: Values) -> sqlite3.Cursor:
        text, given, documents = self._sqlite
        bound = {**given, **values}
        for name in documents:
            bound[name] = json.dumps(bound[name])
        raw: sqlite3.Connection = conn.connection.driver_connection  # type: ignore[assignment]  # of this dialect
        try:
            return raw.execute(text, bound)
        except sqlite3.IntegrityError as error:
            # As SQLAlchemy would, so that callers know one exception only.
            raise IntegrityError(text, None, error, hide_parameters=True) from error

    @cached_property
    def _sqlite(self) -> tuple[str, Mapping[str, object], frozenset[str]]:
        """The text, the values that the statement itself gives, and the parameters that are JSON."""
        if not isinstance(self.statement, ClauseElement):
            raise TypeError("only statements built with SQLAlchemy can be prepared")
        compiled = self.statement.compile(dialect=SQLiteDialect_pysqlite(paramstyle="named"))
        binds = {compiled.bind_names[bind]: bind for bind in compiled.binds.values()}  # type: ignore[attr-defined]  # of a SQLCompiler
        given = {name: bind.effective_value for name, bind in binds.items() if not bind.required}
        documents = {name for name, bind in binds.items() if isinstance(bind.type, JSON)}
        return str(compiled), given, frozenset(documents)


def batches(values: Iterable[T], size: int = 500) -> list[list[T]]:
    """The distinct values, in order, in lists that one statement can take."""
    listed = sorted(set(values))
    return [listed[at : at + size] for at in range(0, len(listed), size)]


def slots(count: int) -> list[BindParameter[Any]]:
    """Parameters for the values of an IN, to be bound with `numbered`."""
    return [bindparam(f"value_{number}") for number in range(count)]


def numbered(values: Sequence[object]) -> dict[str, object]:
    return {f"value_{number}": value for number, value in enumerate(values)}
