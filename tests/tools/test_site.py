"""The documentation as a site: made without a warning, each page in both menus, every link leading somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.site import DOCS, LINK, Page, build, menu, problems


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("docs") / "build")


def test_every_page_is_in_the_menu_once() -> None:
    listed = [page for _, pages in menu() for page in pages]
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_the_chinese_menu_has_the_same_pages_in_the_same_order() -> None:
    english, chinese = ((DOCS / name).read_text("utf-8") for name in ("index.md", "index.zh-CN.md"))
    assert LINK.findall(english)[1:] == LINK.findall(chinese)[1:]  # the first is the other language


def test_no_link_leads_nowhere_and_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    assert problems(site) == []
    assert len(list(site.rglob("index.html"))) > 70


def test_what_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.html").write_text('<p id="here">', "utf-8")
    links = "".join(f'<a href="{to}">' for to in ("there.html#here", "there.html#gone", "gone/"))
    page = f'{links}<script src="//x.org/a.js">'
    (tmp_path / "index.html").write_text(page, "utf-8")
    assert Page(page).links == {"there.html#here", "there.html#gone", "gone/"}
    assert problems(tmp_path) == [
        "index.html fetches //x.org/a.js",
        "index.html links to gone/, which is not there",
        "index.html links to there.html#gone, which is not there",
    ]
