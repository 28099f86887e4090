"""Two servers on one PostgreSQL and one folder of blobs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.system.client import SIGNED_IN, Client, Gone, basic
from tests.system.content import OCI_MANIFEST, Content, digest_of, image
from tests.system.inside import Inside
from tests.system.machine import BYTECODE, registry, workers_of

from roadstead.testing.postgres import PostgresServer
from roadstead.testing.running import RunningRegistry

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.timeout(600)]

REPOSITORY = "library/shared"


@dataclass
class Pair:
    first: RunningRegistry
    second: RunningRegistry
    url: str

    def client(self, server: RunningRegistry, authorization: str = SIGNED_IN) -> Client:
        return Client(server.host, server.port, authorization)

    @property
    def inside(self) -> Inside:
        return Inside(self.first.data, self.url)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def pair(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> AsyncIterator[Pair]:
    url = postgres_server.create_database()
    folder = tmp_path_factory.mktemp("replicas")
    first = registry(folder, workers=2, database_url=url, log="first.log")
    second = registry(folder, workers=1, database_url=url, log="second.log")
    try:
        # Both at once on an empty database: one of them makes the schema and the administrator.
        await asyncio.gather(asyncio.to_thread(first.start), asyncio.to_thread(second.start))
        yield Pair(first, second, url)
    finally:
        first.stop()
        second.stop()
        postgres_server.drop_database(url)


async def test_an_upload_wanders_between_replicas(pair: Pair) -> None:
    content = Content(1, 900_000)
    async with pair.client(pair.first) as one, pair.client(pair.second) as two:
        location = (await one.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/", b""))["location"]
        assert (await one.request("PATCH", location, content.data(0, 300_000))).status == 202
        answer = await two.request("PATCH", location, content.pieces(300_000, 600_000))
        assert (answer.status, answer["range"]) == (202, "0-599999")
        answer = await one.request("PUT", f"{location}?digest={content.digest}", content.data(600_000))
        assert answer.status == 201
        assert (await two.request("GET", answer["location"])).body == content.data()


async def test_a_replica_finishes_what_another_died_of(pair: Pair) -> None:
    content = Content(2, 6 * 2**20)
    async with pair.client(pair.first) as one, pair.client(pair.second) as two:
        location = (await one.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/", b""))["location"]
        assert (await one.request("PATCH", location, content.data(0, 2**20))).status == 202

        sent = asyncio.Event()

        def most_of_it() -> Iterator[bytes]:
            yield from content.pieces(2**20, 5 * 2**20)
            sent.set()

        # One byte is missing, so the request waits.
        request = asyncio.create_task(one.request("PATCH", location, most_of_it(), length=4 * 2**20 + 1))
        await sent.wait()
        for pid in workers_of(pair.first):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(Gone):
            await request
        answer = await two.request("GET", location)
        assert answer.status == 204
        offset = int(answer["range"].removeprefix("0-")) + 1
        assert 2**20 <= offset <= 5 * 2**20
        assert (await two.request("PATCH", location, content.pieces(offset))).status == 202
        answer = await two.request("PUT", f"{location}?digest={content.digest}", b"")
        assert answer.status == 201
        # The first one's workers come back, and serve it.
        assert (await one.request("GET", answer["location"])).body == content.data()
    assert pair.inside.broken_promises() == []


async def test_a_token_of_one_replica_opens_the_other(pair: Pair) -> None:
    content = Content(3, 1000)
    async with pair.client(pair.first) as one, pair.client(pair.second) as two:
        assert (await one.sign_in(f"repository:{REPOSITORY}:pull,push")).status == 200
        two.authorization = one.authorization
        answer = await two.request(
            "POST", f"/v2/{REPOSITORY}/blobs/uploads/?digest={content.digest}", content.data()
        )
        assert answer.status == 201


async def test_an_account_disabled_beside_the_servers_is_refused_by_both_at_once(
    pair: Pair, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("Quite-Long-Enough-77")
    await _user_command(pair, "create", "mallory", "--password-file", str(password))
    clients = [pair.client(server, "") for server in (pair.first, pair.second)]
    proofs = [basic("mallory", "Quite-Long-Enough-77")]
    for client in clients:
        answer = await client.sign_in(username="mallory", password="Quite-Long-Enough-77")
        assert answer.status == 200
        proofs.append(client.authorization)
    for client in clients:
        for client.authorization in proofs:
            assert (await client.request("GET", "/v2/")).status == 200
    await _user_command(pair, "disable", "mallory")
    for client in clients:
        for client.authorization in proofs:
            assert (await client.request("GET", "/v2/")).status == 401
        client.close()


async def test_a_tag_that_fifty_push_at_once_is_one_of_theirs(pair: Pair) -> None:
    config, layer = Content(4, 100), Content(5, 2000)
    async with pair.client(pair.first) as one:
        for content in (config, layer):
            path = f"/v2/{REPOSITORY}/blobs/uploads/?digest={content.digest}"
            assert (await one.request("POST", path, content.data())).status == 201
    pushed = [image(config, [layer], str(number)) for number in range(50)]

    async def push(number: int) -> int:
        async with pair.client((pair.first, pair.second)[number % 2]) as client:
            headers = {"Content-Type": OCI_MANIFEST}
            path = f"/v2/{REPOSITORY}/manifests/contested"
            return (await client.request("PUT", path, pushed[number], headers=headers)).status

    assert set(await asyncio.gather(*map(push, range(50)))) == {201}
    ends = set()
    for server in (pair.first, pair.second):
        async with pair.client(server) as client:
            answer = await client.request("GET", f"/v2/{REPOSITORY}/manifests/contested")
            ends.add(answer["docker-content-digest"])
            assert answer.body in pushed
            for payload in pushed:
                path = f"/v2/{REPOSITORY}/manifests/{digest_of(payload)}"
                assert (await client.request("HEAD", path)).status == 200
    assert len(ends) == 1


async def test_a_project_made_by_many_first_pushes_is_made_once(pair: Pair) -> None:
    async def push(number: int) -> int:
        content = Content(100 + number, 500)
        async with pair.client((pair.first, pair.second)[number % 2]) as client:
            path = f"/v2/brand-new/app-{number % 3}/blobs/uploads/?digest={content.digest}"
            return (await client.request("POST", path, content.data())).status

    assert set(await asyncio.gather(*map(push, range(24)))) == {201}
    assert pair.inside.rows("SELECT count(*) FROM projects WHERE name = 'brand-new'") == [(1,)]
    assert pair.inside.rows("SELECT count(*) FROM repositories WHERE path LIKE 'app-%'") == [(3,)]


async def _user_command(pair: Pair, *arguments: str) -> None:
    environment = os.environ | BYTECODE | {"ROADSTEAD_DATABASE__URL": pair.url}
    process = await asyncio.create_subprocess_exec(
        *(".venv/bin/roadstead", "user", *arguments, "--data", str(pair.first.data)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
