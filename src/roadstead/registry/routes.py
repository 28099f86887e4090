"""The table of `/v2`: every path, and the endpoint of every method.  The hot ones come first."""

from __future__ import annotations

from functools import partial

from roadstead.registry.blobs.http import delete_blob, get_blob
from roadstead.registry.blobs.service import Blobs
from roadstead.registry.catalog.http import CatalogEndpoints
from roadstead.registry.http import Route, route
from roadstead.registry.manifests.http import ManifestEndpoints
from roadstead.registry.referrers.http import ReferrerEndpoints
from roadstead.registry.tags.http import TagEndpoints
from roadstead.registry.uploads.http import UploadEndpoints


def routes(
    *,
    blobs: Blobs,
    uploads: UploadEndpoints,
    manifests: ManifestEndpoints,
    tags: TagEndpoints,
    referrers: ReferrerEndpoints,
    catalog: CatalogEndpoints,
) -> tuple[Route, ...]:
    """An upload's path would also fit a blob's: uploads stand before blobs."""
    return (
        route(
            "/v2/<name>/manifests/<reference>",
            GET=manifests.get,
            PUT=manifests.put,
            DELETE=manifests.delete,
            pulls=True,
        ),
        route("/v2/<name>/blobs/uploads/", POST=uploads.start),
        route(
            "/v2/<name>/blobs/uploads/<id>",
            GET=uploads.status,
            PATCH=uploads.append,
            PUT=uploads.finish,
            DELETE=uploads.cancel,
        ),
        route(
            "/v2/<name>/blobs/<digest>",
            GET=partial(get_blob, blobs),
            DELETE=partial(delete_blob, blobs),
            pulls=True,
        ),
        route("/v2/<name>/tags/list", GET=tags.list, pulls=True),
        route("/v2/<name>/referrers/<digest>", GET=referrers.list, pulls=True),
        route("/v2/", GET=catalog.ping),
        # Some people leave the slash out.
        route("/v2", GET=catalog.ping),
        route("/v2/_catalog", GET=catalog.list),
        route("/v2/_oci/ext/discover", GET=catalog.extensions),
        route("/v2/<name>/_oci/ext/discover", GET=catalog.repository_extensions),
    )
