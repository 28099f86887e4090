"""What strangers may send: digests, names, documents, numbers, ranges (ranks 12, 14, 18, 21 and 27)."""

from __future__ import annotations

import asyncio
import json
import pickle
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from tests.registry.actors import NOBODY, PASSWORD, Document, descriptor, digest_of, encoded, image_of
from tests.registry.conftest import Opener
from tests.registry.registries import Registry

from roadstead.oci.media_types import OCI_INDEX, OCI_MANIFEST

pytestmark = pytest.mark.anyio

HEX = "0" * 64
BAD_DIGESTS = [
    "sha256:../../x", "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:" + "A" * 64, "sha512:" + HEX,
    "md5:" + "0" * 32, "sha1:" + "0" * 40, "sha256+b64:" + HEX, "SHA256:" + HEX, "sha256::" + HEX, "sha256:", ":",
    "sha256:" + HEX + ":x", "sha256:" + "\u0663" * 64, "sha256:" + HEX + "\n", " sha256:" + HEX, "sha256-" + HEX,
]  # fmt: skip
BAD_NAMES = [
    "..", ".", "a/./b", "a//b", "a/../b", "_uploads", "a/_uploads/x", "a/_manifests", "a/_layers", "CON", "a/B",
    "a/" + "b" * 254, "-a/b", "a/b-", "a/b..c", "a/b___c", "a/b.", "/a/b",
]  # fmt: skip


# ── I15, S2: digests ────────────────────────────────────────────────────────────────────────────────────


async def test_I15_a_digest_that_is_none_is_refused_wherever_one_is_taken(registry: Registry) -> None:
    await registry.alice.push_blob("a/app", b"{}")
    location = await registry.alice.begin_upload("a/app")
    for bad in BAD_DIGESTS:
        text = quote(bad)
        for method, target in (
            ("GET", f"/v2/a/app/blobs/{text}"),
            ("DELETE", f"/v2/a/app/blobs/{text}"),
            ("GET", f"/v2/a/app/referrers/{text}"),
            ("PUT", f"/v2/a/app/manifests/{text}"),
            ("DELETE", f"/v2/a/app/manifests/{text}"),
            ("POST", f"/v2/a/app/blobs/uploads/?digest={text}"),
            ("POST", f"/v2/a/app/blobs/uploads/?mount={text}&from=a/app"),
            ("PUT", f"{location}?digest={text}"),
        ):
            answer = await registry.alice.request(method, target)
            # A dash makes a tag of it, which is not there either.
            assert answer.status in ({400, 404} if "manifests" in target else {400}), (method, target)
        reading = await registry.alice.get(f"/v2/a/app/manifests/{text}")
        assert reading.status in {400, 404}
    assert await registry.keys() == await registry.named_keys()


async def test_I15_a_digest_that_is_none_is_refused_inside_a_manifest(registry: Registry) -> None:
    await registry.alice.push_blob("a/app", b"{}")
    good = image_of(b"{}")
    for bad in BAD_DIGESTS:
        named = {**descriptor(b"x", "application/x"), "digest": bad}
        for document in (
            {**good, "config": named},
            {**good, "layers": [named]},
            {**good, "subject": named},
            {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [named]},
        ):
            answer = await registry.alice.put_manifest("a/app", "1", document)
            assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"]), bad


async def test_I15_an_algorithm_that_is_none_is_refused(registry: Registry) -> None:
    for bad in ("md5", "sha1", "SHA256", "sha256 ", "..%2F", "sha256:"):
        assert (await registry.alice.start("a/app", f"?digest-algorithm={bad}")).status == 400


async def test_S2_the_same_content_under_two_digests_is_two_blobs(registry: Registry) -> None:
    sha512 = await registry.alice.push_blob("a/app", b"content", "sha512")
    assert (await registry.alice.pull_blob("a/app", digest_of(b"content"))).status == 404
    assert (await registry.alice.pull_blob("a/app", sha512)).status == 200


# ── I15, I9, M7: names and paths ────────────────────────────────────────────────────────────────────────


