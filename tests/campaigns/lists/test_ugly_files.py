"""Each ugly file, row by row: who goes in under which name and number, who does not and why, and nothing half."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from campaigns.config import CampaignsError
from campaigns.lists.importing import Request, import_list
from tests.campaigns.lists.corpus import CORPUS, Ugly
from tests.campaigns.world import NOON, Campaign


def ids(ugly: Ugly) -> str:
    return ugly.name


@pytest.fixture(scope="module")
def house() -> Campaign:
    from campaigns import database
    from tests.database import fresh_url

    return Campaign(database.connect(fresh_url()), leads=0)


@pytest.mark.parametrize("ugly", CORPUS, ids=ids)
def test_an_ugly_file_is_read_as_a_careful_clerk_would(ugly: Ugly, house: Campaign, tmp_path: Path) -> None:
    file, out = tmp_path / ugly.name, tmp_path / "out.json"
    file.write_bytes(ugly.data)
    house.store.apply(f'name = "{ids(ugly)[:60]}"\nswitch = "main"\n', "test", "tester", NOON)
    applied = house.store.find(ids(ugly)[:60])
    request = Request(
        str(file), "list", applied.campaign_id,  # type: ignore[union-attr]
        columns=ugly.columns, area_code=ugly.area_code, report=out, rejects=tmp_path / "rejects.csv",
    )  # fmt: skip
    if ugly.refused:
        with pytest.raises(CampaignsError, match=ugly.refused):
            import_list(house.db, request, NOON)
    else:
        import_list(house.db, request, NOON)
    told = json.loads(out.read_text("utf-8"))
    assert told["rows"] == told["accepted"] + told["duplicates"] + told["rejected"]
    assert (ugly.refused in (told["refused"] or "")) and bool(told["refused"]) == bool(ugly.refused)
    assert {r["row"]: (r["name"], tuple(r["numbers"])) for r in told["leads"]} == dict(ugly.leads)
    assert {r["row"] for r in told["rejects"]} == set(ugly.rejects), told["rejects"]
    for reject in told["rejects"]:
        assert ugly.rejects[reject["row"]] in reject["reason"]
    assert (told["accepted"], told["duplicates"]) == (len(ugly.leads), ugly.duplicates)
    stored = house.one(
        "SELECT count(DISTINCT lead_id), count(*) FROM number WHERE campaign_id = :id",
        id=applied.campaign_id,  # type: ignore[union-attr]
    )
    assert tuple(stored) == (len(ugly.leads), sum(len(numbers) for _, numbers in ugly.leads.values()))


def test_the_corpus_is_large_and_nobody_is_in_it_twice() -> None:
    assert len(CORPUS) >= 40 and len({ugly.name for ugly in CORPUS}) == len(CORPUS)


def test_rejected_rows_come_back_corrected(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    file, rejects = tmp_path / "list.csv", tmp_path / "rejects.csv"
    file.write_text("电话,姓名,备注\n12,=李,+1\n13800138000,王,\n", "utf-8")
    first = import_list(db, Request(str(file), "list", campaign.id, rejects=rejects), NOON)
    assert (first.accepted, first.rejected) == (1, 1)
    text = rejects.read_text("utf-8-sig")
    assert "\n2,电话,12," in text and "'=李" in text and "'+1" in text
    rejects.write_text(text.replace(",12,'=李", ",13900139001,'=李"), "utf-8")
    again = import_list(db, Request(str(rejects), "list", campaign.id), NOON)
    assert (again.rows, again.accepted) == (1, 1)
    lead = campaign.one("SELECT name, attributes FROM lead WHERE name <> '王'")
    assert (lead.name, lead.attributes) == ("=李", {"备注": "+1"})
