"""User names and new passwords."""

from __future__ import annotations

import pytest

from roadstead.identity.passwords import generate_password
from roadstead.identity.rules import (
    PasswordUnfit,
    UsernameInvalid,
    canonical_username,
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
    assert all([len(word) for word in password.split("-")] == [4] * 5 for password in made)
    assert all(check_new_password(password) for password in made)
