"""Two replicas on one database and one data folder: what is begun on one is finished on the other."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from tests.conformance.wire import Wire, digest_of

from roadstead.testing.running import RunningRegistry


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Wire, Wire]]:
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").create_database()
    folder = tmp_path_factory.mktemp("replicas")
    first = RunningRegistry(folder / "data", database_url=url, log=folder / "first.log")
    second = RunningRegistry(folder / "data", database_url=url, log=folder / "second.log")
    with first, second:
        yield Wire(first.host, first.port), Wire(second.host, second.port)


def test_an_upload_begun_on_one_replica_is_finished_on_the_other(
    pair: tuple[Wire, Wire], repository: str, algorithm: str
) -> None:
    one, two = pair
    data = secrets.token_bytes(300_000)
    location = one.upload(repository)
    location = one.chunk(location, data[:100_000], 0)["Location"]
    location = two.chunk(location, data[100_000:200_000], 100_000)["Location"]
    assert one.get(location)["Range"] == "0-199999"
    reply = one.finish(location, digest_of(data, algorithm), data[200_000:])
    assert reply.status == 201
    assert two.get(reply["Location"]).body == data


def test_a_tag_pushed_to_one_replica_is_read_from_the_other_at_once(
    pair: tuple[Wire, Wire], repository: str
) -> None:
    one, two = pair
    for number in range(10):
        digest, _ = one.push(repository, "latest", one.image(repository, str(number)))
        assert two.head(f"/v2/{repository}/manifests/latest")["Docker-Content-Digest"] == digest
