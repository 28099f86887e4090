"""Nobody but us makes a token: each test is named after its row in the catalogue of published vulnerabilities."""

from __future__ import annotations

import ast
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm
from tests.identity.building import ALICE, GRANT, FakeClock, Identity

import roadstead
from roadstead.config.settings import AuthSettings
from roadstead.db.database import Database
from roadstead.errors import Unauthenticated
from roadstead.identity import tokens
from roadstead.identity.federation.keys import ALGORITHMS
from roadstead.identity.keys import KeyRing, SigningKey
from roadstead.identity.tokens import TokenInvalid

pytestmark = pytest.mark.anyio

MALLORYS_KEY = ec.generate_private_key(ec.SECP256R1())
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind is enough: nothing here depends on it."""
    return sqlite_url


@pytest.fixture
async def identity(database: Database) -> AsyncIterator[Identity]:
    built = await Identity.build(database, FakeClock(), AuthSettings())
    yield built
    await built.close()


class Forger:
    """Makes tokens that look like ours."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.ours: SigningKey = identity.ring.signing
        now = identity.clock.now // 1000
        self.claims: dict[str, Any] = {
            "iss": "roadstead",
            "aud": "roadstead",
            "sub": "1",
            "name": "alice",
            "epoch": 1,
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "jti": "0" * 32,
            "access": [{"type": "repository", "name": "b/app", "actions": ["pull", "push", "delete"]}],
        }
        self.header: dict[str, Any] = {"alg": "ES256", "kid": self.ours.kid, "typ": "at+jwt"}

    def signing_input(self, header: object, claims: object) -> str:
        return f"{segment(header)}.{segment(claims)}"

    def token(
        self,
        *,
        header: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> str:
        """A token with these changes, signed by the key given: by default our own, as if it had leaked."""
        text = self.signing_input({**self.header, **(header or {})}, {**self.claims, **(claims or {})})
        return self.signed(text, key or self.ours.private)

    def signed(self, text: str, key: ec.EllipticCurvePrivateKey) -> str:
        return f"{text}.{b64(ECAlgorithm(ECAlgorithm.SHA256).sign(text.encode(), key))}"

    async def refused(self, token: str) -> None:
        # Of work, not of waiting: other programs may have the processor.
        began = time.thread_time()
        with pytest.raises(Unauthenticated):
            await self.identity.bearer(token)
        assert time.thread_time() - began < 0.05


@pytest.fixture
def forger(identity: Identity) -> Forger:
    return Forger(identity)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def segment(value: object) -> str:
    return b64(json.dumps(value, separators=(",", ":")).encode())


def public_forms(key: SigningKey) -> dict[str, bytes]:
    """Every way in which somebody may write our public key down."""
    pem = key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "pem": pem,
        "pem without line end": pem.rstrip(b"\n"),
        "der": key.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "openssh": key.public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "point": key.public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        "jwk": ECAlgorithm.to_jwk(key.public).encode(),
    }


async def test_the_forgers_model_is_right(forger: Forger) -> None:
    assert (await forger.identity.bearer(forger.token())).user_id == 1


# ── A1, A2: where the key comes from ────────────────────────────────────────────────────────────────────


async def test_A1_embedded_jwk_is_no_key(forger: Forger) -> None:
    jwk = json.loads(ECAlgorithm.to_jwk(MALLORYS_KEY.public_key()))
    await forger.refused(forger.token(header={"jwk": jwk}, key=MALLORYS_KEY))


@pytest.mark.parametrize("name", ["jku", "x5u"])
async def test_A1_an_address_of_a_key_is_no_key(forger: Forger, name: str) -> None:
    await forger.refused(forger.token(header={name: "http://127.0.0.1:9/keys"}, key=MALLORYS_KEY))


async def test_A1_an_embedded_certificate_is_no_key(forger: Forger) -> None:
    await forger.refused(forger.token(header={"x5c": ["MIIB"], "x5t": "AA"}, key=MALLORYS_KEY))


async def test_A1_header_keys_are_refused_even_over_a_good_signature(forger: Forger) -> None:
    for name in ("jwk", "jku", "x5c", "x5u", "x5t", "cty", "zip", "b64"):
        await forger.refused(forger.token(header={name: "x"}))


