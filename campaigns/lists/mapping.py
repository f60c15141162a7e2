"""Which column is what: headers in English and Chinese, simplified or traditional, and what a person says of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from campaigns.config import CampaignsError

MAX_COLUMNS = 1_024
HEADER_WITHIN = 20  # rows: titles, dates and merged cells may stand above the header
REJECT_PREFIX = "rejected_"  # columns of our own reject file, which come back with the corrected rows

NUMBER_KINDS = ("mobile", "home", "work", "phone")
FIELDS = (
    *NUMBER_KINDS, "name", "family_name", "given_name", "customer_id", "zone", "address", "region", "attribute",
    "ignore",
)  # fmt: skip

SIMPLIFIED = str.maketrans(
    "電話號碼機動聯絡繫戶區時編稱備註單辦證類處標鄉鎮縣", "电话号码机动联络系户区时编称备注单办证类处标乡镇县"
)
IN_BRACKETS = re.compile(r"[(\[{<（【].*?[)\]}>）】]")
NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # a name of an attribute holds none of these
NO_LETTER = re.compile(r"[\s\W_]+")
_WHOSE = (
    r"(?:客户|用户|联络人?|联系人?|本人|机主|业主|主要?|备用?|其他|其它|常用|紧急|第[一二三四]|您的|customer|contact|client"
    r"|primary|secondary|alternate|alternative|other|main|second|first)*"
)
_CALL = r"(?:电话|电话号码|号码|电话号|phone|phonenumber|phoneno|tel|telno|telephone|telephonenumber|number)"
# What a header may be, once brackets, digits at its end, spaces and marks are gone. The first that fits holds.
KNOWN: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (field, re.compile(pattern))
    for field, pattern in (
        (
            "customer_id",
            r"(?:客户|用户|会员)(?:编号|编码|号|id|标识|代码)|编号|id|(?:customer|client|account|member|user)"
            r"(?:id|no|number|code|key)|账号|账户|帐号|account|externalid",
        ),
        ("zone", r"时区|timezone|zone|tz"),
        (
            "mobile",
            rf"{_WHOSE}(?:手机|手机号|手机号码|手机电话|移动电话|移动电话号码|移动号码|mobile|mobilephone|mobilenumber|mobileno"
            r"|mobilephonenumber|cell|cellphone|cellnumber|cellphonenumber|msisdn)",
        ),
        (
            "home",
            rf"{_WHOSE}(?:(?:家庭|住宅|家里|家中|宅|固定|座机|固话)(?:电话|电话号码|号码)?|座机号|固话号|home|landline|home{_CALL}"
            rf"|landline{_CALL}|fixedline)",
        ),
        (
            "work",
            rf"{_WHOSE}(?:(?:单位|办公|办公室|公司|工作)(?:电话|电话号码|号码)|work|office|business{_CALL}|work{_CALL}|office{_CALL}"
            rf"|company{_CALL})",
        ),
        ("phone", rf"{_WHOSE}(?:{_CALL}|联系方式|联络方式|被叫号码|被叫|外呼号码|业务号码|服务号码|e164)"),
        ("family_name", r"姓|姓氏|lastname|surname|familyname|last"),
        ("given_name", r"名|firstname|givenname|forename|first"),
        (
            "name",
            r"(?:客户|用户|机主|业主)?(?:姓名|名称|名字|称呼)|客户|联系人|联络人|联系人姓名|name|fullname|customer|customername"
            r"|client|clientname|contact|contactname|contactperson",
        ),
        (
            "address",
            r"(?:联系|联络|家庭|装机|通讯|通信|详细|居住|客户|住宅)?地址|住址|地址|(?:home|street|full|mailing)?address",
        ),
        ("region", r"地区|区域|省|省份|城市|省市|归属地|所在地|所属地区|region|province|state|city|area"),
    )
)  # fmt: skip


class NoMapping(CampaignsError):
    """The columns can't be told. The text says which there are and how to name them."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns by field, each the column's place counted from 0; `keys` names the attributes, in the file's order."""

    header: tuple[str, ...]
    numbers: tuple[tuple[int, str], ...]  # place and kind, in the order in which they are to be called
    name: int | None = None
    family_name: int | None = None
    given_name: int | None = None
    customer_id: int | None = None
    zone: int | None = None
    places: tuple[int, ...] = ()  # address and region
    keys: tuple[tuple[int, str], ...] = ()


