"""What stands in a number's cell, as a careful clerk reads it: E.164, or the reason why it can't be dialed.

`phonenumbers` decides. Two shapes that make up most lists skip it: they are taken only where the library's own pattern
of the country's numbers says yes, and everything else goes to the library (tests compare the two).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers
from phonenumbers import timezone as number_zones

from campaigns.config import CampaignsError, known_zone

UNKNOWN_ZONE = "Etc/Unknown"  # what the library says when it does not know
MAX_CELL = 32_767  # characters, a spreadsheet's own limit; a longer one is no cell of a list
LONGEST_NUMBER = 400  # characters of a cell that are looked at for numbers
MOST_DIGITS = 15  # E.164; also what a spreadsheet's number keeps
MOST_NUMBERS = 8  # of one lead

INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
FORCED_TEXT = re.compile(r'="(.*)"', re.DOTALL)  # what a spreadsheet is told to keep as text
GUARD = re.compile(r"'(?=[0-9+=@\-\t(（]|[\u3400-\u9fff])")  # an apostrophe that says: this is text
FLOAT = re.compile(r"([+-]?\d+)\.0+")
SCIENTIFIC = re.compile(r"\+?(\d)(?:\.(\d+))?[eE]\+?0*(\d{1,2})")
THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.0+)?")
SEPARATORS = re.compile(r"[/\\、;；,，|\n\r]|\s(?:或|or|and|和)\s|或|(?<=\d)\s*(?=\+)")
GAP = re.compile(r"[\s\-]+")
DIGIT = re.compile(r"\d")
EXTENSION = re.compile(r"转|轉|分机|分機|(?<![a-z])(?:ext|extn|extension|x)[.:]?\s*\d|#", re.IGNORECASE)
MASKED = re.compile(r"\d\s*[*＊●•xX]{2,}|[*＊●•xX]{2,}\s*\d")
LOCAL = re.compile(r"[\d\s\-]+")
# Telephone keys bear letters, so a library makes 138OO138OOO another customer's number.
LETTERS = re.compile(r"\d[a-z]", re.IGNORECASE)
# What a switchboard, or a shop that hides its customers' numbers, has after a hyphen.
APART = re.compile(r"\d{7,}\s*-\s*\d{1,5}")
DEAD = re.compile(
    r"停机|空号|销号|错号|勿打|勿扰|别打|不要打|不要再打|拒接|拒访|do ?n[o']t call|not in service|disconnected"
    r"|wrong number",
    re.IGNORECASE,
)
# Prefixes of the calling network, which are dialed before a whole number: IP calls, and China Mobile's second numbers.
CARRIER = re.compile(r"(?:179\d\d|125(?:30|31|83|93))[\s\-]*(?=0\d|(?:86)?1[3-9]\d[\d\s\-]{8,}$)")
NO_NUMBER = frozenset(
    ("", "-", "--", "/", "\\", "无", "無", "暂无", "没有", "空", "同上", "不详", "未知", "0", "none", "null", "n/a")
)  # fmt: skip


class NoSuchCountry(CampaignsError):
    """The country or the area code can't be used. The text says why."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A cell that gave no number, and why."""

    reason: str


def clean(cell: str) -> str:
    """A cell's text without what spreadsheets and phones put around it: marks that can't be seen, `'`, `=\"…\"`."""
    if not cell.isprintable():
        cell = INVISIBLE.sub("", cell)
    cell = cell.strip()
    if cell[:1] == "=" and (forced := FORCED_TEXT.fullmatch(cell)):
        cell = forced[1].strip()
    if cell[:1] == "'" and GUARD.match(cell):
        cell = cell[1:].removesuffix("'").strip()
    return cell


def clean_name(cell: str) -> str:
    """A name in one line, each run of white space one space."""
    return " ".join(clean(cell).split())


