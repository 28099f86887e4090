"""The SQL of an admin list: what it may be filtered and sorted by, and the page that a request asks for.

A list names its `Fields`.  A key outside them is refused, where Harbor would ignore it and answer with
everything; so no key ever reaches a column that the list does not show.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Literal, TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    SQLColumnExpression,
    Text,
    UnaryExpression,
    and_,
    between,
    func,
    literal,
    or_,
    select,
)

from roadstead.db.list_requests import LARGEST_NUMBER, Clause, ListRequest, parse_q, parse_sort, take
from roadstead.errors import RequestInvalid
from roadstead.oci.excerpts import excerpt

__all__ = [
    "Clause",
    "Field",
    "Fields",
    "ListRequest",
    "apply",
    "matching",
    "page_of",
    "parse_q",
    "parse_sort",
    "take",
]

AnySelect = TypeVar("AnySelect", bound=Select[*tuple[Any, ...]])
Kind = Literal["text", "number", "time", "flag"]


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One thing that a list may be filtered and sorted by.

    A `time` is a column of milliseconds since 1970; clients write RFC 3339 or seconds since 1970, and mean
    the whole second.
    """

    column: SQLColumnExpression[Any]
    kind: Kind = "text"
    # Whether `key=~part` is allowed; only texts have parts.
    fuzzy: bool = True
    sortable: bool = True


Fields = Mapping[str, Field]


def matching(statement: AnySelect, request: ListRequest, fields: Fields) -> AnySelect:
    """The statement with the filters of the request.  Raises `RequestInvalid`."""
    return statement.where(*(_condition(clause, fields) for clause in request.clauses))


def apply(
    statement: AnySelect,
    request: ListRequest,
    fields: Fields,
    *,
    default: Sequence[SQLColumnExpression[Any]],
) -> AnySelect:
    """The statement with the filters, the order and the page of the request.

    `default` is the order of a request without one, and breaks the ties of any other: it ends in something
    unique.  Raises `RequestInvalid`.
    """
    order = chain((_order(key, fields, descending=down) for key, down in request.sort), default)
    chosen = matching(statement, request, fields).order_by(*order)
    return chosen.limit(request.page_size).offset(request.offset)


def page_of(
    conn: Connection,
    statement: AnySelect,
    request: ListRequest,
    fields: Fields,
    *,
    default: Sequence[SQLColumnExpression[Any]],
) -> tuple[list[RowMapping], int]:
    """The rows of the page, and how many rows all pages have.  Raises `RequestInvalid`."""
    rows = list(conn.execute(apply(statement, request, fields, default=default)).mappings())
    # The last page tells the total by itself.
    if len(rows) < request.page_size and (rows or request.page == 1):
        return rows, request.offset + len(rows)
    everything = matching(statement, request, fields).order_by(None).subquery()
    return rows, conn.scalar(select(func.count()).select_from(everything)) or 0


def _known(key: str, fields: Fields, known: Sequence[str], *, verb: str) -> Field:
    if key not in known:
        raise RequestInvalid(
            f"this list cannot be {verb} by {excerpt(key)}",
            remedy=f"use one of: {', '.join(sorted(known))}" if known else "leave it out",
        )
    return fields[key]


def _order(key: str, fields: Fields, *, descending: bool) -> UnaryExpression[Any]:
    sortable = [name for name, field in fields.items() if field.sortable]
    column = _known(key, fields, sortable, verb="sorted").column
    order = column.desc() if descending else column.asc()
    if not getattr(column, "nullable", True):
        return order
    # Left alone, the two databases disagree: here NULL comes before everything.
    return order.nulls_last() if descending else order.nulls_first()


def _condition(clause: Clause, fields: Fields) -> ColumnElement[bool]:
    field = _known(clause.key, fields, list(fields), verb="filtered")
    if clause.op == "fuzzy":
        return _contains(clause, field)
    if clause.op == "range":
        return _within(clause, field)
    each = [_equals(clause.key, value, field) for value in clause.values]
    return and_(*each) if clause.op == "all" else or_(*each)


def _contains(clause: Clause, field: Field) -> ColumnElement[bool]:
    if field.kind != "text" or not field.fuzzy:
        raise RequestInvalid(
            f"{excerpt(clause.key)} cannot be searched for a part", remedy="give the whole value"
        )
    escaped = re.sub(r"([\\%_])", r"\\\1", clause.values[0])
    return field.column.ilike(literal(f"%{escaped}%", Text()), escape="\\")


def _equals(key: str, value: str, field: Field) -> ColumnElement[bool]:
    first, last = _interval(key, value, field)
    return field.column == first if first is last else between(field.column, first, last)


def _within(clause: Clause, field: Field) -> ColumnElement[bool]:
    if field.kind == "flag":
        raise RequestInvalid(f"{excerpt(clause.key)} has no range", remedy="give true or false")
    least, most = clause.values
    column, conditions = field.column, []
    if least:
        first, last = _interval(clause.key, least, field)
        conditions.append(column > last if clause.exclusive else column >= first)
    if most:
        first, last = _interval(clause.key, most, field)
        conditions.append(column < first if clause.exclusive else column <= last)
    return and_(*conditions)


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────

_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
_TIME = re.compile(
    r"(?P<whole>[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?P<fraction>\.[0-9]{1,9})?(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Interval = tuple[ColumnElement[Any], ColumnElement[Any]]


def _interval(key: str, value: str, field: Field) -> _Interval:
    """The first and the last value that `value` stands for: the same one, save for times."""
    if field.kind == "time":
        first, last = _time(key, value)
        return literal(first, BigInteger()), literal(last, BigInteger())
    one: ColumnElement[Any]
    if field.kind == "number":
        # Not the column's own type: PostgreSQL would refuse a number that a narrower one cannot hold.
        one = literal(_number(key, value), BigInteger())
    elif field.kind == "flag":
        one = literal(_flag(key, value), Boolean())
    else:
        one = literal(value, Text())
    return one, one


def _number(key: str, value: str) -> int:
    if _NUMBER.fullmatch(value) is None or abs(int(value)) > LARGEST_NUMBER:
        raise RequestInvalid(
            f"the value {excerpt(value)} of {excerpt(key)} is not a whole number up to {LARGEST_NUMBER}",
            remedy="give a whole number",
            limit=LARGEST_NUMBER,
        )
    return int(value)


def _flag(key: str, value: str) -> bool:
    flag = _FLAGS.get(value.lower())
    if flag is None:
        raise RequestInvalid(
            f"the value {excerpt(value)} of {excerpt(key)} is neither true nor false",
            remedy="give true or false",
        )
    return flag


def _time(key: str, value: str) -> tuple[int, int]:
    """The first and the last millisecond of the time that a client names."""
    found = _TIME.fullmatch(value)
    if found is None:
        first = _number(key, value) * 1000
        if abs(first) + 999 > LARGEST_NUMBER:
            raise _no_time(key, value)
        return first, first + 999
    zone = (found["zone"] or "Z").upper().replace("Z", "+00:00")
    try:
        whole = datetime.fromisoformat(found["whole"].upper() + zone)
    except ValueError:
        raise _no_time(key, value) from None
    first = (whole - _EPOCH) // timedelta(milliseconds=1)
    if found["fraction"]:
        exact = first + int(found["fraction"][1:4].ljust(3, "0"))
        return exact, exact
    return first, first + 999


def _no_time(key: str, value: str) -> RequestInvalid:
    return RequestInvalid(
        f"the value {excerpt(value)} of {excerpt(key)} is not a time",
        remedy="give a time such as 2006-01-02T15:04:05Z, or seconds since 1970",
    )
