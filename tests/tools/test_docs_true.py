"""The docs are held to the tree: every path exists, every key and metric is described, the drawings are the tables'."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from campaigns.config import CampaignConfig
from campaigns.rights import RIGHTS, Right, Role
from dialer.cli import main
from dialer.config import Config
from dialer.metrics import Metrics
from scripts.draw_machines import PAGE, draw

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ROOMS = "pacing|campaigns|cti|dialer|simulator|tests|benchmarks|deploy|docs|scripts"
IN_TREE = re.compile(rf"`((?:{ROOMS})/[\w./-]*)`")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_file_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = [ROOT / path for path in IN_TREE.findall(text)]
    linked = [page.parent / link for link in LINK.findall(text)]
    assert [str(path) for path in named + linked if not path.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_test_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", page.read_text(encoding="utf-8"))
    missing = [
        f"{path}::{test}" for path, test in named if f"def {test}(" not in (ROOT / path).read_text("utf-8")
    ]
    assert missing == []


def keys(struct: type[msgspec.Struct]) -> Iterator[str]:
    for field in msgspec.structs.fields(struct):
        yield field.encode_name
        for part in msgspec.inspect.multi_type_info([field.type]):
            inner = getattr(part, "item_type", None) or getattr(part, "value_type", None) or part
            for each in getattr(inner, "types", (inner,)):
                if isinstance(each, msgspec.inspect.StructType):
                    yield from keys(each.cls)


@pytest.mark.parametrize("config", [Config, CampaignConfig])
def test_every_key_is_described(config: type[msgspec.Struct]) -> None:
    page = (ROOT / "docs/reference/config.md").read_text(encoding="utf-8")
    assert [key for key in keys(config) if not re.search(rf"\b{key}\b", page)] == []


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name, command


def test_every_command_and_option_is_described() -> None:
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    missing = []
    for name, command in commands(main):
        if f"`dialer {name}" not in page:
            missing.append(name)
        options = [option for each in command.params for option in each.opts if option.startswith("--")]
        missing += [f"{name} {option}" for option in options if f"{option}" not in page]
    assert missing == []


def test_the_table_of_rights_is_that_of_the_code() -> None:
    page = (ROOT / "docs/reference/rights.md").read_text(encoding="utf-8")
    head = next(line for line in page.splitlines() if line.startswith("| right |"))
    roles = [Role(cell.strip().replace(" ", "_")) for cell in head.split("|")[2:-1]]
    told = {}
    for right, cells in re.findall(r"^\| `(\w+)`[^|]*\|(.*)\|$", page, re.MULTILINE):
        told[Right(right)] = {
            role for role, cell in zip(roles, cells.split("|"), strict=True) if cell.strip()
        }
    assert told == {right: {role for role in Role if right in RIGHTS[role]} for right in Right}


def test_every_metric_is_described_and_no_other() -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    described = set(re.findall(r"`(zhudong_\w+)`", page))
    suffix = {"counter": "_total"}
    served = {
        f"{family.name}{suffix.get(family.type, '')}"
        for family in Metrics().registry.collect()
        if family.name
    }
    assert described == served


def test_the_drawings_are_those_of_the_tables() -> None:
    assert PAGE.read_text(encoding="utf-8") == draw(), "run `make docs`"


def test_both_readmes_have_the_same_rows_of_figures() -> None:
    def measured_by(readme: str) -> list[str]:
        lines = (ROOT / readme).read_text("utf-8").splitlines()
        first = next(n for n, line in enumerate(lines) if "`.venv/bin/python -m …`" in line) + 2
        rows = itertools.takewhile(lambda line: line.startswith("|"), lines[first:])
        return [" ".join(re.findall(r"`(benchmarks\.\w+)`", row)) for row in rows]

    assert measured_by("README.md") == measured_by("README.zh-CN.md")
