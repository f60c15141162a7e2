"""Lists come in: good rows go in, the others are told apart with row and reason, in UTF-8 and in GB18030."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from campaigns.importing import ImportFailed, ImportResult, Reject, Row, import_csv, read_rows
from tests.campaigns.world import NOON, Campaign

LIST = """phone,姓名,timezone,套餐
13800138000,李娜,,畅享 99
+8613900139000,Tom "T" Wang,Asia/Urumqi,"a, b"
"""


def run(db: Engine, folder: Path, data: bytes, **more: str) -> tuple[Campaign, ImportResult, list[list[str]]]:
    campaign = Campaign(db, leads=0)
    path = folder / "list.csv"
    path.write_bytes(data)
    result = import_csv(db, campaign.id, path, NOON, folder / "rejects.csv", **more)
    with (folder / "rejects.csv").open(encoding="utf-8", newline="") as file:
        return campaign, result, list(csv.reader(file))[1:]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_list_goes_in_whatever_its_encoding(db: Engine, tmp_path: Path, encoding: str) -> None:
    campaign, result, rejects = run(db, tmp_path, LIST.encode(encoding))
    assert (result.accepted, result.rejected, rejects) == (2, 0, [])
    first, second = sorted(campaign.lease(5), key=lambda lead: lead.lead_id)
    assert (first.number, first.name, first.zones) == ("+8613800138000", "李娜", ("Asia/Shanghai",))
    assert first.attributes == {"套餐": "畅享 99"}
    assert (second.name, second.zones, second.attributes) == (
        'Tom "T" Wang',
        ("Asia/Urumqi",),
        {"套餐": "a, b"},
    )


def test_each_bad_row_is_told_apart_and_the_rest_goes_in(db: Engine, tmp_path: Path) -> None:
    rows = [
        b"phone,name,timezone",
        b"13800138000,good,",
        b"12,short,",
        b"13800138001,too,many,cells",
        b"13800138000,again,",
        b"not a number,x,",
        b"13800138002,bad zone,Mars/Phobos",
        b"13800138003,\xff\xfe,",
        b"13800138004,a\x07bell,",
        b"",
        b"+12015550123,abroad,",
    ]
    campaign, result, rejects = run(db, tmp_path, b"\r\n".join(rows))
    assert result.accepted == 2 and len(rejects) == result.rejected == 7
    reasons = {int(row[0]): row[1] for row in rejects}
    assert "no number that can be dialed" in reasons[3] or "no telephone number" in reasons[3]
    assert "has 4 cells" in reasons[4]
    assert "already" in reasons[5]
    assert "no telephone number" in reasons[6]
    assert "no time zone" in reasons[7]
    assert "no text" in reasons[8]
    assert "control characters" in reasons[9]
    assert campaign.hopper.left(campaign.id) == 2


def test_a_number_is_on_a_campaigns_lists_once(db: Engine, tmp_path: Path) -> None:
    campaign, _, _ = run(db, tmp_path, LIST.encode())
    again = import_csv(db, campaign.id, tmp_path / "list.csv", NOON, tmp_path / "rejects.csv")
    assert (again.accepted, again.rejected) == (0, 2)


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "is empty"), (b"a,b\n1,2\n", "no column holds the number"), (b'phone,"x\n', "can't be read")],
)
def test_a_file_of_no_use_changes_nothing(db: Engine, tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(ImportFailed, match=says):
        run(db, tmp_path, data)


def test_an_unknown_region_or_zone_is_refused(db: Engine, tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match="region"):
        run(db, tmp_path, LIST.encode(), region="XX")


def test_a_formula_in_a_rejected_cell_stays_text(db: Engine, tmp_path: Path) -> None:
    _, _, rejects = run(db, tmp_path, b"phone,name\n12,=cmd()\n")
    assert rejects[0][3] == "'=cmd()"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_no_text_whatever_brings_the_reader_down(text: str) -> None:
    lines = ("phone,name\n" + text).splitlines(keepends=True)
    for each in read_rows(iter(lines), "x", "CN", ""):  # type: ignore[arg-type]
        assert isinstance(each, (Row, Reject))
        if isinstance(each, Row):
            assert each.e164.startswith("+") and each.zones
