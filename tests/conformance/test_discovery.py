"""end-1, the catalogue and the extensions: what a client asks before it asks for anything."""

from __future__ import annotations

import secrets
import urllib.parse

import pytest
from tests.conformance.wire import Wire


def test_end_1_the_version_is_announced(wire: Wire) -> None:
    reply = wire.get("/v2/")
    assert reply.status == 200
    assert reply["Docker-Distribution-API-Version"] == "registry/2.0"


def test_extensions_are_discovered(wire: Wire, repository: str) -> None:
    wire.push(repository, "1", wire.image(repository))
    for path in ("/v2/_oci/ext/discover", f"/v2/{repository}/_oci/ext/discover"):
        reply = wire.get(path)
        assert reply.status == 200
        assert reply["Content-Type"] == "application/json"
        for extension in reply.json["extensions"]:
            assert {"name", "url", "description", "endpoints"} >= extension.keys() >= {"name", "endpoints"}


def test_the_catalogue_lists_repositories_in_byte_order_page_by_page(small_pages: Wire) -> None:
    mark = f"library/catalogue-{secrets.token_hex(4)}"
    names = [f"{mark}-{number}" for number in range(5)]
    for name in names:
        small_pages.push(name, "1", small_pages.image(name))
    found: list[str] = []
    page: str | None = "/v2/_catalog"
    while page:
        reply = small_pages.get(urllib.parse.urljoin("/v2/_catalog", page))
        assert reply.status == 200
        found += reply.json["repositories"]
        page = reply.next_page
    assert found == sorted(found)
    assert [name for name in found if name.startswith(mark)] == names


@pytest.mark.parametrize("size", ["-1", "a"])
def test_the_catalogue_refuses_a_page_size_that_is_none(wire: Wire, size: str) -> None:
    assert wire.get(f"/v2/_catalog?n={size}").status == 400


@pytest.mark.parametrize(
    "path", ["/v2/x", "/v2/library/x/y", "/v2/library/x/blobs/", "/v2/library/x/manifests/"]
)
def test_a_path_that_means_nothing_is_not_found(wire: Wire, path: str) -> None:
    assert wire.get(path).status == 404


@pytest.mark.parametrize("method", ["POST", "PATCH", "TRACE", "OPTIONS", "BREW"])
def test_a_method_that_a_path_lacks_is_405(wire: Wire, method: str) -> None:
    reply = wire.request(method, "/v2/library/x/tags/list")
    assert reply.status in {400, 405, 501}
