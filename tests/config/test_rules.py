"""What a value must be beyond its type."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from roadstead.config import rules
from roadstead.config.display import masked


@pytest.mark.parametrize(
    "url", ["https://r.example.com", "http://localhost:5000", "https://[::1]:8443", "https://r/"]
)
def test_an_address_of_scheme_host_and_port_is_an_external_url(url: str) -> None:
    assert rules.external_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "r.example.com", "ftp://r", "https://", "https://r/v2", "https://r?x", "https://r#x", "https://u:p@r",
        "https://r:99999", "https://r:0", "https://r x", "https://[::1", "https://r\\x", "https://r\n",
    ],
)  # fmt: skip
def test_anything_else_is_no_external_url(url: str) -> None:
    with pytest.raises(ValueError, match="must look like"):
        rules.external_url(url)


@pytest.mark.parametrize("text", ["10.0.0.1", "10.0.0.0/8", "10.0.0.1/8", "::1", "fd00::/8", "unix"])
def test_an_address_a_network_or_the_unix_socket_may_be_a_proxy(text: str) -> None:
    assert rules.proxy(text) == text


@pytest.mark.parametrize("name", ["library", "a", "a-b", "a__b", "a.b_c"])
def test_a_project_name_may_be_the_default(name: str) -> None:
    assert rules.project_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "a/b", "-a", "a-", "a..b", "a\n", "a" * 256])
def test_what_cannot_be_a_project_cannot_be_the_default(name: str) -> None:
    with pytest.raises(ValueError, match="project name"):
        rules.project_name(name)


@pytest.mark.parametrize("word", ["", 'a"b', "a b", "a\n", "ä"])
def test_what_would_need_escapes_cannot_stand_in_a_challenge(word: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        rules.header_word(word)


@pytest.mark.parametrize("url", ["", "sqlite:////x/y.db", "postgresql://u:p@h/n"])
def test_a_known_database_is_accepted(url: str) -> None:
    assert rules.database_url(SecretStr(url)).get_secret_value() == url


@pytest.mark.parametrize(
    ("secret", "outline"),
    [
        ("", ""),
        ("hunter2", "********"),
        ("postgresql://u:p@h:1/n", "postgresql://********@h:1/n"),
        ("postgresql://h/n", "postgresql://h/n"),
        ("sqlite:////x/y.db", "sqlite:////x/y.db"),
        ("postgresql://u:p@h:port/n", "********"),
    ],
)
def test_a_secret_shows_its_outline_only(secret: str, outline: str) -> None:
    assert masked(secret) == outline
