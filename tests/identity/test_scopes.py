"""Scopes of Docker's token protocol."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.errors import RequestInvalid
from roadstead.identity.scopes import (
    GrantedScope,
    RequestedScope,
    access_list,
    narrow,
    parse_scope,
    parse_scopes,
)


def repository(name: str, *actions: str) -> RequestedScope:
    return RequestedScope("repository", name, frozenset(actions))


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("repository:a/b:pull,push", repository("a/b", "pull", "push")),
        ("repository:a/b:push,pull", repository("a/b", "pull", "push")),
        ("repository:host:5000/a/b:pull", repository("host:5000/a/b", "pull")),
        ("repository:a/b:pull,scanner-pull", repository("a/b", "pull")),
        ("repository:a/b:", repository("a/b")),
        ("registry:catalog:*", RequestedScope("registry", "catalog", frozenset("*"))),
    ],
)
def test_a_scope_is_a_type_a_name_and_actions(text: str, scope: RequestedScope) -> None:
    assert parse_scope(text) == scope


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "::",
        "repository",
        "repository:a/b",
        "repository::pull",
        "repository(plugin):a/b:pull",
        "registry:other:*",
        "registry:catalog:pull",
        "REPOSITORY:a/b:pull",
        "project:a:pull",
    ],
)
def test_a_scope_that_can_never_be_granted_is_none(text: str) -> None:
    assert parse_scope(text) is None


def test_a_star_asks_for_everything_in_a_repository() -> None:
    assert parse_scope("repository:a/b:*") == repository("a/b", "pull", "push", "delete")


def test_scopes_of_one_repository_are_joined() -> None:
    assert parse_scopes(["repository:a/b:pull repository:a/b:push", "repository:a/b:pull"]) == [
        repository("a/b", "pull", "push")
    ]


def test_D15_a_token_request_names_at_most_a_hundred_scopes() -> None:
    parse_scopes([f"repository:a/{n}:pull" for n in range(100)])
    with pytest.raises(RequestInvalid, match="100 scopes"):
        parse_scopes([f"repository:a/{n}:pull" for n in range(101)])


def test_D15_scopes_are_at_most_8_KiB() -> None:
    with pytest.raises(RequestInvalid, match="8192 bytes"):
        parse_scopes([f"repository:{'a' * 8192}:pull"])


def test_what_is_denied_is_not_in_the_token() -> None:
    assert access_list(
        [
            GrantedScope("repository", "a/b", frozenset({"push", "pull"})),
            GrantedScope("repository", "b/c", frozenset()),
        ]
    ) == [{"type": "repository", "name": "a/b", "actions": ["pull", "push"]}]


def test_rights_to_the_registry_cannot_come_from_a_repository_without_a_name() -> None:
    assert narrow([GrantedScope("repository", "", frozenset({"catalog"}))]) == {}


def test_the_catalog_is_a_right_to_the_registry() -> None:
    assert narrow([GrantedScope("registry", "catalog", frozenset("*"))]) == {"": {"catalog"}}


@given(st.text())
def test_any_text_is_a_scope_or_none(text: str) -> None:
    scope = parse_scope(text)
    assert scope is None or parse_scope(str(scope)) == scope