class NumberReader:
    """Reads numbers of one country. `area_code` stands before local numbers that have none."""

    def __init__(self, country: str = "CN", area_code: str = "") -> None:
        if country not in phonenumbers.SUPPORTED_REGIONS:
            raise NoSuchCountry(
                f"{country!r} is no region known to have telephone numbers (ISO 3166, as in CN)"
            )
        self.country = country
        self.area_code = _area_code(country, area_code)
        self._zones: dict[str, tuple[str, ...]] = {}
        self._seen: dict[str, str | Unread] = {}
        metadata = phonenumbers.PhoneMetadata.metadata_for_region("CN") if country == "CN" else None
        mobile = metadata.mobile.national_number_pattern if metadata and metadata.mobile else None
        self._chinese_mobile = re.compile(mobile).fullmatch if mobile else _no_match

    def read(self, cell: str) -> tuple[tuple[str, ...], str]:
        """The numbers of a cell in E.164, and why what else stands there is none; both empty for an empty cell."""
        if len(cell) == 11 and cell.isascii() and self._chinese_mobile(cell):
            return ("+86" + cell,), ""
        if len(cell) == 14 and cell.startswith("+86") and cell.isascii() and self._chinese_mobile(cell[3:]):
            return (cell,), ""
        return self._odd(cell)

    def zones(self, e164: str) -> tuple[str, ...]:
        """The zones that the number's owner may be in; empty when the number names none."""
        prefix = e164[:10]  # the library's longest prefix has nine digits
        found = self._zones.get(prefix)
        if found is None:
            number = phonenumbers.parse(e164)
            named = number_zones.time_zones_for_number(number)
            found = tuple(zone for zone in named if zone != UNKNOWN_ZONE and known_zone(zone))
            if len(self._zones) > 100_000:
                self._zones.clear()
            self._zones[prefix] = found
        return found

    # --- within -----------------------------------------------------------------------------------------------

    def _odd(self, cell: str) -> tuple[tuple[str, ...], str]:
        text = clean(unicodedata.normalize("NFKC", cell).replace("·", ".") if not cell.isascii() else cell)
        if text.casefold() in NO_NUMBER:
            return (), ""
        if len(text) > LONGEST_NUMBER:
            return (), f"is {len(text):,} characters long, no telephone number"
        pieces = [piece.strip() for piece in SEPARATORS.split(text) if DIGIT.search(piece)]
        if len(pieces) > 1 and not THOUSANDS.fullmatch(text):
            return self._several(pieces[:MOST_NUMBERS])
        found = self._one(text)
        if isinstance(found, str):
            return (found,), ""
        pieces = GAP.split(text)
        if len(pieces) > 1 and all(sum(map(str.isdigit, piece)) >= 7 for piece in pieces):
            return self._several(pieces[:MOST_NUMBERS])
        return (), found.reason

    def _several(self, pieces: list[str]) -> tuple[tuple[str, ...], str]:
        found = [self._one(piece) for piece in pieces]
        numbers = tuple(dict.fromkeys(each for each in found if isinstance(each, str)))
        reasons = [each.reason for each in found if isinstance(each, Unread)]
        return numbers, reasons[0] if reasons else ""

    def _one(self, text: str) -> str | Unread:
        kept = self._seen.get(text)
        if kept is None:
            kept = self._read_one(text)
            if len(self._seen) > 10_000:
                self._seen.clear()
            self._seen[text] = kept
        return kept

    def _read_one(self, text: str) -> str | Unread:
        if whole := FLOAT.fullmatch(text):
            text = whole[1]
        elif scientific := SCIENTIFIC.fullmatch(text):
            first, rest, power = scientific[1], scientific[2] or "", int(scientific[3])
            if len(rest.rstrip("0")) > power or len(rest) < power:
                return Unread("has lost its last digits in a spreadsheet; the number must be a text there")
            text = first + rest[:power]
        elif THOUSANDS.fullmatch(text):
            text = text.partition(".")[0].replace(",", "")
        digits = sum(map(str.isdigit, text))
        if not digits:
            return Unread("is no telephone number")
        if MASKED.search(text):
            return Unread("is masked: digits are missing")
        if EXTENSION.search(text):
            return Unread("has an extension, which can't be dialed")
        if LETTERS.search(text):
            return Unread("has letters among its digits")
        if DEAD.search(text):
            return Unread("is not to be called, as it says itself")
        if self.country == "CN" and (prefix := CARRIER.match(text)):
            text = text[prefix.end() :]
        if self.area_code and LOCAL.fullmatch(text) and self._is_local(text, digits):
            return self._parsed(self.area_code + text)
        return self._parsed(text)

    def _parsed(self, text: str) -> str | Unread:
        try:
            number = phonenumbers.parse(text, self.country)
        except phonenumbers.NumberParseException:
            within = list(phonenumbers.PhoneNumberMatcher(text, self.country))
            if len(within) != 1 or DIGIT.search(text.replace(within[0].raw_string, "", 1)):
                return Unread("is no telephone number")
            number = within[0].number
        if number.extension:
            return Unread("has an extension, which can't be dialed")
        if not phonenumbers.is_valid_number(number):
            digits = sum(map(str.isdigit, text))
            if not self.area_code and LOCAL.fullmatch(text) and self._is_local(text, digits):
                return Unread("is a local number without its area code")
            if APART.fullmatch(text.replace("-", "", text.count("-") - 1)):
                return Unread("has an extension, which can't be dialed")
            if digits > MOST_DIGITS:
                return Unread(f"has {digits} digits, a number has at most {MOST_DIGITS}")
            return Unread("is no number that can be dialed")
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

    def _is_local(self, text: str, digits: int) -> bool:
        if self.country == "CN":
            return digits in (7, 8) and text.lstrip()[0] in "2345678"
        return 5 <= digits <= 8 and not text.lstrip().startswith("0")


def _area_code(country: str, given: str) -> str:
    """The area code as it is dialed within the country, such as 023; empty when none is given."""
    digits = given.strip()
    if not digits:
        return ""
    if not digits.isascii() or not digits.isdigit() or len(digits) > 6:
        raise NoSuchCountry(f"{given!r} is no area code: digits only, as in 023")
    prefix = phonenumbers.ndd_prefix_for_region(country, True) or ""
    return digits if not prefix or digits.startswith(prefix) else prefix + digits


def _no_match(text: str) -> None:
    return None
