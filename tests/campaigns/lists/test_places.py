"""Which part of a country an address is in: by its province, by its city alone, and not by what only looks like one."""

from __future__ import annotations

import pytest
from phonenumbers.geodata import GEOCODE_DATA

from campaigns.lists.cities import PROVINCE_OF
from campaigns.lists.places import CHINA, region_of

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