async def test_I15_a_name_that_is_none_is_refused_wherever_one_is_taken(registry: Registry) -> None:
    for bad in BAD_NAMES:
        for method, path in (
            ("GET", "manifests/1"),
            ("PUT", "manifests/1"),
            ("DELETE", "manifests/1"),
            ("GET", "blobs/" + NOBODY),
            ("POST", "blobs/uploads/"),
            ("GET", "tags/list"),
            ("GET", "referrers/" + NOBODY),
        ):
            answer = await registry.root.request(method, f"/v2/{bad}/{path}")
            assert answer.status in {400, 404}, bad
        asked = await registry.root.ask_for_token(f"repository:{bad}:pull,push")
        assert (asked.status, asked.json["scope"]) == (200, "")
    assert await registry.scalar("SELECT count(*) FROM repositories") == 0
    assert await registry.scalar("SELECT count(*) FROM projects") == 4


async def test_M7_percent_encoding_is_for_the_colon_of_a_digest_only(registry: Registry) -> None:
    digest = await registry.alice.push_blob("a/app", b"x")
    for target, status in (
        (f"/v2/a/app/blobs/{digest.replace(':', '%3A')}", 200),
        (f"/v2/a/app/blobs/{digest.replace(':', '%3a')}", 200),
        (f"/v2/a%2Fapp/blobs/{digest}", 400),
        (f"/v2/a/%61pp/blobs/{digest}", 400),
        (f"/v2/a/app/bl%6fbs/{digest}", 400),
        (f"/v2/a/app/blobs/{digest}%00", 400),
        (f"/v2/a/app/blobs/{digest}%2e", 400),
        (f"/v2/a/app/blobs/%73ha256:{digest[7:]}", 400),
        (f"/v2/a/app/blobs/{digest.replace(':', '%253A')}", 400),
        ("/v2/a/app/manifests/..%2f..", 400),
    ):
        assert (await registry.alice.get(target)).status == status, target


@pytest.mark.parametrize(
    "raw", [b"/v2/\xff/tags/list", b"/v2/a/\xc3\xa4/tags/list", b"/v2/a/app/manifests/\xff"]
)
async def test_M7_bytes_that_are_no_text_are_refused(registry: Registry, raw: bytes) -> None:
    assert (await registry.alice.request("GET", raw)).status in {400, 404}


async def test_I15_a_tag_that_is_none_is_refused(registry: Registry) -> None:
    document = await registry.alice.image("a/app", "1")
    digest = digest_of(encoded(document))
    for bad in (".x", "-x", "a" * 129, "a b", "a:b", "ä", "a\n", ""):
        answer = await registry.alice.put_manifest("a/app", f"{digest}?tag={quote(bad)}", document)
        assert answer.status == 400, bad
    assert await registry.scalar("SELECT count(*) FROM tags") == 0


# ── I16: parameters that come twice ─────────────────────────────────────────────────────────────────────


async def test_I16_a_parameter_that_means_one_thing_comes_once(registry: Registry) -> None:
    location = await registry.alice.begin_upload("a/app")
    for method, target in (
        ("PUT", f"{location}?digest={NOBODY}&digest={NOBODY}"),
        ("POST", f"/v2/a/app/blobs/uploads/?mount={NOBODY}&mount={NOBODY}"),
        ("POST", "/v2/a/app/blobs/uploads/?digest-algorithm=sha256&digest-algorithm=sha512"),
        ("GET", "/v2/a/app/tags/list?n=1&n=2"),
        ("GET", "/v2/a/app/tags/list?last=a&last=b"),
        ("GET", "/v2/_catalog?n=1&n=1"),
        ("GET", f"/v2/a/app/referrers/{NOBODY}?artifactType=a&artifactType=b"),
        ("GET", f"/v2/a/app/referrers/{NOBODY}?artifactType=a&artifact%54ype=b"),
        ("GET", "/service/token?service=roadstead&service=roadstead"),
        ("GET", "/service/token?account=a&account=b"),
    ):
        assert (await registry.alice.request(method, target)).status == 400, target


async def test_I16_a_header_that_means_one_thing_comes_once(registry: Registry) -> None:
    digest = await registry.alice.push_blob("a/app", b"0123456789")
    location = await registry.alice.begin_upload("a/app")
    ranges = [("Range", "bytes=0-1"), ("Range", "bytes=2-3")]
    assert (await registry.alice.request("GET", f"/v2/a/app/blobs/{digest}", headers=ranges)).status == 400
    chunks = [("Content-Range", "0-1"), ("Content-Range", "0-1")]
    assert (await registry.alice.request("PATCH", location, b"ab", chunks)).status == 400
    twice = [("Authorization", "Basic Og=="), ("Authorization", "Basic Og==")]
    assert (await registry.anon.request("GET", "/v2/", headers=twice)).status == 401


