"""What is written down of sign-ins."""

from __future__ import annotations

import pytest
from tests.identity.building import PASSWORD, Identity

from roadstead.audit.trail import Actor, Outcome
from roadstead.identity.authentication import Authenticator, WrongCredentials
from roadstead.identity.credentials import Password

pytestmark = pytest.mark.anyio


class Notes:
    def __init__(self) -> None:
        self.told: list[tuple[str, str, str, Outcome, str]] = []

    def note(
        self,
        actor: Actor,
        operation: str,
        resource_type: str,
        resource: str,
        *,
        outcome: Outcome,
        description: str = "",
    ) -> None:
        assert PASSWORD not in description
        self.told.append((operation, resource_type, resource, outcome, actor.address))


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def authenticator(identity: Identity, notes: Notes) -> Authenticator:
    await identity.users.create("alice", PASSWORD)
    return Authenticator(
        identity.database,
        identity.issuer,
        identity.hasher,
        identity.settings,
        notes=notes,
        clock=identity.clock,
    )


async def test_a_sign_in_is_written_down_when_a_password_is_compared(
    authenticator: Authenticator, notes: Notes
) -> None:
    for _ in range(3):
        await authenticator.sign_in(Password("alice", PASSWORD.encode()), client="192.0.2.7")
    await authenticator.close()
    assert notes.told == [("login", "user", "alice", "success", "192.0.2.7")]


async def test_a_refused_sign_in_is_written_down(authenticator: Authenticator, notes: Notes) -> None:
    with pytest.raises(WrongCredentials):
        await authenticator.sign_in(Password("alice", b"wrong"), client="192.0.2.7")
    await authenticator.close()
    assert notes.told == [("login", "user", "alice", "refused", "192.0.2.7")]


async def test_what_is_no_name_may_be_a_password_and_is_not_written_down(
    authenticator: Authenticator, notes: Notes
) -> None:
    with pytest.raises(WrongCredentials):
        await authenticator.sign_in(Password(PASSWORD, b""), client="192.0.2.7")
    await authenticator.close()
    assert notes.told == [("login", "user", "", "refused", "192.0.2.7")]
