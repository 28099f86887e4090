"""What the rest of the program may ask of a database, whichever it is.

A query is a plain function `def f(conn: Connection, …)`; `read` and `write` run it on either database.
Compiling a statement costs more than running it, so build statements once, at import, with bind parameters:

    _BY_NAME = select(Tag.manifest_id).where(
        Tag.repository_id == bindparam("repository"), Tag.name == bindparam("name")
    )

    def manifest_of(conn: Connection, repository: int, name: str) -> int | None:
        return conn.scalar(_BY_NAME, {"repository": repository, "name": name})

and on a hot path make it a `PreparedQuery`, which leaves SQLAlchemy out of the request altogether:

    _HOT = PreparedQuery(_BY_NAME)
    row = await database.first(_HOT, {"repository": repository, "name": name})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar

from sqlalchemy import Boolean, Connection, Enum, Integer, LargeBinary, String
from sqlalchemy.types import NullType

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.engine import Dialect

P = ParamSpec("P")
T = TypeVar("T")
# What the driver gave, unprocessed: int, text, bytes, None; a truth value is 0 or 1 on SQLite, a bool on
# PostgreSQL.
Row = tuple[Any, ...]
DialectName = Literal["sqlite", "postgresql"]

_PLAIN_TYPES = (Integer, String, LargeBinary, Boolean, NullType)


class Database(Protocol):
    """One database, used by one event loop of one process.  Open it after forking, never before.

    Every method may raise `Unavailable`, with `retry_after`, or `InsufficientStorage`.  A broken constraint
    is `sqlalchemy.exc.IntegrityError` on both databases; catching it *inside* a unit of work needs
    `conn.begin_nested()` around the statement, for PostgreSQL's sake.  Nobody calls `commit` or `rollback` on
    the connection that a unit was given.
    """

    @property
    def dialect(self) -> DialectName: ...

    async def read(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `function` without a transaction: every statement sees what was committed last.  It must not
        write.
        """
        ...

    async def write(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `function` in one transaction.  When this returns, its work survives a power cut; when it
        raises, nothing of it was done, save that a connection lost during the commit itself leaves the
        outcome open.

        `function` may run more than once, so it touches nothing but the database.  A caller that is cancelled
        does not stop a unit of work that has begun.
        """
        ...

    async def brief(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `function`, whose work is a single statement on PostgreSQL, as shortly as can be.

        There the statement is its own transaction: what it locks is free again without a further round trip.
        It is repeated only when the server has undone it, as it does to end a deadlock; when the connection is
        lost, the outcome is open.  On SQLite this is `write`.
        """
        ...

    async def first(self, query: PreparedQuery, parameters: Mapping[str, object]) -> Row | None:
        """The first row, as the driver gives it."""
        ...

    async def all(self, query: PreparedQuery, parameters: Mapping[str, object]) -> list[Row]:
        """Every row, as the driver gives it."""
        ...

    async def changed(self, timeout: float) -> None:  # noqa: ASYNC109 - waiting in vain is no error here
        """Wait until somebody, in any process, may have written since this task last came out of here.

        Returns after `timeout` seconds at the latest, and at once on a task's first call.  It may return for
        nothing.  On PostgreSQL only transactions that called `notify` are heard of.
        """
        ...

    async def close(self) -> None:
        """Finish what was begun, then let go of every connection.  May be called twice."""
        ...


class PreparedQuery:
    """A SELECT compiled to text once for each database.

    Its columns are int, text, bytes or bool: nothing that needs work after the driver.  Lists (`IN`) are not
    possible, since their length would change the text.
    """

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        for column in statement.selected_columns:
            if not isinstance(column.type, _PLAIN_TYPES) or isinstance(column.type, Enum):
                raise TypeError(
                    f"column {column.key!r} has type {column.type!r}, which a PreparedQuery cannot return"
                )
        self._statement = statement

    @cached_property
    def sqlite(self) -> tuple[str, Mapping[str, object]]:
        """The text with `:name` parameters, and the values of those that the statement itself gives."""
        from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite  # noqa: PLC0415 - only when used

        return self._compile(SQLiteDialect_pysqlite(paramstyle="named"))

    @cached_property
    def postgresql(self) -> tuple[bytes, Mapping[str, object]]:
        """The same, with `%(name)s` parameters."""
        from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg  # noqa: PLC0415 - only when used

        text, given = self._compile(PGDialect_psycopg())  # type: ignore[no-untyped-call]  # SQLAlchemy's gap
        return text.encode(), given

    def _compile(self, dialect: Dialect) -> tuple[str, Mapping[str, object]]:
        compiled = self._statement.compile(dialect=dialect)
        if compiled.post_compile_params or compiled.literal_execute_params:
            raise TypeError("a PreparedQuery cannot take a list of values")
        given = {
            compiled.bind_names[bind]: bind.effective_value
            for bind in compiled.binds.values()
            if not bind.required
        }
        return str(compiled), given
