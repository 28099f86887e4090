"""Pages hang together: every link leads somewhere, and every page is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.pages import DOCS, ROOT, anchors, links, name_of, pages, tracked_files

# Letters are left out, so that this file does not contain what it looks for.
_FOREIGN_HOSTS = re.compile(
    r"p[y]pi\.org|files\.p[y]thonhosted|proxy\.g[o]lang|registry\.n[p]mjs|cr[a]tes\.io|(?:deb|security)\.d[e]bian\.org"
)
_OF_A_MACHINE = re.compile(r"/(?:w[o]rk|r[o]ot/\.[a-z])/[a-z.]")


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(there), f"{target}: no such heading"


@pytest.mark.parametrize(
    "page", [page for page in sorted(DOCS.rglob("*.md")) if page.name != "README.md"], ids=name_of
)
def test_every_page_is_in_an_index(page: Path) -> None:
    index = page.parent if (page.parent / "README.md").exists() else DOCS
    assert str(page.relative_to(index)) in set(links(index / "README.md"))


def test_the_index_of_decisions_is_in_the_index() -> None:
    assert "decisions/README.md" in set(links(DOCS / "README.md"))


@pytest.mark.parametrize(
    "page", [page for part in ("tutorial", "how-to", "explanation") for page in (DOCS / part).iterdir()]
)
def test_every_page_says_whom_it_is_for(page: Path) -> None:
    assert re.search(r"^\*\*For\*\* ", page.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", list((DOCS / "how-to").iterdir()), ids=name_of)
def test_every_how_to_says_how_to_undo_it(page: Path) -> None:
    last = page.read_text(encoding="utf-8").rpartition("\n## ")[2]
    assert last.startswith(("To undo", "Afterwards", "Back again"))


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("path", tracked_files(), ids=name_of)
def test_no_file_names_a_package_host_or_a_place_on_one_machine(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        pytest.skip("not a text")
    for forbidden in (_FOREIGN_HOSTS, _OF_A_MACHINE):
        found = forbidden.search(text)
        assert found is None, f"line {text.count(chr(10), 0, found.start()) + 1}: {found[0]}"