# ── D2: numbers ─────────────────────────────────────────────────────────────────────────────────────────

LISTS = ("/v2/a/app/tags/list", "/v2/_catalog", f"/v2/a/app/referrers/{NOBODY}")


async def test_D2_a_page_size_that_is_no_number_is_refused(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "1")
    for path in LISTS:
        for n in ("-1", "1e9", "%D9%A3", "1_000", "", "0x10", "+1", "1.0", "NaN", "1;2", "%00"):
            answer = await registry.alice.get(f"{path}?n={n}")
            assert answer.status == 400, (path, n)


@pytest.mark.parametrize("n", [2**31, 2**63, 10**9, "9" * 4000])
async def test_D2_a_huge_page_size_costs_nothing(registry: Registry, n: object) -> None:
    await registry.alice.push_image("a/app", "1")
    started = time.perf_counter()
    for path in LISTS:
        assert (await registry.alice.get(f"{path}?n={n}")).status == 200
    assert time.perf_counter() - started < 1


async def test_D2_a_place_to_go_on_from_is_short_text(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "1")
    for path in LISTS:
        for last in ("x" * 10_000, "%00", "%ff", "%0a", "%", "%zz"):
            assert (await registry.alice.get(f"{path}?last={last}")).status == 400
        for last in ("%F0%9F%98%80", "'%20OR%201=1", "zzz", "../.."):
            assert (await registry.alice.get(f"{path}?last={last}")).status == 200


# ── D6: ranges ──────────────────────────────────────────────────────────────────────────────────────────


