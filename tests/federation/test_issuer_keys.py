"""How long an issuer's keys are known, and which of them are used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.federation.ci import AUDIENCE, Ci, private_key, public_jwk

from roadstead.clients.outgoing import Outgoing
from roadstead.config.settings import OutgoingSettings
from roadstead.identity.federation.issuers import IssuerKeys, IssuerSilent
from roadstead.identity.federation.keys import KeySetInvalid, holds_private_keys, public_document, read_keys
from roadstead.identity.federation.queries import StoredIssuer
from roadstead.identity.federation.tokens import ExternalToken

pytestmark = pytest.mark.anyio
MINUTE = 60_000


class Clock:
    now = 1_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def keys(ci: tuple[Ci, Path], clock: Clock) -> AsyncIterator[IssuerKeys]:
    outgoing = Outgoing(
        OutgoingSettings.model_validate({"allow": ["127.0.0.1"], "ca": ci[1], "timeout": 5.0})
    )
    yield IssuerKeys(outgoing, clock=clock)
    await outgoing.close()


def stored(ci: Ci, **changes: Any) -> StoredIssuer:
    values = {
        "id": 1,
        "name": "ci",
        "issuer": ci.issuer,
        "audience": AUDIENCE,
        "jwks_uri": None,
        "jwks": None,
    }
    return StoredIssuer(**{**values, "created_at": 1, "updated_at": 1, **changes})


async def test_keys_are_asked_for_once_in_five_minutes(
    ci: tuple[Ci, Path], keys: IssuerKeys, clock: Clock
) -> None:
    issuer = stored(ci[0])
    for _ in range(3):
        assert await keys.key(issuer, "key-1", "RS256") is not None
    clock.now += 4 * MINUTE
    assert await keys.key(issuer, "key-1", "RS256") is not None
    assert len(ci[0].peer.asked) == 2
    clock.now += MINUTE
    assert await keys.key(issuer, "key-1", "RS256") is not None
    assert len(ci[0].peer.asked) == 4


async def test_a_new_key_is_found_within_a_minute_and_a_withdrawn_one_is_gone(
    ci: tuple[Ci, Path], keys: IssuerKeys, clock: Clock
) -> None:
    opened, issuer = ci[0], stored(ci[0])
    assert await keys.key(issuer, "key-1", "RS256") is not None
    opened.kid, opened.key = "key-2", private_key("RS256", 2)
    opened.announce()
    assert await keys.key(issuer, "key-2", "RS256") is None
    clock.now += MINUTE
    assert await keys.key(issuer, "key-2", "RS256") is not None
    assert await keys.key(issuer, "key-1", "RS256") is None


async def test_what_a_silent_issuer_said_last_is_good_for_an_hour(
    ci: tuple[Ci, Path], keys: IssuerKeys, clock: Clock
) -> None:
    issuer = stored(ci[0])
    assert await keys.key(issuer, "key-1", "RS256") is not None
    ci[0].peer.pages.clear()
    clock.now += 59 * MINUTE
    assert await keys.key(issuer, "key-1", "RS256") is not None
    clock.now += MINUTE
    with pytest.raises(IssuerSilent):
        await keys.key(issuer, "key-1", "RS256")


async def test_a_changed_issuer_is_asked_anew(ci: tuple[Ci, Path], keys: IssuerKeys) -> None:
    assert await keys.key(stored(ci[0]), "key-1", "RS256") is not None
    given = {"keys": [public_jwk(private_key("ES256"), kid="key-9", alg="ES256")]}
    changed = stored(ci[0], updated_at=2, jwks=given)
    assert await keys.key(changed, "key-9", "ES256") is not None
    assert await keys.key(changed, "key-1", "RS256") is None


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"])
async def test_a_token_is_verified_by_the_algorithm_of_its_key(ci: tuple[Ci, Path], algorithm: str) -> None:
    opened = ci[0]
    opened.algorithm, opened.key = algorithm, private_key("RS256" if algorithm[0] == "R" else algorithm)
    token = ExternalToken.parse(opened.token())
    found = read_keys(opened.jwks)
    assert set(found) == {("key-1", algorithm)}
    now = int(str(opened.claims()["iat"]))
    claims = token.verify(found["key-1", algorithm], issuer=opened.issuer, audience=AUDIENCE, now=now)
    assert claims["repository"] == "acme/app"


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "a"},
        {"kty": "RSA", "kid": "a"},
        {"kty": "RSA", "n": 7, "e": [], "kid": "a"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "a"},
        {"kty": "EC", "crv": ["P-256"], "x": "AA", "y": "AA", "kid": "a"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "a"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "a"},
        {"kty": ["RSA"], "kid": "a"},
        {},
    ],
)
async def test_what_is_no_key_of_ours_is_passed_over(entry: dict[str, object]) -> None:
    good = public_jwk(private_key("ES256"), kid="good")
    assert set(read_keys({"keys": [entry, 7, good]})) == {("good", "ES256")}


async def test_keys_for_other_uses_and_private_ones_are_passed_over() -> None:
    key = private_key("ES256")
    for more in (
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"alg": "RS256"},
        {"kid": ""},
        {"kid": 7},
        {"d": "AA"},
    ):
        assert not read_keys({"keys": [public_jwk(key, **{"kid": "a", **more})]})
    assert holds_private_keys({"keys": [public_jwk(key, d="AA")]})


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": {}}, {"keys": [{}] * 101}])
async def test_what_is_no_key_set_is_refused(document: object) -> None:
    with pytest.raises(KeySetInvalid):
        read_keys(document)


async def test_of_keys_given_by_hand_only_what_is_read_is_kept() -> None:
    entry = public_jwk(private_key("ES256"), kid="a", note="\0", more={"x": 1})
    assert set(public_document({"keys": [entry, 7]})["keys"][0]) == {"kty", "kid", "use", "crv", "x", "y"}  # type: ignore[index]  # a list
