"""Links of the documents lead somewhere: files, and headings in them; of the outside only the form is checked."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINK = re.compile(r"(?<!\\)\[(?:[^][]|\[[^]]*\])*\]\(([^)\s]+)\)|<(https?://[^>\s]+)>")


def prose(page: Path) -> str:
    """A page without its code, in which brackets are no links."""
    text = re.sub(r"^(`{3,}).*?^\1`*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)


def links(page: Path) -> list[str]:
    return [inside or outside for inside, outside in LINK.findall(prose(page))]


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them: lower case, without punctuation, hyphens for spaces."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", prose(page), flags=re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        count = sum(1 for other in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other))
        found.add(f"{slug}-{count}" if count else slug)
    return found


def test_anchors_are_those_of_github(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Volumes (CT, MR): `kind: medical`\n## A [link](x.md)!\n## Same\n## Same\n```\n# code\n```\n")
    assert anchors(page) == {"volumes-ct-mr-kind-medical", "a-link", "same", "same-1"}


def test_links_in_code_are_none(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](b.md) ![p](images/p.png)\n```\n[c](d.md)\n```\n    [e](f.md)\n<https://g.org/h>\n")
    assert links(page) == ["b.md", "images/p.png", "https://g.org/h"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    wrong = []
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            if parts.scheme not in ("https", "mailto") or (parts.scheme == "https" and "." not in parts.netloc):
                wrong.append(link)
            continue
        target = (page.parent / parts.path) if parts.path else page
        if not target.exists() or not target.resolve().is_relative_to(ROOT):
            wrong.append(link)
        elif parts.fragment and parts.fragment not in anchors(target):
            wrong.append(link)
    assert wrong == []


def test_links_were_found() -> None:
    assert sum(len(links(page)) for page in PAGES) > 100
