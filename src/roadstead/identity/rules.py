"""What a user name and a new password must be.  Pure decisions."""

from __future__ import annotations

import re

from roadstead.errors import Invalid

MIN_USERNAME = 2
MAX_USERNAME = 255
MIN_PASSWORD_CHARACTERS = 8
MAX_PASSWORD_CHARACTERS = 128
# Longest password, in bytes, that is compared with a hash at all.
MAX_PASSWORD_BYTES = 1024
RESERVED_PREFIX = "robot$"

# No ":", which ends the name in Basic credentials, and no "$" or "+", which robot accounts are made of.
_USERNAME = re.compile(r"[a-z0-9](?:[a-z0-9._@-]*[a-z0-9])?")
# `robot$name`, or `robot$project+name`.  They have one spelling.
_PART = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
_ROBOT = re.compile(rf"robot\$(?:{_PART}\+)?{_PART}")


class UsernameInvalid(Invalid):
    """The name cannot be a user's."""


class PasswordUnfit(Invalid):
    """The password cannot become anybody's."""


def canonical_username(text: str) -> str | None:
    """The one spelling under which an account is kept: lower case.  None if no account can have that name."""
    if not text.isascii() or not MIN_USERNAME <= len(text) <= MAX_USERNAME:
        return None
    name = text.lower()
    return name if _USERNAME.fullmatch(name) else None


def canonical_login(text: str) -> str | None:
    """The same for whoever may sign in: a person, or a robot."""
    if len(text) <= MAX_USERNAME and _ROBOT.fullmatch(text):
        return text
    return canonical_username(text)


def check_username(text: str) -> str:
    """The canonical spelling of a name for a new account."""
    if text.lower().startswith(RESERVED_PREFIX):
        raise UsernameInvalid(
            f"user names may not begin with {RESERVED_PREFIX}",
            remedy="robot accounts are made in their project",
        )
    name = canonical_username(text)
    if name is None:
        raise UsernameInvalid(
            f"a user name has {MIN_USERNAME} to {MAX_USERNAME} ASCII letters, digits and . _ @ -, and begins"
            " and ends with a letter or digit",
            remedy="choose another name",
        )
    return name


def check_new_password(password: str) -> bytes:
    """The bytes to hash.  They are the UTF-8 of what was typed, not normalised: what clients send is compared
    as it comes, so a password with accents must be typed on a keyboard that composes them alike.
    """
    if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise PasswordUnfit(
            f"a password has {MIN_PASSWORD_CHARACTERS} to {MAX_PASSWORD_CHARACTERS} characters",
            remedy="choose a longer one"
            if len(password) < MIN_PASSWORD_CHARACTERS
            else "choose a shorter one",
        )
    if any(character < " " or character == "\x7f" for character in password):
        raise PasswordUnfit("a password has no control characters", remedy="leave out tabs and line ends")
    try:
        return password.encode()
    except UnicodeEncodeError:
        raise PasswordUnfit("a password is valid Unicode text", remedy="choose another") from None
