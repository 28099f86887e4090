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
# What logs and answers call somebody who has no account.  Nothing decides by name; these would only mislead.
RESERVED_NAMES = frozenset(
    {"anonymous", "everyone", "nobody", "operator", "proxy", "roadstead", "robot", "scanner", "system"}
)
MAX_PROFILE_TEXT = 255
MAX_COMMENT = 1000

# No ":", which ends the name in Basic credentials, and no "$" or "+", which robot accounts are made of.
_USERNAME = re.compile(r"[a-z0-9](?:[a-z0-9._@-]*[a-z0-9])?")
# `robot$name`, or `robot$project+name`.  They have one spelling.
_ROBOT = re.compile(r"robot\$(?:[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*\+)?[a-z0-9]+(?:[._-][a-z0-9]+)*")


class UsernameInvalid(Invalid):
    """The name cannot be a user's."""


class PasswordUnfit(Invalid):
    """The password cannot become anybody's."""


class ProfileInvalid(Invalid):
    """What somebody says of themself cannot be kept."""


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
    if name in RESERVED_NAMES:
        raise UsernameInvalid(
            f"the name {name} is kept for the registry itself", remedy="choose another name"
        )
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


def check_chosen_password(password: str, username: str) -> bytes:
    """The same for a password that somebody sets through the API: it has letters of both cases and a digit, and is
    not the account's name.
    """
    encoded = check_new_password(password)
    kinds = (str.islower, str.isupper, str.isdigit)
    if not all(any(map(kind, password)) for kind in kinds):
        raise PasswordUnfit(
            "a password has at least one lower-case letter, one upper-case letter and one digit",
            remedy="choose another",
        )
    if password.casefold() == username.casefold():
        raise PasswordUnfit("a password is not the name of its user", remedy="choose another")
    return encoded


_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


def check_email(text: str) -> str:
    """An e-mail address, or nothing."""
    if text and (len(text) > MAX_PROFILE_TEXT or _EMAIL.fullmatch(text) is None):
        raise ProfileInvalid(
            f"an e-mail address is NAME@HOST in ASCII, with at most {MAX_PROFILE_TEXT} characters",
            remedy="check the address",
        )
    return text


def check_profile_text(text: str, what: str, most: int = MAX_PROFILE_TEXT) -> str:
    """One line that somebody says of an account, a group or a token."""
    if len(text) > most or not text.isprintable():
        raise ProfileInvalid(
            f"the {what} has at most {most} characters, without control characters", remedy="change it"
        )
    return text
