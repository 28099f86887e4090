"""The column types that every table shares, and the names that constraints get."""

from __future__ import annotations

from typing import Annotated, Any

from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, MetaData, Text, false, text
from sqlalchemy.orm import DeclarativeBase, mapped_column

# Text that is compared or paged sorts bytewise on both databases.
BytewiseText = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite only counts up by itself in a column that is exactly INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")

Id = Annotated[int, mapped_column(RowId, primary_key=True, autoincrement=True)]
Name = Annotated[str, mapped_column(BytewiseText)]
OptionalName = Annotated[str | None, mapped_column(BytewiseText)]
Bytes = Annotated[bytes, mapped_column(LargeBinary)]
Count = Annotated[int, mapped_column(BigInteger)]
# Milliseconds since 1970, UTC: the same number on both databases, and cheap on the hot paths.
Instant = Annotated[int, mapped_column(BigInteger)]
OptionalInstant = Annotated[int | None, mapped_column(BigInteger)]
# Columns that came after the first release have a default of the database's own: the release before, which goes
# on writing while replicas are replaced, does not know of them.
LaterText = Annotated[str, mapped_column(BytewiseText, server_default=text("''"))]
LaterFlag = Annotated[bool, mapped_column(Boolean, server_default=false())]
LaterCount = Annotated[int, mapped_column(BigInteger, server_default=text("0"))]
# A limit; -1 is none.
Limit = Annotated[int, mapped_column(BigInteger, server_default=text("-1"))]


class Base(DeclarativeBase):
    """Tables are declared once and used with Core statements: no session, no lazy loading."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    # Ids are never used twice on SQLite either: a token or an upload of a deleted row must not fit a new one.
    __table_args__: Any = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy's own interface
