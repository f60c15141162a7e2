"""Numbers and patterns of numbers as people write them: one number, all that begin so, or a range of them."""

from __future__ import annotations

import re
from functools import cache

import phonenumbers

from campaigns.config import CampaignsError
from campaigns.lists.normalising import NoSuchCountry, NumberReader, clean

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
DIGITS = re.compile(r"[0-9]+")
SHORT = re.compile(r"[0-9]{3,6}")
PREFIX = re.compile(r"\+[1-9][0-9]{1,13}")
# How most numbers of a large file are written, for regions in which digits alone tell that they are one: libphonenumber
# takes 24 µs for what this takes one.
PLAIN = {
    "CN": (re.compile(r"1[3-9][0-9]{9}"), "+86"),
    "US": (re.compile(r"[2-9][0-9]{2}[2-9][0-9]{6}"), "+1"),
}

_reader = cache(NumberReader)


class NotANumber(CampaignsError):
    """What was given is no telephone number and no pattern of numbers. The text says what it was."""


def number_of(text: str, region: str = "CN") -> str:
    """The number, in E.164, that a person or a file means by a text. Raises :class:`NotANumber`.

    `region` (ISO 3166) reads national ones, as lists are read (:class:`NumberReader`): what a list refuses is refused.
    Beyond that, a number may be short, such as 10086; and one in full, with its +, need not be in use.
    """
    text = clean(text)
    plain = PLAIN.get(region)
    if plain is not None:
        digits = text.removeprefix(plain[1])
        if plain[0].fullmatch(digits):
            return plain[1] + digits
    full = "".join(text.split())
    if E164.fullmatch(full) or _is_short(text, region):
        return number_told(full, region)
    try:
        found, why = _reader(region).read(text)
    except NoSuchCountry as fault:
        raise NotANumber(f"{text!r} can't be read: {fault}") from fault
    if len(found) == 1 and not why:
        return found[0]
    raise NotANumber(f"{text!r} {why or ('holds several numbers' if found else 'is no telephone number')}")


def number_told(text: str, region: str) -> str:
    """The number, in E.164, that a network tells, whether or not one can be called back there.

    `region` (ISO 3166) reads national ones, also short ones and such as are local to it. Raises :class:`NotANumber`.

    One number has one form: +44 020… is written as +44 20…, or it would be another one to every list and cap.
    """
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as fault:
        if E164.fullmatch(text):  # of no country that is known
            return text
        raise NotANumber(f"{text!r} is no telephone number: {fault}") from fault
    if phonenumbers.is_possible_number(number):
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if E164.fullmatch(text):
        return text
    raise NotANumber(f"{text!r} is no telephone number of {region} and no E.164")


def country_of(number: str) -> str:
    """Where numbers are written as this one in E.164 is (ISO 3166); ZZ where that is not known."""
    try:
        return phonenumbers.region_code_for_country_code(phonenumbers.parse(number).country_code or 0)
    except phonenumbers.NumberParseException:
        return phonenumbers.UNKNOWN_REGION


def patterns_of(text: str, region: str = "CN") -> tuple[tuple[str, ...], bool]:
    """The number in E.164, or the prefixes, that a pattern stands for, and whether they are prefixes.

    `+86138*` is all that begin so; `+8613800130000-+8613800139999` is a range, which a few prefixes make up: for a
    list of numbers not to call it does no harm that longer numbers fall under them as well. Raises :class:`NotANumber`.
    """
    text = clean(text)
    if text.endswith("*"):
        prefix = text[:-1].replace(" ", "")
        if not PREFIX.fullmatch(prefix):
            raise NotANumber(f"{text!r}: a prefix is + and at least two digits, as in +86138*")
        return (prefix,), True
    low, dash, high = text.partition("-+")
    if dash:
        ends = [end if E164.fullmatch(end) else number_of(end, region) for end in (low, "+" + high)]
        return _prefixes_between(ends[0], ends[1], text), True
    return (number_of(text, region),), False


# --- within ---------------------------------------------------------------------------------------------------


def _is_short(text: str, region: str) -> bool:
    if not SHORT.fullmatch(text) or region not in phonenumbers.SUPPORTED_REGIONS:
        return False
    return phonenumbers.is_valid_short_number_for_region(phonenumbers.parse(text, region), region)


def _prefixes_between(low: str, high: str, text: str) -> tuple[str, ...]:
    """The fewest prefixes that hold all numbers from `low` to `high`, of one length."""
    if len(low) != len(high) or low > high:
        raise NotANumber(f"{text!r}: a range has two numbers of one length, the lower one first")
    found, at, last, length = [], int(low[1:]), int(high[1:]), len(low) - 1
    while at <= last:
        size = 1
        while at % (size * 10) == 0 and at + size * 10 - 1 <= last:
            size *= 10
        digits = str(at)[: length - len(str(size)) + 1]
        if len(digits) < 2:
            raise NotANumber(f"{text!r}: is nearly all the numbers there are")
        found.append("+" + digits)
        at += size
    return tuple(found)
