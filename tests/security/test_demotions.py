"""What somebody lost, they have lost with their next request, on every worker, whatever proof they still hold.

Two workers share one database.  Both know the proof already, and remember it; then something is taken away.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.registry.actors import Actor, basic
from tests.registry.registries import Registry, open_worker, settings_of
from tests.security.stage import INSIDE, Stage

pytestmark = pytest.mark.anyio

SCOPE = f"repository:a/{INSIDE}:pull,push,delete"
PULL = ("GET", f"/v2/a/{INSIDE}/manifests/1")
PUSH = ("POST", f"/v2/a/{INSIDE}/blobs/uploads/")
DELETE = ("DELETE", f"/v2/a/{INSIDE}/manifests/nothing")
# Of a repository that only those without a pattern may see.
PULL_OUTSIDE = ("GET", "/v2/a/other/app/manifests/1")


@dataclass
class Workers:
    stage: Stage
    second: Registry

    @property
    def first(self) -> Registry:
        return self.stage.registry

    async def statuses(self, authorization: str | None, method: str, target: str) -> tuple[int, int]:
        """What the same request gets from each of them."""
        found = []
        for worker in (self.first, self.second):
            answer = await Actor(worker.app, "", authorization).request(method, target)
            found.append(answer.status)
        return found[0], found[1]


@pytest.fixture
async def workers(anyio_backend: str, database_url: str, tmp_path: Path) -> AsyncIterator[Workers]:
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage.open(tmp_path / "data", database_url))
        second = await stack.enter_async_context(open_worker(settings_of(tmp_path / "data", database_url)))
        yield Workers(stage, second)


def _of(name: str) -> str:
    return f"(SELECT id FROM users WHERE username = '{name}')"


def _grants(name: str, change: str) -> str:
    return f"{change} WHERE user_id = {_of(name)}"


_NEW_PASSWORD = "UPDATE users SET password_hash = 'x', credential_epoch = credential_epoch + 1"
_GRANTS_OF_GROUP = "WHERE group_id = (SELECT id FROM user_groups WHERE name = 'operators')"
# What happens; to whom; what they may do before it; and what the same request gets afterwards.
LOSSES = {
    "a member was removed": (_grants("developer", "DELETE FROM grants"), "developer", PULL, 200, 404),
    "a role was lowered": (_grants("developer", "UPDATE grants SET role_id = 3"), "developer", PUSH, 202, 403),
    "a maintainer became a developer": (
        _grants("maintainer", "UPDATE grants SET role_id = 2"), "maintainer", DELETE, 404, 403,
    ),
    "a grant was narrowed to other repositories": (
        _grants("developer", "UPDATE grants SET repositories = 'else/**'"), "developer", PULL, 200, 404,
    ),
    "somebody left a group": (
        _grants("grouped", "DELETE FROM user_group_members"), "grouped", PULL, 200, 404,
    ),
    "a group's role was lowered": (
        f"UPDATE grants SET role_id = 3 {_GRANTS_OF_GROUP}", "grouped", PUSH, 202, 403,
    ),
    "a group was deleted": ("DELETE FROM user_groups", "grouped", PULL, 200, 404),
    "a custom role lost a permission": (
        "UPDATE roles SET permissions = 'project:read' WHERE id >= 100", "custom", PULL, 200, 404,
    ),
    "a robot lost a permission": (
        _grants("robot$a+ci", "UPDATE grants SET permissions = 'project:read,repository:pull'"),
        "robot$a+ci", PUSH, 202, 403,
    ),
    "a robot was disabled": (
        "UPDATE users SET disabled = (1 = 1) WHERE username = 'robot$a+ci'", "robot$a+ci", PULL, 200, 401,
    ),
    "a robot expired": (
        "UPDATE users SET expires_at = 1000 WHERE username = 'robot$a+ci'", "robot$a+ci", PULL, 200, 401,
    ),
    "a robot has a new secret": (
        f"{_NEW_PASSWORD} WHERE username = 'robot$a+ci'", "robot$a+ci", PULL, 200, 401,
    ),
    "a robot was deleted": (
        "DELETE FROM users WHERE username = 'robot$a+ci'", "robot$a+ci", PULL, 200, 401,
    ),
    "an account was disabled": (
        "UPDATE users SET disabled = (1 = 1) WHERE username = 'developer'", "developer", PULL, 200, 401,
    ),
    "a password was changed": (
        f"{_NEW_PASSWORD} WHERE username = 'developer'", "developer", PULL, 200, 401,
    ),
    "an account was deleted": (
        "DELETE FROM users WHERE username = 'developer'", "developer", PULL, 200, 401,
    ),
    "an administrator is one no more": (
        "UPDATE users SET admin = (1 = 0) WHERE username = 'root'", "root", PULL, 200, 404,
    ),
    "network rules shut the address out": (
        """UPDATE projects SET network_rules = '{"registry": ["198.51.100.0/24"]}' WHERE name = 'a'""",
        "developer", PULL, 200, 403,
    ),
}  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
async def test_a_loss_takes_effect_with_the_next_request_on_every_worker(workers: Workers, loss: str) -> None:
    change, name, (method, target), before, after = LOSSES[loss]
    token = (await Actor(workers.first.app, name, basic(name)).with_token(SCOPE)).authorization
    for proof in (basic(name), token):
        assert await workers.statuses(proof, method, target) == (before, before)
    await workers.first.change(change)
    for proof in (basic(name), token):
        assert await workers.statuses(proof, method, target) == (after, after)


async def test_a_closed_project_is_closed_with_the_next_request(workers: Workers) -> None:
    token = (await workers.first.anon.with_token(f"repository:pub/{INSIDE}:pull")).authorization
    for authorization, after in ((None, 401), (token, 401), (basic("mallory"), 404)):
        await workers.first.change("UPDATE projects SET public = (1 = 1) WHERE name = 'pub'")
        target = f"/v2/pub/{INSIDE}/manifests/1"
        assert await workers.statuses(authorization, "GET", target) == (200, 200)
        await workers.first.change("UPDATE projects SET public = (1 = 0) WHERE name = 'pub'")
        assert await workers.statuses(authorization, "GET", target) == (after, after)


# ── tokens that nobody issued, or not for this ──────────────────────────────────────────────────────────


def _claims(token: str) -> dict[str, object]:
    found: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return found


def _segments(token: str, **header: object) -> str:
    """The token's first two parts, with another header."""
    first, second, _ = token.split(".")
    old = json.loads(base64.urlsafe_b64decode(first + "=="))
    new = base64.urlsafe_b64encode(json.dumps({**old, **header}).encode()).rstrip(b"=").decode()
    return f"{new}.{second}"