async def test_A1_a_key_of_somebody_else_signs_nothing(forger: Forger) -> None:
    await forger.refused(forger.token(key=MALLORYS_KEY))


@pytest.mark.parametrize("kid", ["", "unknown", "../../dev/null", "' OR 1=1 --", None, 1, ["x"], {"x": 1}])
async def test_A2_a_key_that_is_not_found_is_a_refusal(forger: Forger, kid: object) -> None:
    await forger.refused(forger.token(header={"kid": kid}))


async def test_A2_a_token_without_kid_is_refused(forger: Forger) -> None:
    text = forger.signing_input({"alg": "ES256", "typ": "at+jwt"}, forger.claims)
    await forger.refused(forger.signed(text, forger.ours.private))


# ── A3, A4, A5: the algorithm ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "NONE", "", None, ["ES256"], ["none"], {"a": 1}, 0])
@pytest.mark.parametrize("signature", ["", "A" * 86])
async def test_A3_alg_none_is_no_algorithm(forger: Forger, alg: object, signature: str) -> None:
    text = forger.signing_input({**forger.header, "alg": alg}, forger.claims)
    await forger.refused(f"{text}.{signature}")


async def test_A3_a_token_without_alg_is_refused(forger: Forger) -> None:
    text = forger.signing_input({"kid": forger.ours.kid, "typ": "at+jwt"}, forger.claims)
    await forger.refused(f"{text}.")
    await forger.refused(forger.signed(text, forger.ours.private))


async def test_A3_a_token_without_a_signature_is_refused(forger: Forger) -> None:
    text = forger.signing_input(forger.header, forger.claims)
    for token in (text, f"{text}.", f"{text}.{'A' * 86}", f"{text}.{b64(bytes(64))}"):
        await forger.refused(token)


@pytest.mark.parametrize("form", ["pem", "pem without line end", "der", "openssh", "point", "jwk"])
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
async def test_A4_our_public_key_is_no_shared_secret(forger: Forger, alg: str, form: str) -> None:
    secret = public_forms(forger.ours)[form]
    text = forger.signing_input({**forger.header, "alg": alg}, forger.claims)
    mac = hmac.digest(secret, text.encode(), hashlib.new(f"sha{alg[2:]}").name)
    await forger.refused(f"{text}.{b64(mac)}")
    # And with a header that lies about it.
    text = forger.signing_input(forger.header, forger.claims)
    await forger.refused(f"{text}.{b64(hmac.digest(secret, text.encode(), 'sha256'))}")


async def test_A4_another_family_of_keys_signs_nothing(forger: Forger) -> None:
    key = rsa.generate_private_key(65537, 2048)
    for algorithm in ("RS256", "PS256"):
        await forger.refused(
            jwt.encode(forger.claims, key, algorithm, headers={"kid": forger.ours.kid, "typ": "at+jwt"})
        )


@pytest.mark.parametrize("alg", ["es256", "ES384", "ES256K", "EdDSA", "RS256", "ES256 "])
async def test_A5_the_algorithm_is_not_the_senders_to_choose(forger: Forger, alg: str) -> None:
    await forger.refused(forger.token(header={"alg": alg}))


def test_A4_no_verifier_in_the_tree_knows_more_than_one_algorithm() -> None:
    # Tokens of trusted issuers: one verifier for each algorithm, and none of these takes a secret for a key.
    foreign = {"[name]", "[self.algorithm]"}
    assert all(name.startswith(("RS", "PS", "ES", "Ed")) for name in ALGORITHMS)
    for path in Path(roadstead.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "algorithms":
                known = foreign if path.parent.name == "federation" else {"[ALGORITHM]"}
                assert ast.unparse(node.value) in known, path
    assert tokens.ALGORITHM == "ES256"


# ── A6: crit ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("crit", [["x"], [], "b64", ["b64"], None, {"x": 1}, ["exp"], [1]])
async def test_A6_crit_is_refused(forger: Forger, crit: object) -> None:
    await forger.refused(forger.token(header={"crit": crit}))


@pytest.mark.parametrize("b64_value", [False, True])
async def test_A6_a_detached_payload_is_refused(forger: Forger, b64_value: bool) -> None:
    await forger.refused(forger.token(header={"b64": b64_value, "crit": ["b64"]}))


# ── A7: claims.  The signature is ours, so that only the claims can be what is refused ──────────────────


@pytest.mark.parametrize(
    "iss", ["road", "roadstead/", "Roadstead", "roadstead ", "", ["roadstead"], 1, None, {"roadstead": 1}]
)
async def test_A7_an_issuer_that_resembles_ours_is_not_ours(forger: Forger, iss: object) -> None:
    await forger.refused(forger.token(claims={"iss": iss}))


@pytest.mark.parametrize(
    "aud",
    ["road", "roadstead2", "ROADSTEAD", "", ["roadstead"], ["roadstead", "x"], 1, None, "roadstead/refresh"],
)
async def test_A12_a_token_for_somebody_else_is_not_for_us(forger: Forger, aud: object) -> None:
    await forger.refused(forger.token(claims={"aud": aud}))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["1900000000", 1.9e9, None, [1], True, float("inf"), {}])
