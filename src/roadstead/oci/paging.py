"""Pages of a list: how many, after what, and the link to the next one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from roadstead.errors import PaginationInvalid
from roadstead.oci.excerpts import excerpt

LONGEST_LAST = 256

_NUMBER = re.compile(r"[0-9]+")
# Nine digits exceed every page we serve; longer ones need not be converted.
_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` entries that follow `after`, bytewise.  A limit of 0 asks for an empty page."""

    limit: int
    after: str | None


def parse_page(n: str | None, last: str | None, *, maximum: int) -> Page:
    """The page that the query parameters `n` and `last` ask for; never more than `maximum` entries.

    A larger `n` is not refused but served a page of `maximum`, with a link to the next.
    """
    return Page(maximum if n is None else _limit(n, maximum), _after(last))


def next_link(path: str, *, last: str, n: int, extra: Mapping[str, str] | None = None) -> str:
    """The value of the `Link` header (RFC 8288) that leads to the page after `last`."""
    parameters = {**(extra or {}), "last": last, "n": str(n)}
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters.items())
    return f'<{quote(path, safe="/:")}?{query}>; rel="next"'


def _limit(n: str, maximum: int) -> int:
    if _NUMBER.fullmatch(n) is None:
        raise PaginationInvalid(
            f"n must be a whole number, not {excerpt(n)}",
            remedy=f"ask for a page of 0 to {maximum} entries",
            limit=maximum,
        )
    digits = n.lstrip("0") or "0"
    return maximum if len(digits) > _MOST_DIGITS else min(int(digits), maximum)


def _after(last: str | None) -> str | None:
    if not last:
        return None
    if len(last) > LONGEST_LAST or not last.isprintable():
        raise PaginationInvalid(
            f"last must be at most {LONGEST_LAST} printable characters",
            remedy="send the last entry of the page before, or follow its Link header",
            limit=LONGEST_LAST,
        )
    return last
