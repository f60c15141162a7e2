"""The short way to a number is the library's own answer, and no text whatever brings the readers down."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import phonenumbers
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.lists import sources
from campaigns.lists.normalising import NumberReader
from campaigns.lists.reading import read
from campaigns.lists.rows import Row, maker

READER = NumberReader("CN")
TAIL = "123456"
COMMON = st.one_of(
    st.from_regex(r"1[0-9]{10}", fullmatch=True),
    st.from_regex(r"\+861[0-9]{10}", fullmatch=True),
    st.from_regex(r"(0|86|0086|\+86)?[1-9][0-9]{8,10}", fullmatch=True),
)


def by_library(text: str) -> tuple[str, ...]:
    try:
        number = phonenumbers.parse(text, "CN")
    except phonenumbers.NumberParseException:
        return ()
    if number.extension or not phonenumbers.is_valid_number(number):
        return ()
    return (phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),)


@settings(max_examples=1_000, deadline=None)
@given(COMMON)
def test_what_skips_the_library_is_what_it_says(text: str) -> None:
    assert READER.read(text)[0] == by_library(text)


def test_every_beginning_of_a_chinese_mobile_number_is_what_the_library_says() -> None:
    for head in range(10_000, 20_000):
        assert READER.read(f"{head}{TAIL}")[0] == by_library(f"{head}{TAIL}")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["utf-8", "gb18030", "utf-16"]))
def test_no_text_whatever_brings_the_readers_down(text: str, encoding: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "list.csv"
        path.write_bytes(("电话,姓名\n" + text).encode(encoding, "ignore"))
        with sources.opened(str(path)) as source:
            table = read(source, {})
            make = maker(table.columns, READER, "Asia/Shanghai")
            for row, cells, fault in table.records:
                made = fault or make(row, cells)
                if isinstance(made, Row):
                    assert made.zones and all(number.startswith("+") for number in made.numbers)
