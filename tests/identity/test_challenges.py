"""The challenge of a 401."""

from __future__ import annotations

from roadstead.identity.challenges import challenge


def test_a_challenge_names_realm_service_and_scope_in_double_quotes() -> None:
    assert challenge("https://r.example/service/token", "roadstead", "repository:a/b:pull") == (
        'Bearer realm="https://r.example/service/token",service="roadstead",scope="repository:a/b:pull"'
    )


def test_a_challenge_says_why_a_token_was_not_enough() -> None:
    assert challenge("https://r.example/t", "r", "repository:a/b:push", "insufficient_scope").endswith(
        'scope="repository:a/b:push",error="insufficient_scope"'
    )


def test_the_word_basic_in_an_address_does_not_make_the_challenge_basic() -> None:
    text = challenge("https://r.example/Basic/basic/token", "roadstead")
    assert "basic" not in text.lower()
    assert "/%42asic/%62asic/token" in text


def test_I8_nothing_in_a_challenge_ends_its_quotes_or_its_line() -> None:
    text = challenge('https://r.example/"\r\nX: y', 'a"b\\', 'repository:a"b:pull', "invalid_token")
    assert text == 'Bearer realm="https://r.example/%22%0D%0AX: y",service="ab",error="invalid_token"'


def test_a_repository_may_have_basic_in_its_name() -> None:
    assert 'scope="repository:a/visual-basic:pull"' in challenge(
        "https://r/t", "r", "repository:a/visual-basic:pull"
    )
