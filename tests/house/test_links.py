"""Links within the documentation lead somewhere: to a file of the repository, and to a heading that it has."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.house.pages import all_pages, name_of, prose
from tests.house.sources import ROOT

_LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|^ *\[[^\]]+\]:\s*(\S+)|(?:href|src)=\"([^\"]+)\"")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.+?)\s*#*\s*$")
_ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    found: set[str] = set()
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            number = 0
            while (candidate := f"{anchor}-{number}" if number else anchor) in found:
                number += 1
            found.add(candidate)
    return found


def broken_links(page: Path) -> Iterator[str]:
    """`line: target`, for each link of a page that leads nowhere in the repository."""
    text = page.read_text()
    for number, line in prose(text):
        for target in (group for groups in _LINK.findall(line) for group in groups if group):
            if not _ELSEWHERE.match(target) and not _leads_somewhere(page, unquote(target)):
                yield f"{number}: {target}"


def _leads_somewhere(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    if not file.exists():
        return False
    return not anchor or file.suffix != ".md" or anchor in anchors(file.read_text())


@pytest.mark.parametrize("page", all_pages(), ids=name_of)
def test_every_local_link_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("page", all_pages(), ids=name_of)
def test_no_link_leaves_the_repository(page: Path) -> None:
    outside = [
        target
        for _, line in prose(page.read_text())
        for target in (group for groups in _LINK.findall(line) for group in groups if group)
        if not _ELSEWHERE.match(target) and not (page.parent / target).resolve().is_relative_to(ROOT)
    ]
    assert outside == []


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Two words\n\n## Two words\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#two-words-1) [c](#here) [d](https://example.org/x)\n"
        "`[e](code.md)`\n```\n[f](fenced.md)\n```\n[g](gone.md) [h](other.md#three) ![i](gone.png)\n[j]: gone.md\n"
    )

    assert list(broken_links(page)) == ["7: gone.md", "7: other.md#three", "7: gone.png", "8: gone.md"]
