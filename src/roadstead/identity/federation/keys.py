"""An issuer's public keys, from a JSON Web Key Set.

The document comes from somebody else: what is no public key of a kind that we verify with is passed over, and each
key is kept under its id and the one algorithm that it is good for.  So no token chooses how it is verified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
# By key id and algorithm.
KeySet: TypeAlias = Mapping[tuple[str, str], PublicKey]

MOST_KEYS = 100
LONGEST_KEY_ID = 256
RSA_BITS = range(2048, 8193)
_RSA_ALGORITHMS = ("RS256", "RS384", "RS512")
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
ALGORITHMS = frozenset({*_RSA_ALGORITHMS, *_CURVES.values(), "EdDSA"})
_READ = ("kty", "kid", "alg", "use", "crv", "n", "e", "x", "y")
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})


class KeySetInvalid(ValueError):
    """The document is no set of public keys."""


def read_keys(document: object) -> KeySet:
    """The keys that we can verify with.  Raises `KeySetInvalid` if it is no key set, or too large a one."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise KeySetInvalid(f'not {{"keys": […]}} with at most {MOST_KEYS} keys')
    found: dict[tuple[str, str], PublicKey] = {}
    for entry in listed:
        if isinstance(entry, dict):
            for name, key in _usable(entry):
                # Two keys of one name: the first, always.
                found.setdefault(name, key)
    return found


def holds_private_keys(document: object) -> bool:
    listed = document.get("keys") if isinstance(document, dict) else None
    entries = listed if isinstance(listed, list) else []
    return any(isinstance(entry, dict) and not _PRIVATE.isdisjoint(entry) for entry in entries)


def public_document(document: object) -> dict[str, object]:
    """The same without whatever we do not read: what is kept of keys that are given by hand."""
    listed = document.get("keys") if isinstance(document, dict) else None
    entries = listed[: MOST_KEYS + 1] if isinstance(listed, list) else []
    return {"keys": [_public(entry) for entry in entries if isinstance(entry, dict)]}


def _public(entry: Mapping[str, object]) -> dict[str, str]:
    found = ((name, entry.get(name)) for name in _READ)
    return {
        name: text for name, text in found if isinstance(text, str) and text.isascii() and text.isprintable()
    }


def _usable(entry: dict[str, Any]) -> Iterator[tuple[tuple[str, str], PublicKey]]:
    kid = entry.get("kid")
    verifies = entry.get("use", "sig") == "sig" and "verify" in entry.get("key_ops", ["verify"])
    if not isinstance(kid, str) or not 1 <= len(kid) <= LONGEST_KEY_ID or not verifies:
        return
    algorithms = _algorithms(entry)
    stated = entry.get("alg")
    if stated is not None:
        algorithms = tuple(name for name in algorithms if name == stated)
    if algorithms and _PRIVATE.isdisjoint(entry):
        key = _public_key(entry)
        if key is not None:
            for algorithm in algorithms:
                yield (kid, algorithm), key


def _algorithms(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Those that a key of this type can be used with."""
    match entry.get("kty"):
        case "RSA":
            return _RSA_ALGORITHMS
        case "EC":
            curve = entry.get("crv")
            return (_CURVES[curve],) if isinstance(curve, str) and curve in _CURVES else ()
        case "OKP" if entry.get("crv") == "Ed25519":
            return ("EdDSA",)
    return ()


def _public_key(entry: dict[str, Any]) -> PublicKey | None:
    try:
        key: object
        match entry["kty"]:
            case "RSA":
                key = RSAAlgorithm.from_jwk(entry)
            case "EC":
                key = ECAlgorithm.from_jwk(entry)
            case _:
                key = OKPAlgorithm.from_jwk(entry)
    except (
        InvalidKeyError,
        UnsupportedAlgorithm,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
    ):
        return None
    if isinstance(key, RSAPublicKey):
        return key if key.key_size in RSA_BITS else None
    return key if isinstance(key, EllipticCurvePublicKey | Ed25519PublicKey) else None