def plain(header: str) -> str:
    """A header without case, width, script variant, spaces and marks: 'Phone No.' is 'phoneno'."""
    folded = unicodedata.normalize("NFKC", header).casefold().translate(SIMPLIFIED)
    return NO_LETTER.sub("", folded)


def field_of(header: str) -> str:
    """The field that a header names by itself, `attribute` when it names none."""
    folded = unicodedata.normalize("NFKC", header).casefold().translate(SIMPLIFIED)
    if folded.strip().startswith(REJECT_PREFIX):
        return "ignore"
    whole = NO_LETTER.sub("", folded)
    outside = NO_LETTER.sub("", IN_BRACKETS.sub("", folded))
    swapped = (
        NO_LETTER.sub("", "".join(IN_BRACKETS.findall(folded))) + outside
    )  # Phone (mobile), 电话（家庭）
    for each in (whole, swapped, outside):
        text = each.rstrip("0123456789")
        for field, pattern in KNOWN:
            if pattern.fullmatch(text):
                return field
    return "attribute"


def find_header(rows: Sequence[Sequence[str]], given: Mapping[str, str]) -> int | None:
    """The place among the first rows of the one that names most fields, a number's among them; None when none does."""
    said = check_given(given)
    best, most = None, 0
    for at, cells in enumerate(rows[:HEADER_WITHIN]):
        fields = [said.get(plain(cell)) or field_of(cell) for cell in cells if cell]
        known = sum(field not in ("attribute", "ignore") for field in fields)
        if known > most and any(field in NUMBER_KINDS for field in fields):
            best, most = at, known
    return best


def map_columns(header: Sequence[str], given: Mapping[str, str]) -> Columns:
    """Map a header; `given` (column to field) overrules what the headers say. Raises :class:`NoMapping`."""
    if len(header) > MAX_COLUMNS:
        raise NoMapping(f"{len(header)} columns, at most {MAX_COLUMNS} are taken")
    names = [" ".join(NO_TEXT.sub("", cell).split()) for cell in header]
    said = check_given(given)
    missing = [column for column in given if plain(column) not in {plain(name) for name in names}]
    if missing:
        raise NoMapping(f"there is no column {', '.join(map(repr, missing))}; there are {_listed(names)}")
    fields = [said.get(plain(name), field_of(name)) if name else "ignore" for name in names]
    if any(field in NUMBER_KINDS for field in said.values()):  # who names number columns names all of them
        fields = [
            field if field not in NUMBER_KINDS or plain(name) in said else "attribute"
            for field, name in zip(fields, names, strict=True)
        ]
    numbers = [(at, field) for at, field in enumerate(fields) if field in NUMBER_KINDS]
    if not numbers:
        raise NoMapping(
            f"no column holds the number; there are {_listed(names)}. Name it 电话 or phone, or say --map COLUMN=mobile"
        )

    def first(field: str) -> int | None:
        return fields.index(field) if field in fields else None

    single = {field: first(field) for field in ("name", "family_name", "given_name", "customer_id", "zone")}
    if single["name"] is not None:
        single["family_name"] = single["given_name"] = None
    elif single["family_name"] is None and single["given_name"] is not None:
        single["name"], single["given_name"] = single["given_name"], None
    taken = {at for field, at in single.items() if at is not None and field != "customer_id"}
    taken |= {at for at, _ in numbers}
    keys: list[tuple[int, str]] = []
    for at, (field, name) in enumerate(zip(fields, names, strict=True)):
        if at in taken or field == "ignore":
            continue
        known = {key for _, key in keys}
        keys.append((at, next(key for key in _numbered(name) if key not in known)))
    return Columns(
        header=tuple(names),
        numbers=tuple(numbers),
        places=tuple(at for at, field in enumerate(fields) if field in ("address", "region")),
        keys=tuple(keys),
        **single,
    )


def check_given(given: Mapping[str, str]) -> dict[str, str]:
    """What a person says of columns, by plain header. Raises :class:`NoMapping` for a field that is none."""
    for column, field in given.items():
        if field not in FIELDS:
            raise NoMapping(f"{column}={field}: {field!r} is none of {', '.join(FIELDS)}")
    return {plain(column): field for column, field in given.items()}


def _numbered(name: str):  # type: ignore[no-untyped-def]
    yield name
    number = 2
    while True:
        yield f"{name} {number}"
        number += 1


def _listed(names: Sequence[str]) -> str:
    shown = [name[:40] for name in names if name][:12]
    return (", ".join(map(repr, shown)) or "none") + (" …" if len(names) > 12 else "")
