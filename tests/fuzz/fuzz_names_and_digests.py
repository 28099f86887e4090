"""Fuzzes what a URL and its headers are made of: names, tags, digests, media types, pages and queries.

    python tests/fuzz/fuzz_names_and_digests.py -max_total_time=20

Only a `RoadsteadError` may escape, and what is accepted must read back as it was written.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["roadstead.oci"]):
    from roadstead.oci.digests import Digest, parse_algorithm
    from roadstead.oci.media_types import OCI_MANIFEST, essence, is_acceptable
    from roadstead.oci.names import RepositoryName, parse_reference, parse_tag
    from roadstead.oci.paging import next_link, parse_page
    from roadstead.oci.query import parse_query

from roadstead.errors import RoadsteadError

SINGLE = frozenset({"digest", "mount", "from", "n", "last"})


def read_text(text: str) -> None:
    with suppress(RoadsteadError):
        assert str(Digest.parse(text)) == text
    with suppress(RoadsteadError):
        assert parse_algorithm(text) == text
    with suppress(RoadsteadError):
        name = RepositoryName.parse(text, default_project="library")
        assert name.requested == text
        assert RepositoryName.parse(name.full, default_project="x").full == name.full
    with suppress(RoadsteadError):
        assert parse_tag(text) == text
    with suppress(RoadsteadError):
        assert str(parse_reference(text)) == text
    with suppress(RoadsteadError):
        assert 0 <= parse_page(text, None, maximum=100).limit <= 100
    with suppress(RoadsteadError):
        after = parse_page(None, text, maximum=100).after or ""
        assert next_link("/v2/_catalog", last=after, n=1).isascii()
    is_acceptable([text, *text.split("\n")], OCI_MANIFEST)
    is_acceptable([f"{OCI_MANIFEST};{text}"], OCI_MANIFEST)
    assert essence(essence(text)) == essence(text)


def test_one_input(data: bytes) -> None:
    # Lone surrogates included.
    read_text(atheris.FuzzedDataProvider(data).ConsumeUnicode(len(data)))
    read_text(data.decode("latin-1"))
    with suppress(RoadsteadError):
        query = parse_query(data, single=SINGLE)
        assert all(len(query.all(name)) <= 1 for name in SINGLE)


def main() -> None:
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