RANGES: list[tuple[str, set[int]]] = [
    ("bytes=" + ",".join(f"{n}-{n}" for n in range(10_000)), {416}),
    ("bytes=" + ",".join(["0-"] * 10_000), {416}),
    ("bytes=" + ",".join(["0-1"] * 99), {206}),
    ("bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in reversed(range(100))), {206}),
    ("bytes=-0", {416}),
    ("bytes=5-2", {416}),
    ("bytes=9999999999999999999999-", {416}),
    ("bytes=0-9999999999999999999999", {206}),
    ("bytes=" + "9" * 10_000 + "-", {416}),
    ("bytes=\xb2-\xb3", {200}),
    ("bytes = 0-1", {200}),
    ("bits=0-1", {200}),
    ("bytes=" + "," * 10_000, {200, 416}),
    ("bytes=0-0" + " " * 10_000, {200, 206}),
]


async def test_D6_a_hostile_range_is_answered_at_once(registry: Registry) -> None:
    data = bytes(1000)
    digest = await registry.alice.push_blob("a/app", data)
    for asked, statuses in RANGES:
        started = time.perf_counter()
        answer = await registry.alice.pull_blob("a/app", digest, Range=asked)
        assert time.perf_counter() - started < 0.5
        assert answer.status in statuses, asked[:80]
        # Never more than the whole, and what says where each part belongs.
        assert len(answer.body) <= len(data) + 100 * 150


# ── S1: documents with two meanings ─────────────────────────────────────────────────────────────────────


def ambiguous(good: Document) -> list[tuple[bytes, str]]:
    text = encoded(good).decode()
    index: Document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    documents: list[tuple[bytes | Document, str]] = [
        ({**good, "manifests": []}, OCI_MANIFEST),
        ({**good, "manifests": [descriptor(b"x", OCI_MANIFEST)]}, OCI_MANIFEST),
        ({**index, "layers": []}, OCI_INDEX),
        ({**index, "config": good["config"]}, OCI_INDEX),
        (good, OCI_INDEX),
        (index, OCI_MANIFEST),
        ({**good, "MediaType": OCI_INDEX}, OCI_MANIFEST),
        ({**good, "Layers": []}, OCI_MANIFEST),
        ({**good, "schemaVersion": 1, "fsLayers": []}, OCI_MANIFEST),
        ({**good, "schemaVersion": "2"}, OCI_MANIFEST),
        ({**good, "schemaVersion": True}, OCI_MANIFEST),
        ((text[:-1] + ',"mediaType":"x"}').encode(), OCI_MANIFEST),
        ((text[:-1] + ',"layers":[]}').encode(), OCI_MANIFEST),
        ((text[:-1] + ',"annotations":{"a":"1","a":"2"}}').encode(), OCI_MANIFEST),
        ((text + "{}").encode(), OCI_MANIFEST),
        ((text + "\0").encode(), OCI_MANIFEST),
        (b"\xef\xbb\xbf" + text.encode(), OCI_MANIFEST),
        (text.encode("utf-16"), OCI_MANIFEST),
        ((text[:-1] + ',"x":NaN}').encode(), OCI_MANIFEST),
        ((text[:-1] + ',"x":"\\u0000"}').encode(), OCI_MANIFEST),
        ((text[:-1] + ',"x":"\\ud800"}').encode(), OCI_MANIFEST),
        (text.encode().replace(b"schema", b"s\xffchema"), OCI_MANIFEST),
        (good, "text/html"),
        ({**good, "mediaType": "text/html"}, "text/html"),
        ({**good, "mediaType": "application/x\r\nSet-Cookie: a=b"}, ""),
        (b"", OCI_MANIFEST),
        (b"[]", OCI_MANIFEST),
        (b"null", OCI_MANIFEST),
    ]
    return [(d if isinstance(d, bytes) else encoded(d), kind) for d, kind in documents]


async def test_S1_a_document_with_two_meanings_is_refused(registry: Registry) -> None:
    good = await registry.alice.image("a/app", "1")
    for payload, kind in ambiguous(good):
        for reference in ("1", digest_of(payload)):
            answer = await registry.alice.put_manifest("a/app", reference, payload, kind)
            assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"]), (payload[-60:], kind)
    assert await registry.scalar("SELECT count(*) FROM manifests") == 0


async def test_S1_what_is_pulled_is_what_was_pushed_to_the_byte(registry: Registry) -> None:
    good = await registry.alice.image("a/app", "1", annotations={"ä": "\u2028 <b>"})
    payload = json.dumps(good, indent=3, ensure_ascii=False).encode() + b"\n \n"
    for kind in (OCI_MANIFEST, OCI_MANIFEST + "; charset=utf-8", "", "application/json"):
        assert (await registry.alice.put_manifest("a/app", "1", payload, kind)).status == 201
        for accept in ((), (OCI_MANIFEST,), ("*/*",), ("application/json",)):
            answer = await registry.alice.pull("a/app", "1", *accept)
            assert (answer.body, answer["content-type"]) == (payload, OCI_MANIFEST)


async def test_S1_a_body_that_is_not_what_the_digest_names_is_refused(registry: Registry) -> None:
    good = await registry.alice.image("a/app", "1")
    answer = await registry.alice.put_manifest("a/app", NOBODY, good)
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])


# ── rank 27: hostile JSON ───────────────────────────────────────────────────────────────────────────────

