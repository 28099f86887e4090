"""User names and new passwords."""

from __future__ import annotations

import re

import pytest

from roadstead.identity.passwords import generate_password
from roadstead.identity.rules import (
    PasswordUnfit,
    ProfileInvalid,
    UsernameInvalid,
    canonical_username,
    check_chosen_password,
    check_email,
    check_new_password,
    check_username,
)


@pytest.mark.parametrize("name", ["al", "alice", "a.b_c-d@example.com", "0x", "a" * 255])
def test_a_user_name_is_letters_digits_and_a_few_signs(name: str) -> None:
    assert check_username(name) == name


def test_a_user_name_is_kept_in_lower_case() -> None:
    assert check_username("Alice") == "alice"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "a" * 256,
        "a:b",
        "a b",
        "a\0b",
        "a$b",
        "a+b",
        "-ab",
        "ab.",
        "älice",
        "\u202eab",
        "a\n",
        "*",
        "K\u212a",
    ],
)
def test_other_user_names_are_refused(name: str) -> None:
    assert canonical_username(name) is None
    with pytest.raises(UsernameInvalid):
        check_username(name)


@pytest.mark.parametrize("name", ["robot$ci", "Robot$ci"])
def test_names_of_robots_are_reserved(name: str) -> None:
    with pytest.raises(UsernameInvalid, match=r"robot\$"):
        check_username(name)


@pytest.mark.parametrize("length", [8, 128])
def test_a_password_has_8_to_128_characters(length: int) -> None:
    assert check_new_password("p" * length) == b"p" * length


@pytest.mark.parametrize("password", ["", "p" * 7, "p" * 129, "pass\0word", "pass\nword", "pass\udcffword"])
def test_other_new_passwords_are_refused(password: str) -> None:
    with pytest.raises(PasswordUnfit) as refused:
        check_new_password(password)
    assert refused.value.remedy


def test_a_password_is_kept_as_it_was_typed() -> None:
    assert check_new_password("cafe\u0301 creme") != check_new_password("caf\u00e9 creme")


def test_a_generated_password_is_five_words_and_never_the_same() -> None:
    made = {generate_password() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"[A-Z][a-z]{3}(-[a-z]{4}){4}[0-9]", password) for password in made)
    assert all(check_chosen_password(password, "admin") for password in made)


@pytest.mark.parametrize(
    "password", ["lower-case-1", "UPPER-CASE-1", "No-Digit-Here", "Short1", "P" * 120 + "assword12"]
)
def test_a_password_set_through_the_api_has_letters_of_both_cases_and_a_digit(password: str) -> None:
    with pytest.raises(PasswordUnfit) as refused:
        check_chosen_password(password, "alice")
    assert refused.value.remedy


def test_a_password_set_through_the_api_is_not_the_users_name() -> None:
    with pytest.raises(PasswordUnfit):
        check_chosen_password("Alice2026", "alice2026")


@pytest.mark.parametrize(
    "name",
    [
        "robot$ci", "ROBOT$ci", "robot$a+ci", "\uff52obot$ci", "robot\uff04ci", "robot\ufe69ci", "_alice", "alice.",
        "alice ", " alice", "al\u0131ce", "\u212aarl", "system", "System", "scanner", "proxy", "operator", "anonymous",
    ],
)  # fmt: skip
def test_R18_nobody_gets_a_name_that_stands_for_something_else(name: str) -> None:
    with pytest.raises(UsernameInvalid):
        check_username(name)


@pytest.mark.parametrize("email", ["", "a@b", "a.b+c@example.com"])
def test_an_email_address_is_kept_as_it_is(email: str) -> None:
    assert check_email(email) == email


@pytest.mark.parametrize(
    "email", ["a", "@b", "a@", "a@b c", "a\n@b", "ä@b", "a@" + "b" * 255, "a@b@c", "<a@b>"]
)
def test_other_email_addresses_are_refused(email: str) -> None:
    with pytest.raises(ProfileInvalid):
        check_email(email)
