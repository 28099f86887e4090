"""Who is meant, and what a role may be called, as plain functions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from roadstead.errors import Invalid
from roadstead.oci.excerpts import excerpt
from roadstead.oci.patterns import Pattern

LONGEST_ROLE_NAME = 64
LONGEST_DESCRIPTION = 1000

_ROLE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]*[A-Za-z0-9])?")
# As nothing, it means all of them.
EVERYTHING = "**"


class MemberInvalid(Invalid):
    """It cannot be a member, or not in that way."""


class RoleInvalid(Invalid):
    """There is no such role, or it cannot be as it is wanted."""


@dataclass(frozen=True, slots=True)
class Whom:
    """Who is to be a member, in one of the ways of saying so.  The first that is set counts, in this order."""

    user_id: int | None = None
    group_id: int | None = None
    username: str = ""
    ldap_group_dn: str = ""
    group_name: str = ""
    # With `group_name`: Harbor's numbers.
    group_type: int = 0

    def check(self) -> None:
        """Raises `MemberInvalid` for nobody."""
        if not (self.user_id or self.group_id or self.username or self.ldap_group_dn or self.group_name):
            raise MemberInvalid(
                "the request names neither a user nor a group", remedy="give member_user or member_group"
            )


def check_repositories(text: str) -> str:
    """The pattern in the form in which it is kept.  Raises `Invalid`."""
    if text in {"", EVERYTHING}:
        return ""
    return Pattern.parse(text).text


def check_role_name(text: str) -> str:
    """Raises `RoleInvalid`."""
    if len(text) > LONGEST_ROLE_NAME or _ROLE_NAME.fullmatch(text) is None:
        raise RoleInvalid(
            f"{excerpt(text)} is not a name for a role",
            remedy=f"use at most {LONGEST_ROLE_NAME} ASCII letters, digits, spaces, '.', '_' and '-',"
            " and begin and end with a letter or a digit",
            limit=LONGEST_ROLE_NAME,
        )
    return text


def check_role_description(text: str) -> str:
    """Raises `RoleInvalid`."""
    if len(text) > LONGEST_DESCRIPTION:
        raise RoleInvalid(
            f"a description has at most {LONGEST_DESCRIPTION} characters",
            remedy="give a shorter one",
            limit=LONGEST_DESCRIPTION,
        )
    return text
