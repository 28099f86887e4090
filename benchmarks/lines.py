"""What is measured, line by line: the preparation, which is not timed, and the requests, which are."""

from __future__ import annotations

import functools
import http.client
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.content import MANIFEST, MIB, Blob, BlobMaker, manifest
from benchmarks.load import Operation, Script
from benchmarks.peers import Server
from benchmarks.wire import Piece, Request, request

Unit = Literal["requests/s", "MiB/s", "images/s"]

_PROJECT = "bench"
_CONFIG_BYTES = 2048
_LAYER_BYTES = 1024
_TAGS = 100
_BINARY = ("Content-Type", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of each line is done.  `big` is the size of the large blob."""

    seconds: float
    connections: int
    big: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`seconds` None: until the script ends.  `warm` runs first, unmeasured."""

    script: Script
    warm: Script | None
    seconds: float | None
    connections: int


@dataclass(frozen=True, slots=True)
class Line:
    """With `moves_big`, an operation moves the large blob, and its rate is told in bytes."""

    name: str
    title: str
    unit: Unit
    plan: Callable[[Server, Effort], Plan]
    moves_big: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    repository: str
    config: Blob
    layer: Blob
    manifest: Blob


# ---- set-up, through an ordinary client ----


def _call(server: Server, asked: Request) -> tuple[Mapping[str, str], bytes]:
    """Send a ready-made request over a connection of its own."""
    connection = http.client.HTTPConnection(*server.address, timeout=120)
    try:
        connection.connect()
        for piece in asked.pieces:
            connection.sock.sendall(piece)
        answer = http.client.HTTPResponse(connection.sock)
        answer.begin()
        body = b"" if asked.without_body else answer.read()
    finally:
        connection.close()
    if answer.status != asked.expect:
        first = bytes(asked.pieces[0]).split(b"\r\n", 1)[0].decode()
        raise RuntimeError(f"{server.peer.title}: {first!r} was answered {answer.status}: {body[:500]!r}")
    return {name.lower(): value for name, value in answer.getheaders()}, body


def _ask(
    server: Server,
    repository: str,
    method: str,
    rest: str,
    *headers: tuple[str, str],
    body: Sequence[Piece] | None = None,
    chunked: bool = False,
    expect: int = 200,
) -> Request:
    """A request about a repository, with its token."""
    target = rest if rest.startswith("/v2/") else f"/v2/{repository}/{rest}"
    sent = [("Authorization", server.authorization(repository)), ("User-Agent", "benchmarks"), *headers]
    return request(method, target, host=server.host, headers=sent, body=body, chunked=chunked, expect=expect)


def _path(location: str) -> str:
    """The path and query of a Location, which may be absolute."""
    if location.startswith("/"):
        return location
    return "/" + location.split("/", 3)[3]


def _with_digest(location: str, digest: str) -> str:
    path = _path(location)
    return f"{path}{'&' if '?' in path else '?'}digest={digest}"


def _push_blob(server: Server, repository: str, blob: Blob) -> None:
    headers, _ = _call(server, _ask(server, repository, "POST", "blobs/uploads/", expect=202))
    target = _with_digest(headers["location"], blob.digest)
    _call(server, _ask(server, repository, "PUT", target, _BINARY, body=blob.pieces, expect=201))


def _put_manifest(server: Server, repository: str, reference: str, payload: Blob) -> Request:
    return _ask(
        server,
        repository,
        "PUT",
        f"manifests/{reference}",
        ("Content-Type", MANIFEST),
        body=payload.pieces,
        expect=201,
    )


def _new_image(repository: str, layers: BlobMaker, configs: BlobMaker) -> Image:
    config, layer = configs.blob(), layers.blob()
    return Image(repository, config, layer, manifest(config, [layer]))


def _pushed(server: Server, name: str, size: int = _LAYER_BYTES) -> Image:
    """An image in `bench/<name>` under the tag `v1`, pushed when first asked for."""
    held = server.kept.get(name)
    if isinstance(held, Image):
        return held
    image = _new_image(f"{_PROJECT}/{name}", BlobMaker(size), BlobMaker(_CONFIG_BYTES))
    _push_blob(server, image.repository, image.layer)
    _push_blob(server, image.repository, image.config)
    _call(server, _put_manifest(server, image.repository, "v1", image.manifest))
    _verify(server, image)
    server.kept[name] = image
    return image


def _verify(server: Server, image: Image) -> None:
    """What was pushed comes back, and where tokens are asked for, only with one."""
    _, body = _call(server, _get_manifest(server, image, "v1"))
    if body != b"".join(image.manifest.pieces):
        raise RuntimeError(f"{server.peer.title} answers another manifest than was pushed")
    if server.peer.authenticates:
        target = f"/v2/{image.repository}/manifests/v1"
        _call(server, request("GET", target, host=server.host, expect=401))


def _get_manifest(server: Server, image: Image, reference: str, method: str = "GET") -> Request:
    return _ask(server, image.repository, method, f"manifests/{reference}", ("Accept", MANIFEST))


# ---- scripts ----


def _once(asked: Request) -> Operation:
    yield asked


def _in_turn(asked: Sequence[Request]) -> Operation:
    for one in asked:  # noqa: UP028 - `yield from` would hand the answers to a list, which takes none
        yield one


def _again_and_again(asked: Request) -> Script:
    def script(_part: int, _parts: int) -> Iterator[Operation]:
        while True:
            yield _once(asked)

    return script


def _requests(server: Server, effort: Effort, asked: Request) -> Plan:
    _call(server, asked)
    script = _again_and_again(asked)
    return Plan(script, script, effort.seconds, effort.connections)


def _share(operations: Sequence[Callable[[], Operation]]) -> Script:
    """Each operation once, dealt out among the processes."""

    def script(part: int, parts: int) -> Iterator[Operation]:
        return (operation() for operation in operations[part::parts])

    return script


def _manifest_by_tag(server: Server, effort: Effort) -> Plan:
    return _requests(server, effort, _get_manifest(server, _pushed(server, "app"), "v1"))


def _manifest_by_digest(server: Server, effort: Effort) -> Plan:
    image = _pushed(server, "app")
    return _requests(server, effort, _get_manifest(server, image, image.manifest.digest))


def _manifest_head(server: Server, effort: Effort) -> Plan:
    return _requests(server, effort, _get_manifest(server, _pushed(server, "app"), "v1", "HEAD"))


def _blob_head(server: Server, effort: Effort) -> Plan:
    image = _pushed(server, "app")
    return _requests(server, effort, _ask(server, image.repository, "HEAD", f"blobs/{image.layer.digest}"))


def _blob_get(server: Server, effort: Effort) -> Plan:
    image = _pushed(server, "app")
    return _requests(server, effort, _ask(server, image.repository, "GET", f"blobs/{image.config.digest}"))


def _tag_list(server: Server, effort: Effort) -> Plan:
    image = _pushed(server, "tags")
    if "tagged" not in server.kept:
        for number in range(_TAGS - 1):
            _call(server, _put_manifest(server, image.repository, f"release-{number:03}", image.manifest))
        server.kept["tagged"] = True
    asked = _ask(server, image.repository, "GET", "tags/list")
    _, body = _call(server, asked)
    if len(json.loads(body)["tags"]) != _TAGS:
        raise RuntimeError(f"{server.peer.title} does not list {_TAGS} tags")
    return _requests(server, effort, asked)


def _manifest_put(server: Server, effort: Effort) -> Plan:
    image = _pushed(server, "builds")

    def script(part: int, _parts: int) -> Iterator[Operation]:
        # Neither a manifest nor a tag comes twice, whoever ran before.
        run = os.urandom(6).hex()
        for number in itertools.count():
            tag = f"build-{run}-{part}-{number}"
            yield _once(
                _put_manifest(server, image.repository, tag, manifest(image.config, [image.layer], build=tag))
            )

    return Plan(script, script, effort.seconds, effort.connections)


def _upload_start(server: Server, effort: Effort) -> Plan:
    image = _pushed(server, "app")
    asked = _ask(server, image.repository, "POST", "blobs/uploads/", expect=202)
    return _requests(server, effort, asked)


def _upload(server: Server, repository: str, blob: Blob) -> Operation:
    started = yield _ask(server, repository, "POST", "blobs/uploads/", expect=202)
    target = _with_digest(started.header("Location"), blob.digest)
    yield _ask(server, repository, "PUT", target, _BINARY, body=blob.pieces, expect=201)


def _streamed_upload(server: Server, repository: str, blob: Blob, framed: Sequence[Piece]) -> Operation:
    started = yield _ask(server, repository, "POST", "blobs/uploads/", expect=202)
    target = _path(started.header("Location"))
    taken = yield _ask(server, repository, "PATCH", target, _BINARY, body=framed, chunked=True, expect=202)
    target = _with_digest(taken.header("Location"), blob.digest)
    yield _ask(server, repository, "PUT", target, expect=201)


def _warm_upload(server: Server) -> Script:
    repository = _pushed(server, "app").repository
    return _share([lambda: _upload(server, repository, BlobMaker(MIB).blob())])


def _big_up(server: Server, effort: Effort) -> Plan:
    repository = _pushed(server, "app").repository
    blob = BlobMaker(effort.big).blob()
    script = _share([lambda: _upload(server, repository, blob)])
    return Plan(script, _warm_upload(server), None, 1)


def _big_up_streamed(server: Server, effort: Effort) -> Plan:
    repository = _pushed(server, "app").repository
    maker = BlobMaker(effort.big)
    blob = maker.blob()
    framed = maker.framed(blob)
    script = _share([lambda: _streamed_upload(server, repository, blob, framed)])
    return Plan(script, _warm_upload(server), None, 1)


def _big_down(server: Server, effort: Effort) -> Plan:
    image = _pushed(server, f"big-{effort.big}", effort.big)
    asked = _ask(server, image.repository, "GET", f"blobs/{image.layer.digest}")
    small = _ask(server, image.repository, "GET", f"blobs/{image.config.digest}")
    return Plan(_share([lambda: _once(asked)]), _share([lambda: _once(small)]), None, 1)


def _push(server: Server, image: Image) -> Operation:
    yield from _upload(server, image.repository, image.layer)
    yield from _upload(server, image.repository, image.config)
    yield _put_manifest(server, image.repository, "v1", image.manifest)


def _pull(server: Server, image: Image) -> list[Request]:
    asked = [_get_manifest(server, image, "v1", method) for method in ("HEAD", "GET")]
    for blob in (image.config, image.layer):
        asked += [
            _ask(server, image.repository, method, f"blobs/{blob.digest}") for method in ("HEAD", "GET")
        ]
    return asked


def _image_push(mebibytes: int, a_second: int) -> Callable[[Server, Effort], Plan]:
    """Every image goes into a new repository, whose token is fetched beforehand."""

    def plan(server: Server, effort: Effort) -> Plan:
        connections = effort.connections
        # Whole turns of all connections: none idles while others have work left.
        turns = max(1, round(a_second * effort.seconds / connections))
        layers, configs = BlobMaker(mebibytes * MIB), BlobMaker(_CONFIG_BYTES)
        run = os.urandom(4).hex()
        names = [f"{_PROJECT}/push-{run}-{number}" for number in range(turns * connections + connections)]
        _pushed(server, "app")
        for name in names:
            server.authorization(name)
        images = [_new_image(name, layers, configs) for name in names]
        operations = [functools.partial(_push, server, image) for image in images]
        warm = connections if mebibytes < 100 else 1
        return Plan(_share(operations[connections:]), _share(operations[:warm]), None, connections)

    return plan


def _image_pull(mebibytes: int) -> Callable[[Server, Effort], Plan]:
    """The connections take turns over as many images as there are connections, ten at most."""

    def plan(server: Server, effort: Effort) -> Plan:
        count = min(effort.connections, 10)
        images = [_pushed(server, f"pull-{mebibytes}-{number}", mebibytes * MIB) for number in range(count)]
        pulls = [_pull(server, image) for image in images]

        def script(part: int, _parts: int) -> Iterator[Operation]:
            # Each process begins elsewhere in the circle.
            turned = pulls[part % count :] + pulls[: part % count]
            return (_in_turn(asked) for asked in itertools.cycle(turned))

        return Plan(script, script, effort.seconds, effort.connections)

    return plan


LINES: Sequence[Line] = (
    Line("manifest-get-tag", "manifest GET by tag", "requests/s", _manifest_by_tag),
    Line("manifest-get-digest", "manifest GET by digest", "requests/s", _manifest_by_digest),
    Line("manifest-head", "manifest HEAD by tag", "requests/s", _manifest_head),
    Line("blob-head", "blob HEAD", "requests/s", _blob_head),
    Line("blob-get", "blob GET, 2 KiB", "requests/s", _blob_get),
    Line("tag-list", f"tag list, {_TAGS} tags", "requests/s", _tag_list),
    Line("manifest-put", "manifest PUT", "requests/s", _manifest_put),
    Line("upload-start", "upload start", "requests/s", _upload_start),
    Line("big-up", "{big} up, POST and PUT", "MiB/s", _big_up, moves_big=True),
    Line("big-up-streamed", "{big} up, chunked PATCH", "MiB/s", _big_up_streamed, moves_big=True),
    Line("big-down", "{big} down", "MiB/s", _big_down, moves_big=True),
    Line("push-1", "image push, 1 MiB", "images/s", _image_push(1, 100)),
    Line("push-10", "image push, 10 MiB", "images/s", _image_push(10, 15)),
    Line("push-100", "image push, 100 MiB", "images/s", _image_push(100, 2)),
    Line("pull-1", "image pull, 1 MiB", "images/s", _image_pull(1)),
    Line("pull-10", "image pull, 10 MiB", "images/s", _image_pull(10)),
    Line("pull-100", "image pull, 100 MiB", "images/s", _image_pull(100)),
)
