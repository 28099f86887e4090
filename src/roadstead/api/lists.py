"""Lists: `page`, `page_size`, `q` and `sort` coming in, `X-Total-Count` and `Link` going out."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response

from roadstead.db.list_requests import LONGEST_TEXT, ListRequest, parse_q, parse_sort

MAX_PAGE_SIZE = 100


def _asked(
    page: Annotated[int, Query(ge=1, le=2**31 - 1, description="Which page, from 1.")] = 1,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="Rows on a page.")] = 10,
    q: Annotated[
        str,
        Query(
            max_length=LONGEST_TEXT,
            description="Filters: `k=v` exact, `k=~v` contains, `k=[a~b]` range, `k={a b}` one of, `k=(a b)` all of;"
            " joined by commas.",
        ),
    ] = "",
    sort: Annotated[
        str, Query(max_length=LONGEST_TEXT, description="Keys in order, `-` before one for descending.")
    ] = "",
) -> ListRequest:
    return ListRequest(page, page_size, parse_q(q), parse_sort(sort))


# A handler's parameter: `listing: Listing`.
Listing = Annotated[ListRequest, Depends(_asked)]


def tell(request: Request, response: Response, listing: ListRequest, total: int) -> None:
    """Say how many rows there are, and where the pages before and after are."""
    response.headers["X-Total-Count"] = str(total)
    links = []
    if listing.page > 1:
        links.append(f'<{_address(request, listing, listing.page - 1)}>; rel="prev"')
    if listing.offset + listing.page_size < total:
        links.append(f'<{_address(request, listing, listing.page + 1)}>; rel="next"')
    if links:
        response.headers["Link"] = " , ".join(links)


def _address(request: Request, listing: ListRequest, page: int) -> str:
    """Relative to the host, as Harbor's: the path as it was sent."""
    asked = [
        (key, value) for key, value in request.query_params.multi_items() if key not in {"page", "page_size"}
    ]
    query = urlencode([*asked, ("page", str(page)), ("page_size", str(listing.page_size))])
    path = request.scope["roadstead.path"]
    return f"{path}?{query}"
