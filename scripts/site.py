"""The documentation as a site: `make site`, or `python -m scripts.site FOLDER`.

The pages are plain Markdown under docs/ and read the same without it. The menu is docs/index.md: its headings and the
links under them, in that order; the decisions follow. Nothing that a page shows is fetched from elsewhere: the library
that draws its diagrams comes with the site where npm is there to get it. A link that leads nowhere ends it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

DOCS = Path(__file__).parents[1] / "docs"
INDEX = "index.md"
MERMAID = "12.3.0"
INTEGRITY = "sha512-4113TdXeLAsMruJ79OpFL5O8+LTFXhQqZ260rF3tgUmiNAtRm4Uume04I+65PRN6yZ69J4f8rVYWW8zRk65UYw=="
DRAWS = "assets/mermaid.js"
LINK = re.compile(r"\]\(([\w./-]+\.md)(?:#[^)]*)?\)")

CONFIG = """
[project]
site_name = "Zhudong"
site_description = "A predictive dialer engine for Asterisk"
docs_dir = "docs"
site_dir = "site"
extra_javascript = {scripts}
nav = [{nav}]
[project.theme]
font = false
features = ["content.code.copy", "navigation.sections", "navigation.top", "search.highlight"]
[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"
[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"
[project.markdown_extensions]
tables = {{}}
attr_list = {{}}
toc.permalink = true
pymdownx.highlight = {{}}
pymdownx.superfences.custom_fences = [
    {{ name = "mermaid", class = "mermaid", format = "pymdownx.superfences.fence_code_format" }},
]
"""


def menu(docs: Path = DOCS) -> list[tuple[str, list[str]]]:
    """Headings and pages, as paths under `docs`; pages before the first heading stand under an empty one."""
    found: list[tuple[str, list[str]]] = [("", [INDEX])]
    had = {INDEX}
    for line in (docs / INDEX).read_text("utf-8").splitlines():
        if line.startswith("## "):
            found.append((line[3:].strip(), []))
        for page in LINK.findall(line):
            if page not in had and not page.startswith("decisions/"):
                had.add(page)
                found[-1][1].append(page)
    decisions = sorted(str(page.relative_to(docs)) for page in (docs / "decisions").glob("*.md"))
    return [*found, ("Decisions", decisions)]


def build(folder: Path) -> Path:
    """Make the site in `folder`, and return where. Raises SystemExit where a page refers to one that is not there."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder / "docs")
    scripts = [DRAWS] if fetch_mermaid(folder / "docs" / DRAWS) else []
    nav = ", ".join(
        f"{{ {json.dumps(heading)} = {json.dumps(pages)} }}" if heading else json.dumps(pages)[1:-1]
        for heading, pages in menu()
    )
    (folder / "zensical.toml").write_text(CONFIG.format(scripts=json.dumps(scripts), nav=nav), "utf-8")
    command = [str(Path(sys.executable).parent / "zensical"), "build", "--strict"]
    if subprocess.run(command, cwd=folder, check=False).returncode:
        raise SystemExit("the site was not made: see above")
    return folder / "site"


def fetch_mermaid(into: Path) -> bool:
    """The library that draws the diagrams; without npm the pages ask unpkg.com for it."""
    if shutil.which("npm") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["npm", "pack", f"mermaid@{MERMAID}", "--silent"], cwd=folder, capture_output=True, check=False
        )
        files = list(Path(folder).glob("*.tgz"))
        if packed.returncode or not files:
            return False
        content = files[0].read_bytes()
        if "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode() != INTEGRITY:
            raise SystemExit(f"npm gave another mermaid {MERMAID} than is expected")
        with tarfile.open(files[0]) as package:
            script = package.extractfile("package/dist/mermaid.min.js")
            assert script is not None
            into.parent.mkdir(parents=True, exist_ok=True)
            into.write_bytes(script.read())
    return True


class Page(HTMLParser):
    """What a page has: the places in it that can be linked to, where its links lead, and what it fetches."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places, self.links, self.fetched = {""}, set[str](), set[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.places.add(given["id"] or "")
        target = given.get("href") if tag in ("a", "link") else given.get("src")
        if target:
            (self.links if tag == "a" else self.fetched).add(target)


def problems(site: Path) -> list[str]:
    """Every link within the site that leads nowhere, and everything a page would fetch from elsewhere."""
    pages = {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name} fetches {each}" for each in sorted(page.fetched) if urlsplit(each).netloc]
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            at = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            at = at / "index.html" if at.is_dir() else at
            if not at.exists() or (at in pages and unquote(parts.fragment) not in pages[at].places):
                found.append(f"{name} links to {link}, which is not there")
    return found


def main() -> int:
    site = build(Path(sys.argv[1]).resolve())
    found = problems(site)
    print("\n".join(found) or f"the site is in {site}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
