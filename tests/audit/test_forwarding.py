"""Entries are shipped elsewhere: in order, at least once, and without anybody waiting."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.registry.registries import Registry

from roadstead.audit import forwarding
from roadstead.audit.destinations import destination, syslog_message
from roadstead.audit.forwarding import FORWARD, AuditForwarder
from roadstead.audit.queries import Entry
from roadstead.audit.trail import record
from roadstead.errors import Unavailable
from roadstead.identity.principals import OPERATOR
from roadstead.jobs.context import JobContext
from roadstead.jobs.queries import ClaimedJob
from roadstead.testing.certificates import Authority

pytestmark = pytest.mark.anyio

SHIPPED = 1_700_000_000_000


def entry(**values: Any) -> Entry:
    found: dict[str, Any] = {
        "id": 1,
        "at": 1_767_225_600_000,
        "operation": "create",
        "resource_type": "robot",
        "resource": "robot$ci",
        "project_id": None,
        "username": "alice",
        "address": "192.0.2.7",
        "door": "api",
        "request_id": "r",
        "outcome": "success",
        "description": "",
        "payload": None,
        "count": 1,
    }
    return Entry(**{**found, **values})


async def beat(_facts: object) -> None:
    """No lease to keep."""


def context() -> JobContext:
    return JobContext(ClaimedJob(1, FORWARD, {}, "t", 1, 6), beat)


async def write(registry: Registry, *names: str) -> None:
    for name in names:
        await registry.parts.database.write(record, OPERATOR, "create", "label", name, now=1)


def forwarder(
    registry: Registry, *addresses: str, skip: bool = False, ca: Path | None = None
) -> AuditForwarder:
    async def given() -> tuple[str, ...]:
        return addresses

    async def skipped() -> bool:
        return skip

    return AuditForwarder(registry.parts.database, given, skipped, ca=ca, clock=lambda: SHIPPED)


def resources(path: Path) -> list[str]:
    return [json.loads(line)["resource"] for line in path.read_text(encoding="utf-8").splitlines()]


async def waiting(registry: Registry) -> object:
    return await registry.scalar("SELECT count(*) FROM audit_log WHERE forwarded_at IS NULL")


@asynccontextmanager
async def syslog_server(
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[int, Callable[[], list[str]]]]:
    """A port, and the messages that came to it."""
    received = bytearray()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            received.extend(data)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)

    def messages() -> list[str]:
        found, data = [], bytes(received)
        while data:
            length, _, data = data.partition(b" ")
            found.append(data[: int(length)].decode("ascii"))
            data = data[int(length) :]
        return found

    async with server:
        yield server.sockets[0].getsockname()[1], messages


async def test_entries_are_lines_in_a_file_in_their_order(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    await write(registry, "one", "two", "three")
    await forwarder(registry, f"file://{path}")(context())
    assert resources(path) == ["one", "two", "three"]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_was_shipped_is_marked_and_not_shipped_again(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    ship = forwarder(registry, f"file://{path}")
    await write(registry, "one")
    await ship(context())
    await write(registry, "two")
    await ship(context())
    assert resources(path) == ["one", "two"]
    assert await registry.sql("SELECT DISTINCT forwarded_at FROM audit_log") == [(SHIPPED,)]


async def test_more_than_a_batch_is_shipped(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "_NEXT", forwarding._NEXT.limit(2))
    path = tmp_path / "audit.jsonl"
    await write(registry, *"abcde")
    await forwarder(registry, f"file://{path}")(context())
    assert resources(path) == list("abcde")


async def test_entries_may_skip_the_database(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    await write(registry, "one")
    await forwarder(registry, f"file://{path}", skip=True)(context())
    assert resources(path) == ["one"]
    assert await registry.sql("SELECT id FROM audit_log") == []


async def test_a_syslog_server_gets_one_message_for_each(registry: Registry) -> None:
    async with syslog_server() as (port, messages):
        await write(registry, "one", "two")
        await forwarder(registry, f"tcp://127.0.0.1:{port}")(context())
        documents = [json.loads(message.partition(" - ")[2]) for message in messages()]
    assert [document["resource"] for document in documents] == ["one", "two"]
    assert await waiting(registry) == 0


async def test_harbors_setting_has_no_scheme_and_means_tcp(registry: Registry) -> None:
    async with syslog_server() as (port, messages):
        await registry.parts.configurations.change(
            OPERATOR, {"audit_log_forward_endpoint": f"127.0.0.1:{port}"}
        )
        await registry.parts.forwarder(context())
        assert "update_configuration" in messages()[-1]


async def test_a_syslog_server_may_speak_tls(registry: Registry, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    made = authority.certify(tmp_path, ["localhost"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate, made.key)
    async with syslog_server(server) as (port, messages):
        await write(registry, "one")
        await forwarder(registry, f"tls://localhost:{port}", ca=authority.path)(context())
        for _ in range(100):
            if messages():
                break
            await asyncio.sleep(0.01)
        assert "one" in messages()[0]


async def test_a_server_whose_certificate_is_unknown_gets_nothing(registry: Registry, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    made = authority.certify(tmp_path, ["localhost"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate, made.key)
    async with syslog_server(server) as (port, messages):
        await write(registry, "one")
        with pytest.raises(Unavailable):
            await forwarder(registry, f"tls://localhost:{port}")(context())
        assert messages() == []


async def test_datagrams_are_sent(registry: Registry) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        await write(registry, "one")
        await forwarder(registry, f"udp://127.0.0.1:{receiver.getsockname()[1]}")(context())
        data = await asyncio.get_running_loop().sock_recv(receiver, 65536)
    assert b'"resource":"one"' in data


async def test_entries_wait_for_an_endpoint_that_cannot_be_reached(
    registry: Registry, unused_port: int, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    await write(registry, "one")
    with pytest.raises(Unavailable):
        await forwarder(registry, f"tcp://127.0.0.1:{unused_port}")(context())
    assert await waiting(registry) == 1
    await forwarder(registry, f"file://{path}")(context())
    assert resources(path) == ["one"]


async def test_of_two_destinations_both_get_every_entry(
    registry: Registry, unused_port: int, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    await write(registry, "one")
    with pytest.raises(Unavailable):
        await forwarder(registry, f"file://{path}", f"tcp://127.0.0.1:{unused_port}")(context())
    # At least once: the file has it again when the other takes it.
    assert await waiting(registry) == 1


async def test_there_is_one_job_however_many_look(registry: Registry, tmp_path: Path) -> None:
    await write(registry, "one")
    found = [forwarder(registry, f"file://{tmp_path / 'x'}") for _ in range(5)]
    await asyncio.gather(*(one.look() for one in found))
    assert await registry.scalar("SELECT count(*) FROM jobs WHERE kind = :kind", kind=FORWARD) == 1


async def test_where_nothing_is_shipped_no_job_is_made(registry: Registry) -> None:
    await write(registry, "one")
    await forwarder(registry).look()
    assert await registry.scalar("SELECT count(*) FROM jobs WHERE kind = :kind", kind=FORWARD) == 0


def test_a_syslog_message_is_one_of_rfc_5424() -> None:
    message = syslog_message(entry()).decode("ascii")
    assert re.match(r"<110>1 2026-01-01T00:00:00\.000Z [!-~]+ roadstead \d+ create_robot - \{", message)


def test_a_refusal_is_more_severe() -> None:
    assert syslog_message(entry(outcome="refused")).startswith(b"<108>1 ")


def test_nothing_in_an_entry_begins_another_message() -> None:
    message = syslog_message(entry(resource="x\n<0>1 forged", username="é\r\n", operation="a b"))
    assert b"\n" not in message
    assert b"\r" not in message
    assert b" a-b_robot - " in message


async def test_standard_output_gets_lines(capsys: pytest.CaptureFixture[str]) -> None:
    await destination("stdout", ca=None).ship([entry()])
    assert json.loads(capsys.readouterr().out)["resource"] == "robot$ci"