async def test_A7_a_time_is_a_whole_number(forger: Forger, name: str, value: object) -> None:
    await forger.refused(forger.token(claims={name: value}))


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "name", "epoch", "iat", "nbf", "exp", "jti", "access"])
async def test_A7_every_claim_is_required(forger: Forger, name: str) -> None:
    claims = {key: value for key, value in forger.claims.items() if key != name}
    text = forger.signing_input(forger.header, claims)
    await forger.refused(forger.signed(text, forger.ours.private))


@pytest.mark.parametrize("claims", [[], "x", 1, None, {"iss": {}}])
async def test_A7_claims_are_an_object(forger: Forger, claims: object) -> None:
    text = forger.signing_input(forger.header, claims)
    await forger.refused(forger.signed(text, forger.ours.private))


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": 1},
        {"sub": "one"},
        {"epoch": "1"},
        {"epoch": True},
        {"access": "repository:b/app:pull"},
        {"access": [["repository"]]},
        {"access": [{"type": "repository", "name": "b/app"}]},
        {"access": [{"type": "repository", "name": "b/app", "actions": [1]}]},
        {"access": [{"type": "repository", "name": None, "actions": []}]},
    ],
)
async def test_A7_a_claim_of_another_type_is_refused(forger: Forger, claims: dict[str, object]) -> None:
    await forger.refused(forger.token(claims=claims))


async def test_A7_an_expired_token_and_one_from_the_future_are_refused(forger: Forger) -> None:
    now = forger.identity.clock.now // 1000
    await forger.refused(forger.token(claims={"exp": now}))
    await forger.refused(forger.token(claims={"nbf": now + 61}))
    await forger.refused(forger.token(claims={"iat": now + 61}))


# ── types of token ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("typ", ["JWT", "jwt", "rt+jwt", "AT+JWT", "", None])
async def test_A12_another_type_of_token_is_no_access_token(forger: Forger, typ: object) -> None:
    await forger.refused(forger.token(header={"typ": typ}))


async def test_A12_a_refresh_token_is_no_access_token_and_the_reverse(identity: Identity) -> None:
    refresh = identity.issuer.refresh_token(ALICE).text
    access = identity.issuer.access_token(ALICE, [GRANT]).text
    with pytest.raises(TokenInvalid):
        await identity.issuer.verify_access(refresh)
    with pytest.raises(TokenInvalid):
        await identity.issuer.verify_refresh(access)


async def test_A12_a_token_of_another_installation_is_refused(forger: Forger) -> None:
    stranger = SigningKey(forger.ours.kid, MALLORYS_KEY, MALLORYS_KEY.public_key(), None)
    identity = forger.identity
    ring = KeyRing(identity.database, [stranger], keep=60, clock=identity.clock)
    other = tokens.TokenIssuer(
        ring, service="roadstead", lifetime=600, refresh_lifetime=600, clock=identity.clock
    )
    await forger.refused(other.access_token(ALICE, [GRANT]).text)


async def test_A12_a_token_of_another_service_with_our_keys_is_refused(forger: Forger) -> None:
    identity = forger.identity
    other = tokens.TokenIssuer(
        identity.ring, service="elsewhere", lifetime=600, refresh_lifetime=600, clock=identity.clock
    )
    await forger.refused(other.access_token(ALICE, [GRANT]).text)


