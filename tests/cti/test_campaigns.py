"""A branch's manager makes campaigns in their own units, and no campaign, number or unit of others is to be had so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine, text

from campaigns.people import People
from campaigns.steering import Outdated, to_file
from campaigns.store import CampaignStore
from campaigns.units import Units
from cti.settings import WebSettings
from tests.campaigns.world import NOON, Campaign
from tests.cti.running import open_stored

Client = httpx2.AsyncClient
BRANCH, TEAM, OTHER = "兰州", "兰州/一组", "天水"
NEW = (
    f'name = "new"\nswitch = "main"\nunit = "{TEAM}"\n'
    '[rules]\nprofile = "cn-marketing"\ndestinations = ["+86*"]\n'
)


@pytest.fixture
async def meng(db: Engine, tmp_path: Path) -> AsyncIterator[Client]:
    """The browser of a branch's manager, who also serves a campaign of the other branch."""
    for unit in (TEAM, OTHER):
        Units(db).add(unit)
    why = '# why this law: see the contract\n[rules]\nprofile = "cn-marketing"\n'
    why += 'destinations = ["+86*"]\n'
    mine = f'unit = "{BRANCH}"\ncaller_ids = ["+86931000000"]\n{why}'
    Campaign(db, leads=0, name="mine", more=mine)
    for name in ("theirs", "served"):
        Campaign(db, leads=0, name=name, more=f'unit = "{OTHER}"\ncaller_ids = ["+86938000000"]\n')
    user = People(db).add(BRANCH, "meng", "孟洁", "branch_manager", "", campaigns=["served"], language="en")
    async with open_stored(db, tmp_path, WebSettings(switches=("main", "spare"))) as (url, users):
        cookies = {"zd_session": users.open_session(user, "test")}
        async with Client(base_url=url, cookies=cookies, timeout=30) as client:
            yield client


async def test_a_manager_makes_a_campaign_and_rewrites_it_alone(meng: Client, db: Engine) -> None:
    told = await meng.post("/api/campaigns/check", json={"text": NEW})
    assert (told.status_code, told.json()) == (
        200,
        {"name": "new", "unit": TEAM, "switch": "main", "mode": "progressive", "running": False},
    )
    made = {"text": NEW, "version": 0, "why": "for the summer"}
    assert (await meng.post("/api/campaigns", json=made)).json() == {"name": "new", "version": 1}
    again = await meng.post("/api/campaigns", json=made)
    assert (again.status_code, again.json()["error"]) == (409, "taken")
    rows = {each["name"]: each for each in (await meng.get("/api/campaigns")).json()}
    assert rows["new"] == {"name": "new", "unit": TEAM, "mode": "progressive", "running": False, "version": 1}
    assert set(rows) == {"mine", "new", "served"}

    louder = NEW.replace("[rules]", 'mode = "ratio"\n[rules]')
    made = {"text": louder, "version": 1, "why": "more lines"}
    assert (await meng.post("/api/campaigns", json=made)).json()["version"] == 2
    late = await meng.post("/api/campaigns", json=made | {"text": NEW})
    assert (late.status_code, late.json()["error"]) == (409, "outdated")
    with db.connect() as connection:
        lines = connection.execute(
            text("SELECT actor, action, subject, detail FROM audit WHERE subject = 'new' ORDER BY id")
        ).all()
    assert [tuple(line) for line in lines] == [
        ("meng", "campaign applied", "new", "for the summer"),
        ("meng", "campaign applied", "new", "more lines"),
    ]
    # It is a campaign like any other: seen by the engine, steered in the console, taken over into a file.
    store = CampaignStore(db)
    assert store.find("new").config.mode == "ratio"  # type: ignore[union-attr]
    with pytest.raises(Outdated):
        store.apply(NEW, "new.toml", "root", NOON)
    assert store.differs(to_file("new", 2, louder), "new.toml") == ""
    steered = {"campaign": "new", "version": 2, "settings": {"running": True}, "why": "go"}
    assert (await meng.post("/api/campaign/change", json=steered)).json()["version"] == 3


