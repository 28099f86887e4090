"""Admin lists: what clients ask for, and what the databases answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from roadstead.db.database import Database
from roadstead.db.insert import insert_id
from roadstead.db.list_requests import (
    LARGEST_NUMBER,
    LONGEST_TEXT,
    MOST_CLAUSES,
    MOST_SORT_KEYS,
    MOST_VALUES,
)
from roadstead.db.listing import (
    Clause,
    Field,
    ListRequest,
    apply,
    matching,
    page_of,
    parse_q,
    parse_sort,
    take,
)
from roadstead.db.tables import User
from roadstead.errors import RequestInvalid

SYNTAX = [*"ab=,~[]{}()\\%+ \"'é0\x00", "k=", "%00", "%25", "%2C", "%ff", "__in=", "__gte=", "\ud800"]

FIELDS = {
    "username": Field(User.username),
    "id": Field(User.id, "number"),
    "epoch": Field(User.credential_epoch, "number"),
    "admin": Field(User.admin, "flag"),
    "created": Field(User.created_at, "time"),
    "last_login": Field(User.last_login_at, "time"),
    "disabled": Field(User.disabled, "flag", sortable=False),
    "exactly": Field(User.username, fuzzy=False),
}
USERS = select(User.id, User.username)
# 2024-01-02T03:04:05Z
NOON = 1704164645


# ── q ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("name=web", Clause("name", "exact", ("web",))),
        ("name=a=b", Clause("name", "exact", ("a=b",))),
        ("tags=*", Clause("tags", "exact", ("*",))),
        ("name=~web", Clause("name", "fuzzy", ("web",))),
        ("size=[1~9]", Clause("size", "range", ("1", "9"))),
        ("size=[ 1 ~]", Clause("size", "range", ("1", ""))),
        ("size=[~9]", Clause("size", "range", ("", "9"))),
        ("name={a b  'c'}", Clause("name", "any", ("a", "b", "c"))),
        ("labels=(1 2)", Clause("labels", "all", ("1", "2"))),
        (r"name=\~web", Clause("name", "exact", ("~web",))),
        (r"name=\[a~b]", Clause("name", "exact", ("[a~b]",))),
        (r"name=\\a", Clause("name", "exact", (r"\a",))),
        (r"name=a\b", Clause("name", "exact", (r"a\b",))),
        ("name__exact=web", Clause("name", "exact", ("web",))),
        ("name__icontains=web", Clause("name", "fuzzy", ("web",))),
        ("name__in={a b}", Clause("name", "any", ("a", "b"))),
        ("name__in=a", Clause("name", "any", ("a",))),
        ("size__gte=1", Clause("size", "range", ("1", ""))),
        ("size__lte=1", Clause("size", "range", ("", "1"))),
        ("size__gt=1", Clause("size", "range", ("1", ""), exclusive=True)),
        ("size__lt=1", Clause("size", "range", ("", "1"), exclusive=True)),
        ("project__name=a", Clause("project__name", "exact", ("a",))),
    ],
)
def test_a_clause_is_read(text: str, clause: Clause) -> None:
    assert parse_q(text) == (clause,)


def test_commas_separate_clauses() -> None:
    assert [clause.key for clause in parse_q("a=1,b=~2,c={3 4}")] == ["a", "b", "c"]


def test_an_empty_q_asks_for_nothing() -> None:
    assert parse_q("") == ()


def test_a_q_is_unescaped_once_more() -> None:
    assert parse_q("tags%3Dnil") == (Clause("tags", "exact", ("nil",)),)
    assert parse_q("labels=(1+2)") == (Clause("labels", "all", ("1", "2")),)


def test_a_q_that_is_not_escaped_stays_what_it_is() -> None:
    assert parse_q("name=~100%+x") == (Clause("name", "fuzzy", ("100%+x",)),)


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "name=",
        "=a",
        " =a",
        "a=1,",
        ",",
        "a=~",
        "a=\\",
        "a=[",
        "a=[]",
        "a=[1]",
        "a=[~]",
        "a=[1~2~3]",
        "a=[1~2",
        "a={1,2}",
        "a={}",
        "a={ }",
        "a=()",
        "a=(1",
        "a__gt=[1~2]",
        "a__exact=~b",
        "a__in=(1 2)",
        "a=b%00",
        "a=b\x00",
        "a=%ff",
        "a=\ud800",
        "a=100%\ud800",
    ],
)
def test_what_is_no_clause_is_refused(text: str) -> None:
    with pytest.raises(RequestInvalid) as refusal:
        parse_q(text)
    assert refusal.value.remedy


def test_a_q_has_limits() -> None:
    assert len(parse_q(",".join(["a=1"] * MOST_CLAUSES))) == MOST_CLAUSES
    assert len(parse_q("a={" + "1 " * MOST_VALUES + "}")[0].values) == MOST_VALUES
    for text in (
        "a=" + "b" * LONGEST_TEXT,
        ",".join(["a=1"] * (MOST_CLAUSES + 1)),
        "a={" + "1 " * (MOST_VALUES + 1) + "}",
    ):
        with pytest.raises(RequestInvalid):
            parse_q(text)


@given(st.lists(st.sampled_from(SYNTAX), max_size=40).map("".join) | st.text())
def test_any_q_is_read_or_refused(text: str) -> None:
    try:
        clauses = parse_q(text)
    except RequestInvalid:
        return
    assert all(clause.key and clause.values and any(clause.values) for clause in clauses)


# ── sort, pages and keys taken out ──────────────────────────────────────────────────────────────────────


def test_a_sort_is_read() -> None:
    assert parse_sort("") == ()
    assert parse_sort("name, -created") == (("name", False), ("created", True))


@pytest.mark.parametrize("text", [",", "-", "a,", "a,-", ",".join("a" * (MOST_SORT_KEYS + 1))])
def test_what_is_no_sort_is_refused(text: str) -> None:
    with pytest.raises(RequestInvalid):
        parse_sort(text)


def test_pages_count_from_one() -> None:
    assert ListRequest().offset == 0
    assert ListRequest(page=3, page_size=20).offset == 40


@pytest.mark.parametrize(("page", "page_size"), [(0, 10), (-1, 10), (1, 0), (2**60, 100)])
def test_a_page_that_cannot_be_is_refused(page: int, page_size: int) -> None:
    with pytest.raises(RequestInvalid):
        ListRequest(page=page, page_size=page_size)


def test_a_list_takes_the_keys_that_it_answers_itself() -> None:
    request = ListRequest(page=2, clauses=parse_q("tags=*,name=a,labels=(1 2)"))
    rest, taken = take(request, "tags", "labels", "base")
    assert rest == ListRequest(page=2, clauses=(Clause("name", "exact", ("a",)),))
    assert taken == {"tags": Clause("tags", "exact", ("*",)), "labels": Clause("labels", "all", ("1", "2"))}


def test_a_key_that_a_list_takes_stands_once() -> None:
    with pytest.raises(RequestInvalid, match="more than once"):
        take(ListRequest(clauses=parse_q("tags=a,tags=b")), "tags")


# ── what is not known ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "key", ["password_hash", "user__username", "users.username", "username__", "1", "ID"]
)
def test_a_key_outside_the_list_is_refused_and_the_known_ones_named(key: str) -> None:
    with pytest.raises(RequestInvalid) as refusal:
        matching(USERS, ListRequest(clauses=(Clause(key, "exact", ("1",)),)), FIELDS)
    assert "admin, created, disabled, epoch, exactly, id, last_login, username" in refusal.value.remedy
    with pytest.raises(RequestInvalid) as refusal:
        apply(USERS, ListRequest(sort=((key, False),)), FIELDS, default=[User.id])
    assert "admin, created, epoch, exactly, id, last_login, username" in refusal.value.remedy


def test_what_is_not_sortable_is_not_sorted_by() -> None:
    with pytest.raises(RequestInvalid):
        apply(USERS, ListRequest(sort=(("disabled", False),)), FIELDS, default=[User.id])


@pytest.mark.parametrize(
    "text",
    [
        "id=a",
        "id=1.0",
        "id=\u0661",
        "id=1_0",
        f"id={LARGEST_NUMBER + 1}",
        f"id=[~{LARGEST_NUMBER + 1}]",
        "id={1 b}",
        "id=~1",
        "exactly=~a",
        "admin=yes",
        "admin=[0~1]",
        "created=yesterday",
        "created=2024-13-01T00:00:00",
        "created=2024-01-01",
        "created=0001-01-01T00:00:00+99:99",
        f"created={LARGEST_NUMBER // 1000}",
        "created=~2024",
    ],
)
def test_a_value_that_does_not_fit_its_key_is_refused(text: str) -> None:
    with pytest.raises(RequestInvalid) as refusal:
        matching(USERS, ListRequest(clauses=parse_q(text)), FIELDS)
    assert refusal.value.remedy


# ── on the databases ────────────────────────────────────────────────────────────────────────────────────


PEOPLE = [
    # name, admin, created (seconds), last login
    ("anna", True, NOON, None),
    ("Bert", False, NOON + 1, 5000),
    ("b_rt", False, NOON + 2, 3000),
    ("100%", False, NOON + 3, None),
    (r"back\slash", True, NOON + 4, 4000),
]


def add_people(conn: Connection) -> None:
    for number, (name, admin, created, login) in enumerate(PEOPLE):
        row = {
            "username": name,
            "password_hash": "x",
            "admin": admin,
            "disabled": False,
            "credential_epoch": number,
            # In the middle of its second.
            "created_at": created * 1000 + 500,
            "last_login_at": login,
        }
        insert_id(conn, User, row)


def names_and_total(conn: Connection, request: ListRequest) -> tuple[list[str], int]:
    rows, total = page_of(conn, USERS, request, FIELDS, default=[User.id])
    return [row["username"] for row in rows], total


async def found(database: Database, q: str = "", sort: str = "", **pages: Any) -> tuple[list[str], int]:
    await database.write(add_people)
    request = ListRequest(clauses=parse_q(q), sort=parse_sort(sort), **pages)
    return await database.read(names_and_total, request)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("username=anna", "anna"),
        ("username=Anna", ""),
        ("username=~BERT", "Bert"),
        ("username=~b_", "b_rt"),
        ("username=~%", "100%"),
        (r"username=~k\s", r"back\slash"),
        ("username={anna Bert nobody}", "anna Bert"),
        ("username=(anna Bert)", ""),
        ("username=[a~b]", "anna"),
        ("username__gt=anna", r"b_rt back\slash"),
        ("epoch=3", "100%"),
        ("epoch=[1~2]", "Bert b_rt"),
        ("epoch__lt=1", "anna"),
        ("epoch__gt=3", r"back\slash"),
        # More than the column's own type can hold.
        (f"epoch={LARGEST_NUMBER}", ""),
        (f"epoch__gte=-{LARGEST_NUMBER},epoch=0", "anna"),
        ("admin=true", r"anna back\slash"),
        ("admin=0,epoch=[~1]", "Bert"),
        ("created=2024-01-02T03:04:05", "anna"),
        ("created=2024-01-02T03:04:05Z", "anna"),
        ("created=2024-01-02T01:04:06-02:00", "Bert"),
        ("created=2024-01-02T03:04:05.5Z", "anna"),
        ("created=2024-01-02T03:04:05.4Z", ""),
        (f"created=[{NOON + 1}~{NOON + 2}]", "Bert b_rt"),
        (f"created__gt={NOON + 3}", r"back\slash"),
        (f"created__lt={NOON + 1}", "anna"),
        ("last_login=[~4]", r"b_rt back\slash"),
    ],
)
async def test_a_filter_finds(database: Database, q: str, names: str) -> None:
    expected = names.split()
    assert await found(database, q) == (expected, len(expected))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("", r"anna Bert b_rt 100% back\slash"),
        ("-id", r"back\slash 100% b_rt Bert anna"),
        ("username", r"100% Bert anna b_rt back\slash"),
        ("-admin", r"anna back\slash Bert b_rt 100%"),
        ("admin,-created", r"100% b_rt Bert back\slash anna"),
        ("last_login", r"anna 100% b_rt back\slash Bert"),
        ("-last_login", r"Bert back\slash b_rt anna 100%"),
    ],
)
async def test_a_sort_orders(database: Database, sort: str, names: str) -> None:
    assert await found(database, sort=sort) == (names.split(), 5)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("page", "names"), [(1, "anna Bert"), (2, "b_rt 100%"), (3, r"back\slash"), (4, ""), (2**40, "")]
)
async def test_every_page_tells_the_total(database: Database, page: int, names: str) -> None:
    assert await found(database, page=page, page_size=2) == (names.split(), 5)


@pytest.mark.anyio
async def test_a_full_page_counts_what_the_filter_leaves(database: Database) -> None:
    assert await found(database, "admin=false", page=1, page_size=2) == (["Bert", "b_rt"], 3)


@pytest.mark.anyio
async def test_a_page_far_away_is_empty_after_one_that_is_not(database: Database) -> None:
    await found(database)
    for page in (1, 2**50):
        assert (await database.read(names_and_total, ListRequest(page=page)))[1] == 5
