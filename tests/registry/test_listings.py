"""Lists: tags, referrers and the catalog, page by page."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from tests.registry.actors import NOBODY, Actor, child, digest_of, encoded, index_of
from tests.registry.conftest import Opener
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio


async def follow(actor: Actor, target: str, field: str) -> list[list[object]]:
    """Every page, by its links."""
    pages = []
    while True:
        answer = await actor.get(target)
        assert answer.status == 200, answer
        pages.append(answer.json[field])
        link = answer.get("link")
        if link is None:
            return pages
        assert link.endswith('>; rel="next"')
        target = link[1 : link.index(">")]
        assert len(pages) < 50


async def tagged(registry: Registry, *names: str) -> None:
    document = index_of()
    for name in names:
        await registry.alice.push_manifest("a/app", name, document)


async def test_tags_are_sorted_bytewise(registry: Registry) -> None:
    await tagged(registry, "b", "a", "B", "A", "_", "1", "10", "2", "a.b", "a-b")
    assert await registry.alice.tags("a/app") == ["1", "10", "2", "A", "B", "_", "a", "a-b", "a.b", "b"]


async def test_tag_pages_link_to_the_next(registry: Registry) -> None:
    await tagged(registry, *"edcba")
    assert await follow(registry.alice, "/v2/a/app/tags/list?n=2", "tags") == [["a", "b"], ["c", "d"], ["e"]]
    assert await follow(registry.alice, "/v2/a/app/tags/list?n=5", "tags") == [list("abcde")]
    assert await registry.alice.tags("a/app", "?last=c") == ["d", "e"]
    assert await registry.alice.tags("a/app", "?last=bb&n=1") == ["c"]
    assert await registry.alice.tags("a/app", "?last=zzz") == []


async def test_a_page_of_nothing_is_empty_and_ends(registry: Registry) -> None:
    await tagged(registry, *"ab")
    subject = index_of()
    await registry.alice.push_manifest("a/app", "s", index_of(subject=child(subject)))
    for target, field in (
        ("/v2/a/app/tags/list", "tags"),
        ("/v2/_catalog", "repositories"),
        (f"/v2/a/app/referrers/{digest_of(encoded(subject))}", "manifests"),
    ):
        answer = await registry.alice.get(f"{target}?n=0")
        assert (answer.status, answer.json[field], answer.get("link")) == (200, [], None)


async def test_a_larger_page_than_allowed_is_cut_and_linked(registry_with: Opener) -> None:
    async with registry_with(registry={"max_page_size": 2}) as registry:
        await tagged(registry, *"abc")
        assert await follow(registry.alice, "/v2/a/app/tags/list?n=100", "tags") == [["a", "b"], ["c"]]
        assert await follow(registry.alice, "/v2/a/app/tags/list", "tags") == [["a", "b"], ["c"]]


async def test_a_repository_that_is_not_there_has_no_tag_list(registry: Registry) -> None:
    answer = await registry.alice.get("/v2/a/none/tags/list")
    assert (answer.status, answer.codes) == (404, ["NAME_UNKNOWN"])


async def test_a_list_repeats_the_name_as_it_was_asked(registry: Registry) -> None:
    await registry.root.push_manifest("app", "1", index_of())
    for name in ("app", "library/app"):
        answer = await registry.anon.get(f"/v2/{name}/tags/list?n=1")
        assert answer.json == {"name": name, "tags": ["1"]}


async def test_the_catalog_pages_over_all_projects(registry: Registry) -> None:
    names = ["a/x", "a/x/y", "a/z", "pub/a", "pub/b"]
    for name in names:
        await registry.alice.push_manifest(name, "1", index_of())
    await registry.bob.push_manifest("b/hidden", "1", index_of())
    for n in (1, 2, 3, 10):
        pages = await follow(registry.alice, f"/v2/_catalog?n={n}", "repositories")
        assert [name for page in pages for name in page] == names
        assert all(len(page) <= n for page in pages)
    answer = await registry.alice.get("/v2/_catalog?last=a%2Fx%2Fy")
    assert answer.json["repositories"] == names[2:]


# ── referrers ───────────────────────────────────────────────────────────────────────────────────────────


async def referring(registry: Registry, *kinds: str) -> str:
    subject = index_of(annotations={"is": "the subject"})
    for n, kind in enumerate(kinds):
        document = index_of(subject=child(subject), artifactType=kind, annotations={"n": str(n)})
        await registry.alice.push_manifest("a/app", f"r{n}", document)
    return digest_of(encoded(subject))


async def test_referrers_are_paged_and_linked(registry: Registry) -> None:
    subject = await referring(registry, *["application/x"] * 5)
    pages = await follow(registry.alice, f"/v2/a/app/referrers/{subject}?n=2", "manifests")
    assert [len(page) for page in pages] == [2, 2, 1]
    digests = [entry["digest"] for page in pages for entry in page]  # type: ignore[index]  # JSON
    assert digests == sorted(digests)
    assert len(set(digests)) == 5


async def test_referrers_are_filtered_by_type_on_every_page(registry: Registry) -> None:
    kind = "application/vnd.example+json"
    subject = await referring(registry, kind, "application/x", kind, kind, "application/x")
    for spelt in (quote(kind, safe=""), kind):
        target = f"/v2/a/app/referrers/{subject}?artifactType={spelt}&n=1"
        answer = await registry.alice.get(target)
        assert answer["oci-filters-applied"] == "artifactType"
        pages = await follow(registry.alice, target, "manifests")
        assert [entry["artifactType"] for page in pages for entry in page] == [kind] * 3  # type: ignore[index]  # JSON
    assert "+" in unquote(answer["link"])


async def test_referrers_carry_annotations_and_types(registry: Registry) -> None:
    subject = await referring(registry, "application/x")
    (entry,) = (await registry.alice.get(f"/v2/a/app/referrers/{subject}")).json["manifests"]
    assert entry["annotations"] == {"n": "0"}
    assert entry["artifactType"] == "application/x"
    pulled = await registry.alice.pull("a/app", entry["digest"])
    assert (entry["size"], entry["mediaType"]) == (len(pulled.body), pulled["content-type"])


async def test_an_unknown_subject_has_no_referrers(registry: Registry) -> None:
    for repository in ("a/app", "a/none"):
        answer = await registry.alice.get(f"/v2/{repository}/referrers/{NOBODY}")
        assert (answer.status, answer.json["manifests"]) == (200, [])
    assert answer.get("oci-filters-applied") is None


async def test_a_referrer_is_gone_when_it_is_deleted(registry: Registry) -> None:
    subject = await referring(registry, "application/x")
    (entry,) = (await registry.alice.get(f"/v2/a/app/referrers/{subject}")).json["manifests"]
    await registry.alice.delete(f"/v2/a/app/manifests/{entry['digest']}")
    assert (await registry.alice.get(f"/v2/a/app/referrers/{subject}")).json["manifests"] == []


async def test_a_page_of_referrers_never_outgrows_a_manifest(registry: Registry) -> None:
    subject = index_of()
    big = {"a": "x" * 900_000}
    for n in range(5):
        await registry.alice.push_manifest(
            "a/app", f"r{n}", index_of(subject=child(subject), annotations={**big, "n": str(n)})
        )
    target = f"/v2/a/app/referrers/{digest_of(encoded(subject))}"
    assert len((await registry.alice.get(target)).body) < 4 * 1024 * 1024
    assert [len(page) for page in await follow(registry.alice, target, "manifests")] == [3, 2]