# ── A8, A9: work for anyone who asks ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "token",
    [
        "." * 1_000_000,
        "a.b.c",
        "..",
        "...",
        "a" * 2_000_000,
        "é.é.é",
        "\0.\0.\0",
        f"{b64(b'[' * 4000)}.{'A' * 16}.{'A' * 86}",
        f"{b64(b'9' * 5000)}.{'A' * 16}.{'A' * 86}",
    ],
    ids=["dots", "short", "two dots", "three dots", "long", "non-ASCII", "NUL", "deep", "digits"],
)
async def test_A9_a_token_of_another_shape_costs_nothing(forger: Forger, token: str) -> None:
    await forger.refused(token)


async def test_A9_a_token_of_two_megabytes_is_refused(forger: Forger) -> None:
    await forger.refused(forger.token(claims={"padding": "x" * 2_000_000}))


async def test_A9_a_deep_payload_is_refused(forger: Forger) -> None:
    text = f"{segment(forger.header)}.{b64(b'[' * 4000)}"
    await forger.refused(forger.signed(text, forger.ours.private))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "PBES2-HS256+A128KW", "enc": "A128CBC-HS256", "p2c": 2**31 - 1, "p2s": "AAAA"},
        {"alg": "dir", "enc": "A256GCM", "zip": "DEF"},
    ],
)
async def test_A9_an_encrypted_token_is_never_decrypted(forger: Forger, header: dict[str, object]) -> None:
    await forger.refused(
        f"{segment(header)}.{b64(bytes(40))}.{b64(bytes(12))}.{b64(bytes(64))}.{b64(bytes(16))}"
    )


async def test_A8_unknown_keys_are_not_looked_up_each_time(
    forger: Forger, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read = forger.identity.database.read

    async def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal reads
        reads += 1
        return await read(*args, **kwargs)

    monkeypatch.setattr(forger.identity.database, "read", counted)
    forger.identity.clock.advance(2)
    for number in range(1000):
        await forger.refused(forger.token(header={"kid": f"unknown-{number}"}, key=MALLORYS_KEY))
    assert reads == 1


# ── many spellings of one token ─────────────────────────────────────────────────────────────────────────


async def test_a_token_with_padding_is_refused(forger: Forger) -> None:
    token = forger.token()
    for spelling in (token + "=", token + "==", token.replace(".", "=.", 1), token + "\n", " " + token + "x"):
        await forger.refused(spelling)


async def test_the_other_form_of_a_signature_lives_no_longer_than_the_first(forger: Forger) -> None:
    token = forger.token()
    text, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = int.from_bytes(raw[:32]), P256_ORDER - int.from_bytes(raw[32:])
    assert decode_dss_signature(encode_dss_signature(r, s)) == (r, s)
    twin = f"{text}.{b64(r.to_bytes(32) + s.to_bytes(32))}"
    identity = forger.identity
    assert await identity.bearer(twin) == await identity.bearer(token)
    identity.clock.advance(600)
    await forger.refused(twin)
    await forger.refused(token)


async def test_a_changed_byte_anywhere_is_refused(forger: Forger) -> None:
    token = forger.token()
    for position in range(0, len(token), 7):
        if token[position] != ".":
            await forger.refused(
                token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
            )


# A rule about a password that is being chosen: it is no secret of anybody's yet.
NEW_PASSWORD_IS_THE_NAME = "password.casefold() == username.casefold()"

# ── A13: comparing secrets ──────────────────────────────────────────────────────────────────────────────


def test_A13_identity_compares_no_secret_with_an_operator() -> None:
    """Passwords go through argon2's own comparison and remembered ones through a dict of MACs; so no `==` in the
    package may touch a name that holds a secret.
    """
    secret_names = ("password", "secret", "signature", "mac", "digest", "hash", "encoded")
    for path in (Path(roadstead.__file__).parent / "identity").rglob("*.py"):
        if path.name == "queries.py":
            # SQL, which compares columns.
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                # Whether a password was chosen or handed over is no secret.
                text = ast.unparse(node).lower().replace("password_state", "state")
                if text.startswith("len(") or text == NEW_PASSWORD_IS_THE_NAME:
                    continue
                assert not any(name in text for name in secret_names), f"{path.name}: {text}"