HOSTILE: dict[str, Callable[[], bytes]] = {
    "deep arrays": lambda: b"[" * 100_000 + b"]" * 100_000,
    "deep objects": lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "open arrays": lambda: b"[" * 1_000_000,
    "a number of 5,000 digits": lambda: b'{"schemaVersion":' + b"9" * 5000 + b"}",
    "a number of 4,000 digits": lambda: b'{"schemaVersion":' + b"9" * 4000 + b"}",
    "a number beyond floats": lambda: b'{"schemaVersion":1e400}',
    "a size beyond floats": lambda: b'{"schemaVersion":2,"layers":[{"size":1e400}]}',
    "infinity": lambda: b'{"schemaVersion":-Infinity}',
    "a million keys": lambda: encoded({str(n): 0 for n in range(300_000)}),
    "a million values": lambda: b"[" + b"0," * 1_000_000 + b"0]",
    "a string without an end": lambda: b'{"a":"' + b'\\"' * 1_000_000,
    "spaces": lambda: b" " * 4_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_D5_hostile_json_is_refused_while_others_are_served(registry: Registry, name: str) -> None:
    payload = HOSTILE[name]()
    await registry.alice.push_blob("a/app", b"{}")
    attack = asyncio.create_task(registry.alice.put_manifest("a/app", "1", payload, OCI_MANIFEST))
    slowest = 0.0
    while not attack.done():
        started = time.perf_counter()
        await registry.anon.get("/livez")
        await asyncio.sleep(0)
        slowest = max(slowest, time.perf_counter() - started)
    assert attack.result().status == 400
    # The interpreter's lock is shared by the thread that parses: this bounds it, on a busy machine too.
    assert slowest < 1


async def test_D5_a_size_that_is_none_is_refused(registry: Registry) -> None:
    await registry.alice.push_blob("a/app", b"{}")
    sizes: list[object] = [-1, True, "5", None, 2**63, 1.5, [], {}]
    for size in sizes:
        document = image_of(b"{}")
        document["config"]["size"] = size
        assert (await registry.alice.put_manifest("a/app", "1", document)).status == 400


async def test_D5_a_size_is_a_claim_and_nothing_is_allocated_by_it(registry: Registry) -> None:
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    document = await registry.alice.image("a/app", "1")
    document["layers"].append({**descriptor(b"x", kind), "size": 2**62})
    assert (await registry.alice.put_manifest("a/app", "1", document)).status == 201


# ── rank 18: too much ───────────────────────────────────────────────────────────────────────────────────

FOUR_MIB = 4 * 1024 * 1024


@pytest.mark.parametrize("lie", [None, "right", "absent"])
async def test_D1_a_manifest_over_the_limit_is_refused_as_soon_as_it_is_known(
    registry: Registry, lie: str | None
) -> None:
    sent = 0

    def pieces() -> object:
        nonlocal sent
        for _ in range(64):
            sent += 1024 * 1024
            yield bytes(1024 * 1024)

    headers = {"Content-Type": OCI_MANIFEST}
    if lie is not None:
        headers |= {"Content-Length": str(64 * 1024 * 1024)} if lie == "right" else {}
    answer = await registry.alice.request("PUT", "/v2/a/app/manifests/1", pieces(), headers)  # type: ignore[arg-type]  # a generator of bytes
    assert (answer.status, answer.codes) == (413, ["MANIFEST_INVALID"])
    assert sent <= (0 if lie == "right" else FOUR_MIB + 2 * 1024 * 1024)


async def test_D1_a_manifest_of_four_mebibytes_is_taken_and_one_byte_more_is_not(registry: Registry) -> None:
    document = await registry.alice.image("a/app", "1")
    payload = encoded(document)
    payload += b" " * (FOUR_MIB - len(payload))
    assert (await registry.alice.put_manifest("a/app", "1", payload)).status == 201
    assert (await registry.alice.put_manifest("a/app", "1", payload + b" ")).status == 413


async def test_D1_a_blob_is_not_to_be_had_as_a_manifest(registry: Registry) -> None:
    digest = await registry.alice.push_blob("a/app", bytes(1_000_000))
    assert (await registry.alice.pull("a/app", digest)).status == 404


async def test_D1_the_rights_come_before_the_body(registry: Registry) -> None:
    def never() -> object:
        raise AssertionError("a byte of the body was read")
        yield b""

    answer = await registry.mallory.request("PUT", "/v2/a/app/manifests/1", never())  # type: ignore[arg-type]  # a generator of bytes
    assert answer.status == 403
    answer = await registry.anon.request("POST", f"/v2/a/app/blobs/uploads/?digest={NOBODY}", never())  # type: ignore[arg-type]  # a generator of bytes
    assert answer.status == 401


async def test_D1_a_blob_over_the_limit_is_refused(registry_with: Opener) -> None:
    async with registry_with(registry={"max_blob_bytes": 1000}) as registry:
        location = await registry.alice.begin_upload("a/app")
        assert (await registry.alice.patch(location, bytes(1001))).status == 413
        assert (await registry.alice.put(location, digest_of(bytes(1001)), bytes(1001))).status == 413
        query = f"?digest={digest_of(bytes(1001))}"
        assert (await registry.alice.start("a/app", query, bytes(1001))).status == 413
        assert (await registry.alice.put(location, digest_of(bytes(1000)), bytes(1000))).status == 201
        assert await registry.keys() == await registry.named_keys()


async def test_D11_an_account_has_so_many_unfinished_uploads_and_no_more(registry_with: Opener) -> None:
    async with registry_with(registry={"max_uploads_per_user": 3}) as registry:
        locations = [await registry.alice.begin_upload(f"a/app{n}") for n in range(3)]
        refused = await registry.alice.start("a/app")
        assert (refused.status, refused.codes) == (429, ["TOOMANYREQUESTS"])
        assert int(refused["retry-after"]) > 0
        assert (await registry.bob.start("b/app")).status == 202
        await registry.alice.delete(locations[0])
        assert (await registry.alice.start("a/app")).status == 202


async def test_D15_a_token_request_names_so_many_scopes_and_no_more(registry: Registry) -> None:
    scopes = [f"repository:a/app{n}:pull" for n in range(5000)]
    started = time.perf_counter()
    for asked in (scopes[:101], scopes, ["repository:" + "a" * 20_000 + ":pull"]):
        assert (await registry.alice.ask_for_token(*asked)).status == 400
        assert (await registry.alice.ask_for_token(" ".join(asked))).status == 400
        body = f"grant_type=password&username=alice&password={quote(PASSWORD)}&" + "&".join(
            f"scope={s}" for s in asked
        )
        answer = await registry.anon.request(
            "POST",
            "/service/token",
            body.encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status in {400, 413}
    assert time.perf_counter() - started < 5


async def test_D16_a_push_sets_so_many_tags_and_no_more(registry: Registry) -> None:
    document = await registry.alice.image("a/app", "1")
    digest = digest_of(encoded(document))
    fifty = "&".join(f"tag=t{n}" for n in range(50))
    assert (await registry.alice.put_manifest("a/app", f"{digest}?{fifty}&tag=more", document)).status == 400
    answer = await registry.alice.put_manifest("a/app", f"{digest}?{fifty}", document)
    assert (answer.status, len(answer.all("oci-tag"))) == (201, 50)
    assert len(await registry.alice.tags("a/app")) == 50


# ── rank 21: state in the database ──────────────────────────────────────────────────────────────────────


async def test_I12_a_hash_state_that_was_tampered_with_is_not_used(registry: Registry) -> None:
    """The bytes are read again instead: the blob comes out right, and the process survives."""
    data = bytes(range(256)) * 3
    other = await registry.alice.begin_upload("a/app")
    await registry.alice.patch(other, b"x" * 300)
    foreign = str(await registry.scalar("SELECT hash_state FROM uploads"))
    await registry.alice.delete(other)
    location = await registry.alice.begin_upload("a/app")
    await registry.alice.patch(location, data[:300])
    good = str(await registry.scalar("SELECT hash_state FROM uploads"))
    version, algorithm, length, words, tail, seal = good.split(".")
    tampered = [
        foreign,
        "",
        "x" * 5000,
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        ".".join((version, algorithm, str(2**32 - 1), words, tail, seal)),
        ".".join((version, algorithm, "1000", words, "00" * 1000, seal)),
        ".".join((version, algorithm, length, "f" * len(words), tail, seal)),
        ".".join((version, algorithm, length, words, "ff" * (len(tail) // 2), seal)),
        ".".join((version, "sha512", length, words * 2, tail, seal)),
        f"{version}.{algorithm}.{length}.{words}.{tail}",
    ]
    for n, state in enumerate(tampered):
        await registry.change("UPDATE uploads SET hash_state = :state", state=state)
        wrong = await registry.alice.put(location, digest_of(b"x" * 300 + data[300:]), data[300:])
        assert wrong.status == 400, n
    await registry.change("UPDATE uploads SET hash_state = :state", state=foreign)
    assert (await registry.alice.put(location, digest_of(data), data[300:])).status == 201


async def test_I11_a_pickle_in_a_column_is_text(registry: Registry) -> None:
    class Gadget:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return pytest.fail, ("the pickle ran",)

    gadget = pickle.dumps(Gadget(), protocol=0).decode("latin-1")
    location = await registry.alice.begin_upload("a/app")
    await registry.alice.patch(location, b"abc")
    await registry.change(
        "UPDATE uploads SET hash_state = :g, store_state = :s", g=gadget, s=json.dumps({"py/reduce": gadget})
    )
    assert (await registry.alice.put(location, digest_of(b"abcdef"), b"def")).status == 201


async def test_I12_a_storage_key_that_was_tampered_with_reaches_no_file(registry: Registry) -> None:
    digest = await registry.alice.push_blob("a/app", b"abc")
    for key in ("../../../etc/passwd", "/etc/passwd", "0" * 31 + "/", "A" * 32, ""):
        await registry.change("UPDATE blobs SET storage_key = :key", key=key)
        with pytest.raises(AssertionError, match="status=500"):
            await registry.alice.pull_blob("a/app", digest)