async def forged(token: str, registry: Registry) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(_claims(token), key, "ES256", headers=jwt.get_unverified_header(token))


async def without_algorithm(token: str, registry: Registry) -> str:
    return _segments(token, alg="none") + "."


async def confused(token: str, registry: Registry) -> str:
    """Signed with what everybody may know, as if it were a secret."""
    public = registry.parts.issuer.ring.signing.public
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = _segments(token, alg="HS256")
    mac = hmac.digest(pem, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


async def for_another(token: str, registry: Registry) -> str:
    """Ours, and made for another service."""
    claims = {**_claims(token), "aud": "elsewhere"}
    return _signed_by_us(token, claims, registry)


async def expired(token: str, registry: Registry) -> str:
    now = int(str(_claims(token)["iat"])) - 100_000
    return _signed_by_us(token, {**_claims(token), "iat": now, "nbf": now, "exp": now + 60}, registry)


async def widened(token: str, registry: Registry) -> str:
    """With more in it than was signed."""
    claims = {**_claims(token), "access": [{"type": "repository", "name": "b/app", "actions": ["pull"]}]}
    changed = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256")
    (header, _, signature), (_, payload, _) = token.split("."), changed.split(".")
    return f"{header}.{payload}.{signature}"


def _signed_by_us(token: str, claims: dict[str, object], registry: Registry) -> str:
    headers = jwt.get_unverified_header(token)
    return jwt.encode(claims, registry.parts.issuer.ring.signing.private, "ES256", headers=headers)


Forgery = Callable[[str, Registry], Awaitable[str]]


@pytest.mark.parametrize(
    "forgery", [forged, without_algorithm, confused, for_another, expired, widened], ids=lambda f: f.__name__
)
async def test_A_no_worker_takes_a_token_that_is_not_good(workers: Workers, forgery: Forgery) -> None:
    good = (await Actor(workers.first.app, "root", basic("root")).with_token(SCOPE)).authorization
    assert good is not None
    assert await workers.statuses(good, *PULL) == (200, 200)
    bad = await forgery(good.removeprefix("Bearer "), workers.first)
    for method, target in (PULL, PUSH, ("GET", "/api/v2.0/permissions"), ("GET", "/service/token")):
        assert await workers.statuses(f"Bearer {bad}", method, target) == (401, 401)


async def test_A_a_token_of_a_key_that_is_gone_is_refused_by_a_new_worker(
    workers: Workers, tmp_path: Path
) -> None:
    good = (await Actor(workers.first.app, "root", basic("root")).with_token(SCOPE)).authorization
    await workers.first.change("DELETE FROM secrets WHERE purpose = 'token-signing'")
    async with open_worker(workers.first.parts.settings) as third:
        assert (await Actor(third.app, "", good).request(*PULL)).status == 401


async def test_A15_a_token_for_pulling_does_not_push_and_opens_no_other_door(workers: Workers) -> None:
    narrow = await Actor(workers.first.app, "root", basic("root")).with_token(f"repository:a/{INSIDE}:pull")
    assert await workers.statuses(narrow.authorization, *PULL) == (200, 200)
    for method, target in (
        PUSH,
        DELETE,
        PULL_OUTSIDE,
        ("GET", "/api/v2.0/permissions"),
        ("GET", "/service/token"),
    ):
        assert await workers.statuses(narrow.authorization, method, target) == (401, 401)
