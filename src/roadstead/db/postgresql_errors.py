"""What PostgreSQL's errors mean to us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as QueueTimeout

from roadstead.errors import InsufficientStorage, RoadsteadError, Unavailable

MINIMUM_VERSION = 15

# Worth running the same unit of work again.
RETRIABLE = (errors.SerializationFailure, errors.DeadlockDetected)

_CONNECTION_LOST = (
    psycopg.InterfaceError,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    # The server ended a connection because nobody used it for a while, or because the database goes away.
    errors.IdleSessionTimeout,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
    errors.DatabaseDropped,
)


@contextmanager
def translated() -> Iterator[None]:
    """Let PostgreSQL's errors out in our words.  Broken constraints and wrong SQL pass unchanged."""
    try:
        yield
    except IntegrityError:
        raise
    except (PoolTimeout, QueueTimeout) as error:
        raise pool_exhausted() from error
    except DBAPIError as error:
        if ours := explain(error.orig):
            raise ours from error
        raise
    except (PoolClosed, psycopg.Error) as error:
        if ours := explain(error):
            raise ours from error
        raise


def explain(error: BaseException | None) -> RoadsteadError | None:  # noqa: PLR0911 - a table
    """Our word for one of PostgreSQL's errors, or nothing where it has none.

    Never quotes the driver's text, which may name hosts and accounts.  It is there as the cause.
    """
    match error:
        case errors.DiskFull():
            return InsufficientStorage(
                "there is no room left for the database", remedy="Free space on its disk.", retry_after=30
            )
        case errors.ReadOnlySqlTransaction():
            return Unavailable(
                "the database takes no writes: it is a standby",
                remedy="Point `database.url` at the primary.",
                retry_after=10,
            )
        case errors.TooManyConnections():
            return Unavailable(
                "PostgreSQL has no connection left for us",
                remedy="Raise its `max_connections`, or lower `database.pool_size`.",
                retry_after=2,
            )
        case errors.SerializationFailure() | errors.DeadlockDetected() | errors.LockNotAvailable():
            return Unavailable("others keep changing the same rows", remedy="Try again.", retry_after=1)
        case (
            errors.InvalidPassword()
            | errors.InvalidAuthorizationSpecification()
            | errors.InvalidCatalogName()
        ):
            return Unavailable(
                "PostgreSQL does not let us in",
                remedy="Check the account, the password and the database's name in `database.url`.",
                retry_after=10,
            )
        case _ if is_lost(error):
            return Unavailable(
                "the connection to PostgreSQL is lost, or cannot be made",
                remedy="Check that the server runs and `database.url` names it.",
                retry_after=2,
            )
        case psycopg.OperationalError():
            # What an operator set or the machine ran out of: a time-out, memory, a disk that fails.
            return Unavailable(
                f"PostgreSQL could not do it (SQLSTATE {error.sqlstate})",
                remedy="Try again. If this lasts, look at PostgreSQL's log.",
                retry_after=2,
            )
        case _:
            return None


def is_lost(error: BaseException | None) -> bool:
    """Whether the connection is gone, rather than the statement wrong."""
    if isinstance(error, _CONNECTION_LOST):
        return True
    # The driver's own: a broken socket has no SQLSTATE.
    if isinstance(error, psycopg.OperationalError):
        return error.sqlstate is None or error.sqlstate.startswith("08")
    return isinstance(error, PoolClosed)


def pool_exhausted() -> Unavailable:
    return Unavailable(
        "every database connection is in use",
        remedy="Try again. If this lasts, raise `database.pool_size`.",
        retry_after=1,
    )


def check_version(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    major = connection.info.server_version // 10_000
    if major < MINIMUM_VERSION:
        raise RoadsteadError(
            f"PostgreSQL {major} is too old: {MINIMUM_VERSION} is the oldest that works",
            remedy="Upgrade the server.",
        )
