"""The installation's keys."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import update
from tests.identity.building import ALICE, GRANT, FakeClock, Identity

from roadstead.config.settings import AuthSettings
from roadstead.db.database import Database
from roadstead.errors import Unavailable
from roadstead.identity import queries
from roadstead.identity.keys import (
    RELOAD_EVERY,
    TOKEN_SIGNING,
    UPLOAD_STATE,
    KeyRing,
    KeyUnreadable,
    upload_secret,
)
from roadstead.identity.queries import SECRETS
from roadstead.identity.tokens import TokenInvalid

pytestmark = pytest.mark.anyio

KEEP = 3600


async def opened(database: Database, clock: FakeClock) -> KeyRing:
    return await KeyRing.open(database, keep=KEEP, clock=clock)


async def overwrite(database: Database, key_id: str, value: bytes) -> None:
    statement = update(SECRETS).where(SECRETS.c.id == key_id).values(value=value)
    await database.write(lambda conn: conn.execute(statement).rowcount)


async def test_workers_that_start_at_once_agree_on_one_key(database: Database, clock: FakeClock) -> None:
    rings = await asyncio.gather(*(opened(database, clock) for _ in range(8)))
    assert len(await database.read(queries.keys_for, TOKEN_SIGNING)) == 1
    assert len({ring.signing.public.public_numbers() for ring in rings}) == 1


async def test_workers_that_start_at_once_agree_on_the_upload_secret(database: Database) -> None:
    found = await asyncio.gather(*(upload_secret(database) for _ in range(8)))
    assert len(set(found)) == 1
    assert len(found[0]) == 32


async def test_a_restart_finds_the_same_key(database: Database, clock: FakeClock) -> None:
    before, after = await opened(database, clock), await opened(database, clock)
    assert before.signing.public.public_numbers() == after.signing.public.public_numbers()


@pytest.mark.parametrize("value", [b"", b"-----BEGIN PRIVATE KEY-----\n", b"\xff" * 32])
async def test_A2_a_key_that_cannot_be_read_stops_the_start(
    database: Database, clock: FakeClock, value: bytes
) -> None:
    ring = await opened(database, clock)
    await overwrite(database, ring.signing.kid, value)
    with pytest.raises(KeyUnreadable, match=ring.signing.kid) as refused:
        await opened(database, clock)
    assert refused.value.remedy


async def test_A2_an_upload_secret_of_another_length_stops_the_start(database: Database) -> None:
    await upload_secret(database)
    await overwrite(database, UPLOAD_STATE, b"short")
    with pytest.raises(KeyUnreadable):
        await upload_secret(database)


async def test_a_key_that_becomes_unreadable_later_leaves_the_worker_as_it_is(
    database: Database, clock: FakeClock
) -> None:
    ring = await opened(database, clock)
    await overwrite(database, ring.signing.kid, b"")
    await ring.refresh()
    assert ring.signing.kid in ring.verifying


async def test_a_new_key_signs_and_the_old_one_still_verifies(identity: Identity) -> None:
    before = identity.issuer.access_token(ALICE, [GRANT]).text
    kid = await identity.ring.rotate()
    after = identity.issuer.access_token(ALICE, [GRANT]).text
    assert identity.ring.signing.kid == kid
    assert (await identity.issuer.verify_access(before)).user_id == 1
    assert (await identity.issuer.verify_access(after)).user_id == 1


async def test_a_retired_key_verifies_until_what_it_signed_last_has_expired(
    database: Database, clock: FakeClock
) -> None:
    ring = await opened(database, clock)
    old = ring.signing.kid
    await ring.rotate()
    clock.advance(KEEP)
    await ring.refresh()
    assert old in ring.verifying
    clock.advance(RELOAD_EVERY / 1000 + 1)
    await ring.refresh()
    assert old not in ring.verifying


async def test_a_key_of_another_worker_is_looked_up_when_its_token_comes(
    identity: Identity, clock: FakeClock
) -> None:
    other = await Identity.build(identity.database, clock, identity.settings)
    await other.ring.rotate()
    token = other.issuer.access_token(ALICE, [GRANT]).text
    clock.advance(1)
    assert (await identity.issuer.verify_access(token)).user_id == 1
    await other.close()


async def test_a_worker_signs_with_another_workers_new_key_within_a_minute(
    identity: Identity, clock: FakeClock
) -> None:
    other = await Identity.build(identity.database, clock, identity.settings)
    kid = await other.ring.rotate()
    clock.advance(60)
    with pytest.raises(TokenInvalid):
        await identity.bearer("made up")
    assert identity.ring.signing.kid == kid
    await other.close()


async def test_a_distrusted_key_ends_what_was_verified_with_it_on_every_worker(
    identity: Identity, clock: FakeClock
) -> None:
    token = identity.issuer.access_token(ALICE, [GRANT]).text
    await identity.bearer(token)
    other = await Identity.build(identity.database, clock, identity.settings)
    await other.bearer(token)

    await other.ring.rotate(distrust=True)
    with pytest.raises(TokenInvalid):
        await other.bearer(token)
    clock.advance(60)
    with pytest.raises(TokenInvalid):
        await identity.bearer(token)
    await other.close()


async def test_two_workers_that_rotate_at_once_leave_one_key_that_signs(
    database: Database, clock: FakeClock
) -> None:
    one, other = await opened(database, clock), await opened(database, clock)
    await asyncio.gather(one.rotate(), other.rotate())
    await asyncio.gather(one.refresh(), other.refresh())
    assert one.signing.public.public_numbers() == other.signing.public.public_numbers()
    stored = await database.read(queries.keys_for, TOKEN_SIGNING)
    assert [key.id for key in stored if key.retired_at is None] == [one.signing.kid]


class CountedReads:
    """Only what a key ring asks of a database, and how often."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0
        self.away = False

    async def read(self, function: object, *args: object, **kwargs: object) -> object:
        self.reads += 1
        if self.away:
            raise Unavailable("the database is away", retry_after=1)
        return await self._database.read(function, *args, **kwargs)  # type: ignore[arg-type]  # as it came

    async def write(self, function: object, *args: object, **kwargs: object) -> object:
        return await self._database.write(function, *args, **kwargs)  # type: ignore[arg-type]  # as it came


async def test_A8_a_thousand_unknown_keys_read_the_database_a_few_times(
    database: Database, clock: FakeClock
) -> None:
    counted = CountedReads(database)
    identity = await Identity.build(counted, clock, AuthSettings())  # type: ignore[arg-type]  # what a ring asks
    good = identity.issuer.access_token(ALICE, [GRANT]).text
    _, payload, signature = good.split(".")
    for number in range(1000):
        clock.advance(0.01)
        with pytest.raises(TokenInvalid):
            await identity.issuer.verify_access(f"{'A' * 60}{number:04}.{payload}.{signature}")
    assert counted.reads <= 10
    await identity.close()


async def test_a_database_that_is_away_does_not_stop_tokens(database: Database, clock: FakeClock) -> None:
    counted = CountedReads(database)
    identity = await Identity.build(counted, clock, AuthSettings())  # type: ignore[arg-type]  # what a ring asks
    token = identity.issuer.access_token(ALICE, [GRANT]).text
    counted.away = True
    clock.advance(120)
    assert (await identity.bearer(token)).username == "alice"
    await identity.close()
