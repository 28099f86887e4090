"""Manifests: which are read, what they name, and which have two meanings."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.errors import ManifestInvalid, RoadsteadError
from roadstead.oci.digests import Digest
from roadstead.oci.manifests import MOST_REFERENCES, Manifest, parse_manifest, referrer_descriptor
from roadstead.oci.media_types import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    DOCKER_SCHEMA_1,
    DOCKER_SCHEMA_1_SIGNED,
    NON_DISTRIBUTABLE,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)

ARTIFACT = "application/vnd.example.thing.v1+json"

Document = dict[str, Any]


def descriptor(content: str, media_type: str = OCI_LAYER_GZIP, **more: object) -> Document:
    data = content.encode()
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data), **more}


def image(**changes: object) -> Document:
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor("{}", OCI_CONFIG),
        "layers": [descriptor("one"), descriptor("two")],
        **changes,
    }


def index(**changes: object) -> Document:
    return {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [descriptor("amd64", OCI_MANIFEST), descriptor("arm64", OCI_MANIFEST)],
        **changes,
    }


def without(document: Document, *fields: str) -> Document:
    return {key: value for key, value in document.items() if key not in fields}


def parse(document: object, content_type: str | None = None) -> Manifest:
    return parse_manifest(json.dumps(document).encode(), content_type)


def contents(*texts: str) -> list[Digest]:
    return [Digest.of(text.encode()) for text in texts]


# ── what they name ──────────────────────────────────────────────────────────────────────────────────────


def test_an_image_names_its_config_and_its_layers() -> None:
    manifest = parse(image(), OCI_MANIFEST)
    assert manifest.media_type == OCI_MANIFEST
    assert [blob.digest for blob in manifest.blobs()] == contents("{}", "one", "two")
    assert not list(manifest.children())


def test_an_index_names_its_manifests() -> None:
    manifest = parse(index(), OCI_INDEX)
    assert [child.digest for child in manifest.children()] == contents("amd64", "arm64")
    assert not list(manifest.blobs())
    assert manifest.artifact_type is None


def test_dockers_own_types_are_read_alike() -> None:
    picture = image(
        mediaType=DOCKER_MANIFEST,
        config=descriptor("{}", DOCKER_CONFIG),
        layers=[descriptor("one", DOCKER_LAYER)],
    )
    assert len(list(parse(picture, DOCKER_MANIFEST).blobs())) == 2
    assert len(list(parse(index(mediaType=DOCKER_MANIFEST_LIST), DOCKER_MANIFEST_LIST).children())) == 2


@pytest.mark.parametrize("media_type", sorted(NON_DISTRIBUTABLE))
def test_a_layer_that_may_not_be_distributed_need_not_be_held(media_type: str) -> None:
    foreign = descriptor("two", media_type, urls=["https://example.com/layer"])
    manifest = parse(image(layers=[descriptor("one"), foreign]))
    assert [blob.digest for blob in manifest.blobs()] == contents("{}", "one")
    assert [blob.digest for blob in manifest.foreign_layers()] == contents("two")
    assert [blob.urls for blob in manifest.foreign_layers()] == [("https://example.com/layer",)]


def test_neither_urls_nor_embedded_data_excuse_a_layer_from_being_held() -> None:
    layers = [
        descriptor("one", urls=["https://example.com/layer"]),
        descriptor("{}", OCI_EMPTY, data="e30="),
    ]
    assert [blob.digest for blob in parse(image(layers=layers)).blobs()] == contents("{}", "one", "{}")


def test_a_config_must_be_held_whatever_type_it_claims() -> None:
    foreign = next(iter(NON_DISTRIBUTABLE))
    assert len(list(parse(image(config=descriptor("{}", foreign), layers=[])).blobs())) == 1


@pytest.mark.parametrize("layers", [{}, {"layers": []}, {"layers": None}])
def test_an_image_may_have_no_layers(layers: Document) -> None:
    assert parse({**without(image(), "layers"), **layers}).layers == ()


@pytest.mark.parametrize("manifests", [[], None])
def test_an_index_may_be_empty(manifests: object) -> None:
    assert parse(index(manifests=manifests)).manifests == ()


def test_a_build_cache_lists_layers_in_an_index() -> None:
    cache = index(
        manifests=[descriptor("layer"), descriptor("config", "application/vnd.buildkit.cacheconfig.v0")]
    )
    assert [child.digest for child in parse(cache).children()] == contents("layer", "config")


def test_a_subject_is_read_from_images_and_indexes() -> None:
    subject = descriptor("subject", OCI_MANIFEST)
    for document in (image(subject=subject), index(subject=subject)):
        parsed = parse(document).subject
        assert parsed is not None
        assert [parsed.digest] == contents("subject")


def test_sha512_is_as_good_as_sha256() -> None:
    layer = {**descriptor("one"), "digest": str(Digest.of(b"one", "sha512"))}
    assert parse(image(layers=[layer])).layers[0].digest.algorithm == "sha512"


def test_fields_that_nobody_specified_are_ignored() -> None:
    layer = descriptor("one", custom={"size": [1.5]}, platform={"os": "linux"}, data="eA==")
    assert parse(image(custom="x", layers=[layer])).layers[0].size == 3


# ── what a referrers list says of them ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (image(), OCI_CONFIG),
        (image(artifactType="application/x"), "application/x"),
        (image(artifactType=""), OCI_CONFIG),
        (image(artifactType=None), OCI_CONFIG),
        (index(artifactType="application/x"), "application/x"),
        (index(), None),
    ],
)
def test_the_artifact_type_is_its_own_or_its_configs(document: Document, expected: str | None) -> None:
    assert parse(document).artifact_type == expected


def test_an_entry_of_the_referrers_leaves_out_what_is_not_there() -> None:
    digest = Digest.of(b"")
    entry = referrer_descriptor(
        media_type=OCI_INDEX, digest=digest, size=0, artifact_type=None, annotations={}
    )
    assert entry == {"mediaType": OCI_INDEX, "digest": str(digest), "size": 0}


def test_an_entry_of_the_referrers_carries_the_manifests_own_words() -> None:
    manifest = parse(image(artifactType="application/x", annotations={"a": "b"}))
    entry = referrer_descriptor(
        media_type=manifest.media_type,
        digest=str(Digest.of(b"")),
        size=7,
        artifact_type=manifest.artifact_type,
        annotations=manifest.annotations,
    )
    assert entry["artifactType"] == "application/x"
    assert entry["annotations"] == {"a": "b"}


# ── which type they are ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/octet-stream",
        "application/json",
        f"{OCI_MANIFEST}; charset=utf-8",
        OCI_MANIFEST.upper(),
    ],
)
def test_the_type_comes_from_the_header_or_the_document(content_type: str | None) -> None:
    assert parse(image(), content_type).media_type == OCI_MANIFEST


def test_a_header_is_enough_as_helm_and_umoci_have_it() -> None:
    assert parse(without(image(), "mediaType"), OCI_MANIFEST).media_type == OCI_MANIFEST
    assert parse(image(mediaType=""), OCI_MANIFEST).media_type == OCI_MANIFEST


def test_a_document_of_no_stated_type_is_known_by_its_shape() -> None:
    assert parse(without(image(), "mediaType")).media_type == OCI_MANIFEST
    assert parse(without(index(), "mediaType")).media_type == OCI_INDEX
    with pytest.raises(ManifestInvalid, match="what type"):
        parse({"schemaVersion": 2})


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (image(), OCI_INDEX),
        (image(), DOCKER_MANIFEST),
        (index(), OCI_MANIFEST),
        (image(), ARTIFACT),
        (image(mediaType=ARTIFACT), OCI_MANIFEST),
        (image(mediaType=OCI_MANIFEST.upper()), OCI_MANIFEST),
        (image(mediaType=OCI_MANIFEST + "; charset=utf-8"), OCI_MANIFEST),
        (image(), "text/html"),
        (image(), OCI_CONFIG),
    ],
)
def test_a_header_that_contradicts_the_document_is_refused(document: Document, content_type: str) -> None:
    with pytest.raises(ManifestInvalid, match="Content-Type"):
        parse(document, content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "application/xml",
        "application/xhtml+xml",
        "application/javascript",
        "application/vnd.example+xml",
        "image/svg+xml",
        "application/vnd.a b",
        "application/vnd.ä+json",
        "application/" + "a" * 300 + "+json",
        "multipart/form-data",
        "nonsense",
    ],
)
def test_a_type_that_is_not_a_manifests_is_refused(content_type: str) -> None:
    with pytest.raises(ManifestInvalid):
        parse({"some": "document"}, content_type)


def test_an_artifact_that_nobody_knows_is_taken_with_what_it_names() -> None:
    document = {
        "config": descriptor("config", "application/x"),
        "blobs": [descriptor("blob"), {"name": "no descriptor"}],
        "layers": [descriptor("layer"), 7],
        "subject": descriptor("subject", OCI_MANIFEST),
        "annotations": {"a": "b"},
    }
    manifest = parse(document, ARTIFACT)
    assert manifest.media_type == ARTIFACT
    assert [blob.digest for blob in manifest.blobs()] == contents("config", "layer", "blob")
    assert manifest.subject is not None


def test_an_artifact_that_nobody_knows_may_mean_something_else_by_the_same_names() -> None:
    manifest = parse({"config": "x", "layers": 7, "subject": {"name": "y"}}, ARTIFACT)
    assert (manifest.config, manifest.layers, manifest.subject) == (None, (), None)


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        ({"schemaVersion": 1, "fsLayers": [], "history": []}, DOCKER_SCHEMA_1),
        ({"schemaVersion": 1, "fsLayers": [], "history": []}, DOCKER_SCHEMA_1_SIGNED),
        ({"schemaVersion": 1, "fsLayers": [], "history": []}, None),
        ({"schemaVersion": 1, "fsLayers": []}, ARTIFACT),
        ({"schemaVersion": 1, "mediaType": DOCKER_SCHEMA_1}, None),
        (image(schemaVersion=1), OCI_MANIFEST),
    ],
)
def test_schema_1_is_refused_with_a_way_out(document: Document, content_type: str | None) -> None:
    with pytest.raises(ManifestInvalid, match="schema 1") as caught:
        parse(document, content_type)
    assert "convert" in caught.value.remedy


# ── what has two meanings, or none ──────────────────────────────────────────────────────────────────────

BROKEN_DESCRIPTORS: list[object] = [
    "x",
    7,
    None,
    [],
    {},
    without(descriptor("x"), "mediaType"),
    without(descriptor("x"), "digest"),
    without(descriptor("x"), "size"),
    descriptor("x", size=-1),
    descriptor("x", size=2**63),
    descriptor("x", size=True),
    descriptor("x", size="5"),
    descriptor("x", size=5.0),
    descriptor("x", size=None),
    descriptor("x", digest=None),
    descriptor("x", digest=7),
    descriptor("x", digest="sha256:../../x"),
    descriptor("x", digest="sha256:" + "A" * 64),
    descriptor("x", digest="md5:" + "a" * 32),
    descriptor("x") | {"mediaType": None},
    descriptor("x") | {"mediaType": 7},
    descriptor("x") | {"mediaType": "a" * 256},
    descriptor("x") | {"mediaType": "a\nb"},
    descriptor("x", urls="https://example.com"),
    descriptor("x", urls=[7]),
    descriptor("x", annotations={"a": 1}),
    descriptor("x", annotations={"a": None}),
    descriptor("x", annotations=[]),
    descriptor("x", artifactType=7),
    descriptor("x", Digest="sha256:" + "a" * 64),
    descriptor("x", SIZE=1),
    {**descriptor("x"), "\N{LATIN SMALL LETTER LONG S}ize": 1},
]


@pytest.mark.parametrize("broken", BROKEN_DESCRIPTORS, ids=str)
@pytest.mark.parametrize(
    "place",
    [
        lambda broken: image(layers=[descriptor("one"), broken]),
        lambda broken: image(config=broken),
        lambda broken: index(manifests=[broken]),
        lambda broken: image(subject=broken or {}),
    ],
    ids=["layers", "config", "manifests", "subject"],
)
def test_a_broken_descriptor_is_refused_wherever_it_stands(
    place: Callable[[object], Document], broken: object
) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        parse(place(broken))
    assert caught.value.remedy


def test_a_refusal_says_where_the_fault_is() -> None:
    with pytest.raises(ManifestInvalid, match=r"layers\[1\]\.digest"):
        parse(image(layers=[descriptor("one"), descriptor("x", digest="sha256:x")]))


@pytest.mark.parametrize(
    "document",
    [
        image(manifests=[]),
        image(manifests=[descriptor("amd64", OCI_MANIFEST)]),
        index(layers=[]),
        index(config=descriptor("{}")),
        index(config={}, layers=[descriptor("one")]),
        without(image(), "config"),
        image(config=None),
        without(index(), "manifests"),
        without(image(), "schemaVersion"),
        image(schemaVersion=3),
        image(schemaVersion="2"),
        image(schemaVersion=2.0),
        image(schemaVersion=True),
        image(layers={}),
        image(layers="x"),
        index(manifests={}),
        image(annotations={"a": 1}),
        image(annotations="x"),
        image(artifactType=7),
        image(artifactType="a" * 256),
        image(mediaType=7),
        image(MediaType=OCI_INDEX),
        image(Layers=[]),
        image(MANIFESTS=[]),
        {**image(), "layer\N{LATIN SMALL LETTER LONG S}": []},
    ],
    ids=str,
)
def test_a_document_of_two_meanings_or_of_the_wrong_shape_is_refused(document: Document) -> None:
    with pytest.raises(ManifestInvalid):
        parse(document)


def test_both_shapes_at_once_are_refused_for_unknown_types_too() -> None:
    document: Document = {"manifests": [], "layers": []}
    with pytest.raises(ManifestInvalid, match="index or an image"):
        parse(document, ARTIFACT)


IMAGE = json.dumps(image()).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"7",
        IMAGE + b"{}",
        IMAGE + b"\0",
        b"\xef\xbb\xbf" + IMAGE,
        IMAGE.decode().encode("utf-16"),
        IMAGE[:-1] + b',"mediaType":"' + OCI_MANIFEST.encode() + b'"}',
        IMAGE[:-1] + b',"layers":[]}',
        IMAGE[:-1] + b',"x":NaN}',
        IMAGE[:-1] + b',"x":"\\u0000"}',
        IMAGE[:-1] + b',"x":"\\ud800"}',
        IMAGE[:-1] + b',"x":1e400}',
        IMAGE[:-1] + b',"x":' + b"9" * 4000 + b"}",
    ],
)
def test_what_is_not_one_strict_json_object_is_refused(payload: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(payload, OCI_MANIFEST)


# ── how large they may be ───────────────────────────────────────────────────────────────────────────────


def test_a_manifest_names_a_limited_number_of_things() -> None:
    entry = descriptor("amd64", OCI_MANIFEST)
    assert len(parse(index(manifests=[entry] * MOST_REFERENCES)).manifests) == MOST_REFERENCES
    with pytest.raises(ManifestInvalid, match=str(MOST_REFERENCES)):
        parse(index(manifests=[entry] * (MOST_REFERENCES + 1)))


def test_four_megabytes_of_annotations_are_read_quickly() -> None:
    annotations = {f"org.example.{number}": "x" * 10_000 for number in range(390)}
    payload = json.dumps(image(annotations=annotations)).encode()
    begun = time.process_time()
    assert len(parse_manifest(payload, OCI_MANIFEST).annotations) == 390
    assert time.process_time() - begun < 0.5


# ── whatever comes ──────────────────────────────────────────────────────────────────────────────────────

FIELDS = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 3),
    st.sampled_from([OCI_MANIFEST, OCI_INDEX, ARTIFACT, DOCKER_SCHEMA_1, "", "x"]),
    st.sampled_from([descriptor("x"), descriptor("x", size=-1), {}, {"a": "b"}]),
    st.lists(st.sampled_from([descriptor("x"), {}, 7]), max_size=3),
)
CONTENT_TYPES = (
    st.none() | st.sampled_from([OCI_MANIFEST, OCI_INDEX, ARTIFACT, "application/json"]) | st.text()
)


@given(
    st.sampled_from([image(), index(), {}]), st.dictionaries(st.sampled_from(FIELDS), VALUES), CONTENT_TYPES
)
def test_a_document_is_either_read_or_refused(
    base: Document, changes: Document, content_type: str | None
) -> None:
    with suppress(RoadsteadError):
        manifest = parse({**base, **changes}, content_type)
        assert not (manifest.manifests and (manifest.config or manifest.layers))
        assert all(blob.size >= 0 for blob in manifest.blobs())


@given(st.binary(), CONTENT_TYPES)
def test_bytes_are_either_read_or_refused(payload: bytes, content_type: str | None) -> None:
    with suppress(RoadsteadError):
        parse_manifest(payload, content_type)
