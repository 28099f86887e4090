"""INSERT with a conflict clause, for both databases, from statements built once.

Give `keys` as the columns of one unique index; rows are mappings from column names to values, all with the
same names.  A table is named by its class.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Connection, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite

from roadstead.db.statements import PreparedStatement, Values
from roadstead.db.tables import Base

_Columns = tuple[str, ...]


def insert_id(conn: Connection, table: type[Base], values: Values) -> int:
    """Insert a row, and return its `id`."""
    statement = _insert(conn.dialect.name, table, tuple(values), (), returning=True)
    return cast("int", statement.scalar(conn, values))


def insert_ignore(conn: Connection, table: type[Base], values: Values, *, keys: Sequence[str]) -> bool:
    """Insert a row unless one with the same keys is there.  Whether it was inserted."""
    return _insert(conn.dialect.name, table, tuple(values), tuple(keys)).run(conn, values) == 1


def insert_ignore_all(
    conn: Connection, table: type[Base], rows: Sequence[Values], *, keys: Sequence[str]
) -> None:
    """The same for many rows.

    Where two transactions may insert the same keys at once, give the rows in one order always, lest they wait
    for each other.
    """
    if rows:
        _insert(conn.dialect.name, table, tuple(rows[0]), tuple(keys)).many(conn, rows)


def insert_id_or_none(
    conn: Connection, table: type[Base], values: Values, *, keys: Sequence[str]
) -> int | None:
    """Insert a row and return its `id`, or None when one with the same keys is there."""
    statement = _insert(conn.dialect.name, table, tuple(values), tuple(keys), returning=True)
    return cast("int | None", statement.scalar(conn, values))


def upsert(
    conn: Connection,
    table: type[Base],
    values: Values,
    *,
    keys: Sequence[str],
    update: Sequence[str],
) -> None:
    """Insert a row, or set the columns in `update` of the row with the same keys to the values given."""
    _upsert(conn.dialect.name, table, tuple(values), tuple(keys), tuple(update)).run(conn, values)


def insert(dialect: str, table: type[Base]) -> Any:
    """The dialect's own INSERT, with `on_conflict_do_update` and its kin, for what the above cannot say."""
    whole = cast("Table", table.__table__)
    return postgresql.insert(whole) if dialect == "postgresql" else sqlite.insert(whole)


@lru_cache(maxsize=256)
def _insert(
    dialect: str, table: type[Base], columns: _Columns, keys: _Columns, *, returning: bool = False
) -> PreparedStatement:
    statement = insert(dialect, table).values({name: bindparam(name) for name in columns})
    if keys:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    if returning:
        return PreparedStatement(statement.returning(table.__table__.c.id))
    # Inline: else SQLAlchemy adds a RETURNING of its own.
    return PreparedStatement(statement.inline().execution_options(preserve_rowcount=True))


@lru_cache(maxsize=256)
def _upsert(
    dialect: str, table: type[Base], columns: _Columns, keys: _Columns, update: _Columns
) -> PreparedStatement:
    statement = insert(dialect, table).values({name: bindparam(name) for name in columns})
    replaced = {name: statement.excluded[name] for name in update}
    return PreparedStatement(statement.on_conflict_do_update(index_elements=keys, set_=replaced).inline())
