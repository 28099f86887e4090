"""An OpenID Connect issuer, as the one of a CI, with keys that tests can see."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from tests.outgoing.peers import Peer

AUDIENCE = "https://registry.example"
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_CURVES: Mapping[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}

GITHUB: Mapping[str, object] = {
    "sub": "repo:acme/app:ref:refs/heads/main",
    "repository": "acme/app",
    "repository_id": "123456",
    "repository_owner": "acme",
    "repository_owner_id": "654321",
    "ref": "refs/heads/main",
    "ref_protected": "true",
    "event_name": "push",
    "workflow_ref": "acme/app/.github/workflows/build.yml@refs/heads/main",
    "runner_environment": "github-hosted",
}
GITLAB: Mapping[str, object] = {
    "sub": "project_path:acme/group/app:ref_type:branch:ref:main",
    "project_path": "acme/group/app",
    "project_id": "42",
    "namespace_path": "acme/group",
    "namespace_id": "7",
    "ref": "main",
    "ref_type": "branch",
    "ref_protected": "true",
    "pipeline_source": "push",
    "user_login": "anna",
}


@cache
def private_key(algorithm: str, which: int = 0) -> PrivateKey:
    """The same for the whole run: RSA keys take their time."""
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    return rsa.generate_private_key(65537, 2048)


def public_jwk(key: PrivateKey, **more: object) -> dict[str, Any]:
    public = key.public_key()
    text: str
    if isinstance(public, rsa.RSAPublicKey):
        text = RSAAlgorithm.to_jwk(public)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        text = ECAlgorithm.to_jwk(public)
    else:
        text = OKPAlgorithm.to_jwk(public)
    found = json.loads(text)
    found.pop("key_ops", None)
    return {**found, "use": "sig", **more}


@dataclass
class Ci:
    """Its keys are at `peer`, where discovery leads to."""

    peer: Peer
    algorithm: str = "RS256"
    kid: str = "key-1"
    key: PrivateKey = field(default_factory=lambda: private_key("RS256"))

    @property
    def issuer(self) -> str:
        return f"https://127.0.0.1:{self.peer.port}"

    @property
    def keys_path(self) -> str:
        return "/keys"

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [public_jwk(self.key, kid=self.kid, alg=self.algorithm)]}

    def announce(self, **more: object) -> None:
        self.peer.shows(
            "/.well-known/openid-configuration",
            {"issuer": self.issuer, "jwks_uri": f"{self.issuer}{self.keys_path}", **more},
        )
        self.peer.shows(self.keys_path, self.jwks)

    def claims(self, **changes: object) -> dict[str, object]:
        now = int(time.time())
        standard = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now - 5,
            "exp": now + 300,
            "jti": "one",
        }
        found = {**standard, **GITHUB, **changes}
        return {name: value for name, value in found.items() if value is not None}

    def token(self, *, header: Mapping[str, object] | None = None, **changes: object) -> str:
        """None leaves a claim out."""
        headers = {"kid": self.kid, **(header or {})}
        return jwt.encode(self.claims(**changes), self.key, self.algorithm, headers=headers)
