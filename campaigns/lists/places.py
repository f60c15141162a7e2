"""Which part of a country an address is in (ISO 3166-2), and which zones its people may live by."""

from __future__ import annotations

import re

from campaigns.lists.cities import province_of

ISO_3166_2 = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")
# GB/T 2260, as ISO 3166-2:CN has them.
CHINA = {
    "北京": "BJ", "天津": "TJ", "河北": "HE", "山西": "SX", "内蒙古": "NM", "辽宁": "LN", "吉林": "JL", "黑龙江": "HL",
    "上海": "SH", "江苏": "JS", "浙江": "ZJ", "安徽": "AH", "福建": "FJ", "江西": "JX", "山东": "SD", "河南": "HA",
    "湖北": "HB", "湖南": "HN", "广东": "GD", "广西": "GX", "海南": "HI", "重庆": "CQ", "四川": "SC", "贵州": "GZ",
    "云南": "YN", "西藏": "XZ", "陕西": "SN", "甘肃": "GS", "青海": "QH", "宁夏": "NX", "新疆": "XJ",
}  # fmt: skip
# 四川北路 is a street, and in Shanghai.
STREET = re.compile(r"\w{2,3}?[东西南北中]?[一二三四五六七八九十]?(?:路|大?街|大道)")
# The zones that people of a region live by, most of them by the first: a call must be lawful by all. In Xinjiang the
# clocks on the wall and those people live by may differ; a state of the United States may lie in two zones (49 CFR part
# 71), and in Arizona the Navajo Nation sets its clocks. The states are from general knowledge, and were not read: check
# them.
_EASTERN, _CENTRAL, _MOUNTAIN = "America/New_York", "America/Chicago", "America/Denver"
_BOISE, _PACIFIC = "America/Boise", "America/Los_Angeles"
_STATES: dict[tuple[str, ...], str] = {
    (_EASTERN,): "CT DC DE GA MA MD ME NC NH NJ NY OH PA RI SC VA VT WV",
    (_EASTERN, _CENTRAL): "FL IN KY MI",
    (_CENTRAL,): "AL AR IA IL LA MN MO MS OK WI",
    (_CENTRAL, _EASTERN): "TN",
    (_CENTRAL, _MOUNTAIN): "KS ND NE SD TX",
    (_MOUNTAIN,): "CO MT NM UT WY",
    ("America/Phoenix", _MOUNTAIN): "AZ",
    (_BOISE, _PACIFIC): "ID",
    (_PACIFIC, _BOISE): "NV OR",
    (_PACIFIC,): "CA WA",
    ("America/Anchorage", "America/Adak"): "AK",
    ("Pacific/Honolulu",): "HI",
    ("America/Puerto_Rico",): "PR VI",
    ("Pacific/Guam",): "GU MP",
    ("Pacific/Pago_Pago",): "AS",
}
ZONES: dict[str, tuple[str, ...]] = {
    f"US-{state}": zones for zones, states in _STATES.items() for state in states.split()
}
ZONES["CN-XJ"] = ("Asia/Shanghai", "Asia/Urumqi")


def region_of(place: str, country: str) -> str:
    """The region that an address or the name of a region or of a city begins with, empty when that can't be told."""
    text = place.strip()
    if ISO_3166_2.fullmatch(text):
        return text
    if country == "CN":
        text = text.removeprefix("中国").lstrip()
        code = province_of(text)
        for length in (2, 3) if not code and not STREET.match(text) else ():
            code = code or CHINA.get(text[:length], "")
        return f"CN-{code}" if code else ""
    if country == "US" and re.fullmatch(r"[A-Z]{2}", text):
        return f"US-{text}"
    return ""
