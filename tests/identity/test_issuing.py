"""What a token says.  That nobody else can make one is in tests/security/test_tokens.py."""

from __future__ import annotations

import jwt
import pytest
from tests.identity.building import ALICE, GRANT, FakeClock, Identity

from roadstead.errors import RequestInvalid
from roadstead.identity.principals import ANONYMOUS
from roadstead.identity.scopes import GrantedScope
from roadstead.identity.tokens import TokenInvalid

pytestmark = pytest.mark.anyio


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind is enough: nothing here depends on it."""
    return sqlite_url


async def test_a_token_says_who_and_what(identity: Identity, clock: FakeClock) -> None:
    token = identity.issuer.access_token(ALICE, [GRANT])
    claims = await identity.issuer.verify_access(token.text)
    assert (claims.user_id, claims.username, claims.epoch) == (1, "alice", 1)
    assert claims.scopes == {"a/app": {"pull", "push"}}
    assert claims.expires_at == clock.now // 1000 + 1800
    assert token.expires_in == 1800


async def test_a_token_has_the_form_of_dockers(identity: Identity) -> None:
    token = identity.issuer.access_token(ALICE, [GRANT]).text
    assert jwt.get_unverified_header(token) == {
        "alg": "ES256",
        "kid": identity.ring.signing.kid,
        "typ": "at+jwt",
    }
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.keys() == {"iss", "aud", "sub", "name", "epoch", "iat", "nbf", "exp", "jti", "access"}
    assert claims["aud"] == "roadstead"
    assert claims["sub"] == "1"
    assert claims["access"] == [{"type": "repository", "name": "a/app", "actions": ["pull", "push"]}]


async def test_a_token_narrows_its_principal(identity: Identity) -> None:
    token = identity.issuer.access_token(ALICE, [GRANT]).text
    principal = await identity.bearer(token)
    assert not principal.limits("a/app", "push")
    assert principal.limits("a/app", "delete")
    assert principal.limits("b/app", "pull")


async def test_an_anonymous_callers_token_is_nobodys(identity: Identity) -> None:
    principal = await identity.bearer(identity.issuer.access_token(ANONYMOUS, [GRANT]).text)
    assert principal.anonymous
    assert not principal.limits("a/app", "pull")


async def test_a_token_expires(identity: Identity, clock: FakeClock) -> None:
    token = identity.issuer.access_token(ALICE, [GRANT]).text
    clock.advance(1799)
    await identity.bearer(token)
    clock.advance(1)
    with pytest.raises(TokenInvalid):
        await identity.bearer(token)


async def test_a_token_of_a_replica_whose_clock_is_ahead_is_good(
    identity: Identity, clock: FakeClock
) -> None:
    clock.advance(59)
    token = identity.issuer.access_token(ALICE, [GRANT]).text
    clock.advance(-59)
    await identity.issuer.verify_access(token)


async def test_a_token_from_the_future_is_not(identity: Identity, clock: FakeClock) -> None:
    clock.advance(61)
    token = identity.issuer.access_token(ALICE, [GRANT]).text
    clock.advance(-61)
    with pytest.raises(TokenInvalid):
        await identity.issuer.verify_access(token)


async def test_no_token_is_issued_that_would_be_too_long_to_be_read(identity: Identity) -> None:
    grants = [GrantedScope("repository", f"a/{n:060}", frozenset({"pull"})) for n in range(100)]
    with pytest.raises(RequestInvalid, match="8192"):
        identity.issuer.access_token(ALICE, grants)


async def test_two_tokens_are_never_the_same(identity: Identity) -> None:
    one, other = (identity.issuer.access_token(ALICE, [GRANT]).text for _ in range(2))
    first, second = [await identity.issuer.verify_access(token) for token in (one, other)]
    assert first.token_id != second.token_id