async def test_one_is_begun_like_another(meng: Client) -> None:
    page = (await meng.get("/campaigns", params={"new": "fresh", "unit": TEAM, "like": "mine"})).text
    assert "why this law: see the contract" in page and "+86931000000" in page
    assert "name = &#34;fresh&#34;" in page and f"unit = &#34;{TEAM}&#34;" in page
    assert "running = false" in page
    blank = (await meng.get("/campaigns", params={"new": "fresh"})).text
    assert f"unit = &#34;{BRANCH}&#34;" in blank and "cn-marketing" in blank
    for wrong in (
        {"new": "x", "like": "theirs"},
        {"new": "x", "unit": OTHER},
        {"name": "theirs"},
        {"name": "served"},
    ):
        assert (await meng.get("/campaigns", params=wrong)).status_code == 404, wrong
    assert ">theirs<" not in (await meng.get("/campaigns")).text


@pytest.mark.parametrize(
    ("was", "then", "status", "said"),
    [
        (TEAM, OTHER, 404, "there is no unit"),
        (f'unit = "{TEAM}"', "", 404, "there is no unit"),  # the whole company's
        ('"main"', '"away"', 400, "switch: must be one of main, spare"),
        ("[rules]", 'trunk = "PJSIP/{number}@dear"\n[rules]', 400, "trunk:"),
        ("[rules]", 'caller_ids = ["+86938000000"]\n[rules]', 400, "caller_ids:"),
        ("[rules]", 'transfer_numbers = ["+8610*"]\n[rules]', 400, "transfer_numbers:"),
        ("[rules]", 'transfer_campaigns = ["theirs"]\n[rules]', 400, "transfer_campaigns:"),
        ("[rules]", '[manual]\nnumbers = ["+1900*"]\n[rules]', 400, "manual.numbers:"),
        ("[rules]", '[inbound]\nnumbers = ["95599"]\n[rules]', 400, "inbound.numbers:"),
        ("[rules]", '[crm]\nurl = "https://evil.example/{number}"\n[rules]', 400, "crm.url:"),
        ('destinations = ["+86*"]', "", 400, "rules.destinations:"),
        ("+86*", "+1900*", 400, "rules.destinations:"),
        ("[rules]", "[outside]\ncalls = 501\n[rules]", 400, "outside.calls:"),
        ("cn-marketing", "own", 400, "rules.profile:"),
        ("[rules]", "target = 7\n[rules]", 400, "target"),
        ("[rules]", "x = " + "[" * 5_000, 400, "too deep"),
        ("[rules]", "priority = " + "9" * 5_000, 400, "digits"),
        ('"new"', '"theirs"', 409, "already"),
        ('"new"', '"mine"', 409, "already"),
    ],
)
async def test_nothing_is_had_that_is_not_theirs(
    meng: Client, db: Engine, was: str, then: str, status: int, said: str
) -> None:
    before = CampaignStore(db).names()
    source = NEW.replace(was, then)
    answer = await meng.post("/api/campaigns", json={"text": source, "version": 0, "why": "x"})
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
    assert CampaignStore(db).names() == before
    assert all(each.config.name == "mine" or each.version == 1 for each in CampaignStore(db).newer_than(0))  # type: ignore[union-attr]


async def test_a_campaign_of_others_is_neither_rewritten_nor_moved(meng: Client, db: Engine) -> None:
    taken_over = NEW.replace('"new"', '"served"').replace(TEAM, BRANCH)
    for name in ("served", "theirs"):
        source = taken_over.replace("served", name)
        answer = await meng.post("/api/campaigns", json={"text": source, "version": 1, "why": "x"})
        assert answer.status_code == 404
    away = NEW.replace('"new"', '"mine"').replace(TEAM, OTHER)
    assert (
        await meng.post("/api/campaigns", json={"text": away, "version": 1, "why": "x"})
    ).status_code == 404
    with db.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM campaign_version")).scalar_one() == 3
