"""What a campaign says of its customers' attributes holds for each row, and what a cell becomes has its type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from campaigns.config import ConfigError, Field, parse
from campaigns.lists.fields import NotOfType, value_of
from campaigns.lists.importing import Request, import_list
from tests.campaigns.world import NOON, Campaign

BASE = 'name = "spring"\nswitch = "main"\n'
FIELDS = """
[[fields]]
name = "套餐"
type = "choice"
choices = ["A", "B"]
label = {en = "Plan", zh = "套餐"}
required = true
[[fields]]
name = "余额"
type = "decimal"
[[fields]]
name = "到期"
type = "date"
"""
ROWS = """手机,到期,余额,套餐,备注
13800138000,2026年1月31日,"1,234.50",A,x
13900139001,,,,
18612345678,2026-02-30,,B,
18612345679,,12;5,A,
"""


def test_a_list_is_held_to_the_campaigns_fields(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0, more=FIELDS)
    (tmp_path / "list.csv").write_text(ROWS, "utf-8")
    result = import_list(db, Request(str(tmp_path / "list.csv"), "list", campaign.id), NOON)
    assert [(row, fault.column, fault.value) for row, fault in result.rejects] == [
        (3, "套餐", ""),
        (4, "到期", "2026-02-30"),
        (5, "余额", "12;5"),
    ]
    stored = campaign.one("SELECT attributes FROM lead WHERE name = ''").attributes
    assert stored == {"到期": "2026-01-31", "余额": 1234.5, "套餐": "A", "备注": "x"}


@pytest.mark.parametrize(
    ("type", "cell", "value"),
    [
        ("integer", "12", 12), ("integer", "1,200", 1200), ("integer", "12.0", 12), ("integer", 7, 7),
        ("integer", "12.5", None), ("integer", "1e3", None), ("integer", "12,50", None), ("integer", "９" * 30, None),
        ("decimal", "-0.5", -0.5), ("decimal", "1.2.3", None), ("decimal", "nan", None), ("decimal", "12,50", None),
        ("date", "2026/1/5", "2026-01-05"), ("date", "2026-01-05 00:00:00", "2026-01-05"),
        ("date", "2026/1/5 0:00", "2026-01-05"),
        ("date", "46000", "2025-12-09"),
        ("date", "20260105", "2026-01-05"), ("date", "05/01/2026", None), ("date", "20261305", None),
        ("boolean", "是", True), ("boolean", "No", False), ("boolean", True, True), ("boolean", "maybe", None),
        ("choice", "A", "A"), ("choice", "a", None), ("text", " x ", "x"),
    ],
)  # fmt: skip
def test_a_cell_becomes_a_value_of_its_type_or_a_reason(type: str, cell: Any, value: Any) -> None:
    field = Field("f", type, choices=("A",) if type == "choice" else ())
    if value is None:
        with pytest.raises(NotOfType):
            value_of(field, cell)
    else:
        assert value_of(field, cell) == value and value_of(field, cell).__class__ is value.__class__


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ('name = ""', "fields[0].name"),
        ('name = "a"\ntype = "money"', "fields[0].type"),
        ('name = "a"\ntype = "choice"', "fields[0].choices"),
        ('name = "a"\nlabel = {en = "A"}', "fields[0].label"),
        ('name = "a"\n[[fields]]\nname = "a"', "fields[1].name"),
    ],
)
def test_fields_that_make_no_sense_are_refused(lines: str, key: str) -> None:
    with pytest.raises(ConfigError) as fault:
        parse(f"{BASE}[[fields]]\n{lines}\n", "spring.toml")
    assert key in str(fault.value)
