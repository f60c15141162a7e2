"""Which part of a country an address is in (ISO 3166-2), and which zones its people may live by."""

from __future__ import annotations

import re

ISO_3166_2 = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")
# GB/T 2260, as ISO 3166-2:CN has them.
CHINA = {
    "北京": "BJ", "天津": "TJ", "河北": "HE", "山西": "SX", "内蒙古": "NM", "辽宁": "LN", "吉林": "JL", "黑龙江": "HL",
    "上海": "SH", "江苏": "JS", "浙江": "ZJ", "安徽": "AH", "福建": "FJ", "江西": "JX", "山东": "SD", "河南": "HA",
    "湖北": "HB", "湖南": "HN", "广东": "GD", "广西": "GX", "海南": "HI", "重庆": "CQ", "四川": "SC", "贵州": "GZ",
    "云南": "YN", "西藏": "XZ", "陕西": "SN", "甘肃": "GS", "青海": "QH", "宁夏": "NX", "新疆": "XJ",
}  # fmt: skip
# Where the clocks on the wall and those people live by may differ: a call must be lawful by both.
ZONES = {"CN-XJ": ("Asia/Shanghai", "Asia/Urumqi")}


def region_of(place: str, country: str) -> str:
    """The region that an address or the name of a region begins with, empty when that can't be told."""
    text = place.strip()
    if ISO_3166_2.fullmatch(text):
        return text
    if country == "CN":
        text = text.removeprefix("中国").lstrip()
        code = CHINA.get(text[:2]) or CHINA.get(text[:3])
        return f"CN-{code}" if code else ""
    if country == "US" and re.fullmatch(r"[A-Z]{2}", text):
        return f"US-{text}"
    return ""
