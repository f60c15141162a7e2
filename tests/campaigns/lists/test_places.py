"""Which part of a country an address is in, and not by what only looks like one; what time it is there."""

from __future__ import annotations

from pathlib import Path

import holidays
import pytest
from phonenumbers.geodata import GEOCODE_DATA
from sqlalchemy import Engine

from campaigns import database
from campaigns.lists.cities import PROVINCE_OF
from campaigns.lists.importing import Request, import_list
from campaigns.lists.normalising import NumberReader
from campaigns.lists.places import CHINA, ZONES, region_of
from campaigns.rules.profiles import US_STATES
from campaigns.values import Ask, Refusal, RefusalReason
from tests.campaigns.world import NOON, Campaign, later
from tests.database import as_of

# Counties, towns of counties, and a misprint, that area codes are said to be of as well.
COUNTIES = [
    "珲春",
    "延吉",
    "梅河口",
    "芒市",
    "香格里拉",
    "株州",
    "仲巴",
    "嘉黎",
    "聂荣",
    "申扎",
    "双湖",
    "班戈",
    "尼玛",
    "普兰",
    "札达",
]


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("山东省青岛市市南区", "CN-SD"),
        ("青岛市南区香港中路 8 号", "CN-SD"),
        ("成都武侯区科华北路", "CN-SC"),
        ("中国青岛", "CN-SD"),
        ("西安", "CN-SN"),
        ("海南省海口市", "CN-HI"),
        ("海南藏族自治州", "CN-QH"),
        ("大理白族自治州", "CN-YN"),
        ("吉林市船营区", "CN-JL"),
        ("乌鲁木齐市", "CN-XJ"),
        ("兴安盟", "CN-NM"),
        ("朝阳市双塔区", "CN-LN"),
        # Districts and counties of other cities, and streets.
        ("朝阳区望京街 1 号", ""),
        ("西安区", ""),
        ("兴安县", ""),
        ("资阳区", ""),
        ("南京东路 100 号", ""),
        ("四川北路 1 号", ""),
        ("北京路 2 号", ""),
        ("中山路", ""),
        ("德州扒鸡", ""),
        ("", ""),
    ],
)
def test_the_beginning_of_an_address_tells_its_province(address: str, region: str) -> None:
    assert region_of(address, "CN") == region


def test_cities_are_where_their_area_codes_are() -> None:
    codes = {code: texts["zh"] for code, texts in GEOCODE_DATA.items() if code[:2] == "86" and "zh" in texts}
    asked = 0
    for told in {text for code, text in codes.items() if len(code) <= 6}:
        province = next(name for name in CHINA if told.startswith(name))
        suffixes = ("维吾尔自治区", "壮族自治区", "省", "市", "")
        whole = next(province + suffix for suffix in suffixes if told.startswith(province + suffix))
        cities = told.removeprefix(whole)
        for city in filter(None, cities.split("、")):
            if not city.startswith(tuple(COUNTIES)):
                asked += 1
                assert region_of(city, "CN") == f"CN-{CHINA[province]}", told
    assert asked > 300 and len(PROVINCE_OF) > 340


def test_whoever_took_their_number_along_is_called_when_it_is_time_at_their_address_too(
    db: Engine, tmp_path: Path
) -> None:
    campaign = Campaign(db, leads=0, more='[rules]\nprofile = "us"\n')
    file = tmp_path / "list.csv"
    file.write_text("phone,state,name\n+12127365000,CA,Ann\n")
    import_list(db, Request(str(file), "moved", campaign.id, country="US"), NOON)
    lead = campaign.one("SELECT region, zones FROM lead")
    assert tuple(lead) == ("US-CA", ["America/Los_Angeles", "America/New_York"])
    assert campaign.lease(at=later(hours=9)) == []  # 8 o'clock in New York, 5 in California
    evening = later(hours=22)  # 21 o'clock in New York, 18 in California
    [leased] = campaign.lease(at=later(hours=21, minutes=59))
    answer = campaign.hopper.authorize([Ask(leased.call_id, "main")], evening)[leased.call_id]
    assert isinstance(answer, Refusal) and answer.reason is RefusalReason.WINDOW
    assert answer.until == later(hours=36)  # 8 o'clock in California
    assert campaign.dial(campaign.lease(at=later(hours=36)), later(hours=36))


def test_a_list_that_says_the_zone_itself_is_believed(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    file = tmp_path / "list.csv"
    file.write_text("phone,state,timezone\n+19153511000,TX,America/Denver\n")
    import_list(db, Request(str(file), "west", campaign.id, country="US"), NOON)
    assert campaign.one("SELECT zones FROM lead").zones == ["America/Denver"]


def test_each_state_has_its_zones_and_those_of_its_area_codes() -> None:
    nobodys_home = "UM"
    states = {f"US-{each}" for each in holidays.list_supported_countries()["US"] if each != nobodys_home}
    assert {region for region in ZONES if region.startswith("US-")} == states
    reader = NumberReader("US")
    for state in US_STATES:
        for prefix in state.prefixes:
            zones = set(reader.zones(f"{prefix}5550100"))
            if "America/St_Johns" not in zones:  # an area code that is not known yet may be anywhere
                assert zones <= set(ZONES[state.code]), prefix


def test_leads_that_were_there_before_get_the_zones_of_their_state() -> None:
    engine = as_of("0053")
    with engine.begin() as connection:
        connection.exec_driver_sql("""
            INSERT INTO campaign (name, version, unit_id) SELECT 'spring', 1, id FROM unit;
            INSERT INTO list (campaign_id, name, source, imported_at) VALUES (1, 'list', 'test', now());
            INSERT INTO lead (campaign_id, list_id, name, attributes, zones, region, open) VALUES
                (1, 1, 'Ann', '{}', '{America/New_York}', 'US-CA', true),
                (1, 1, 'Bob', '{}', '{America/Chicago}', 'US-TX', false),
                (1, 1, 'Cid', '{}', '{America/Denver,America/Los_Angeles}', 'US-CO', true),
                (1, 1, '李娜', '{}', '{Asia/Shanghai}', 'CN-SD', true);
        """)
    database.migrate(engine)
    with engine.connect() as connection:
        zones = connection.exec_driver_sql("SELECT array_to_string(zones, ' ') FROM lead ORDER BY id")
        assert zones.scalars().all() == [
            "America/Los_Angeles America/New_York",
            "America/Chicago America/Denver",
            "America/Denver America/Los_Angeles",
            "Asia/Shanghai",
        ]
        known = connection.exec_driver_sql("SELECT zone FROM campaign_zone ORDER BY zone")
        assert known.scalars().all() == [
            "America/Chicago", "America/Denver", "America/Los_Angeles", "America/New_York",
        ]  # fmt: skip
    engine.dispose()
