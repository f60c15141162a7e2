"""Texts in parts and back: nothing is lost between, and no part is longer than a short message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.sms import BASIC, DEFAULT, ESCAPED, MOST_PARTS, UCS_2, parts_of, receipt_of, text_of

GSM = st.text(st.sampled_from([c for c in BASIC if c != "\x1b"] + list(ESCAPED)), max_size=1_000)
ANY = st.text(st.characters(codec="utf-16"), max_size=1_000)


@given(st.one_of(GSM, ANY), st.integers(0, 255))
def test_a_text_is_put_together_again(text: str, reference: int) -> None:
    parts = parts_of(text, reference)
    assert "".join(text_of(p.octets, p.data_coding, p.esm_class) for p in parts) == text
    headers = [p.octets[:6] for p in parts] if len(parts) > 1 else []
    assert headers == [bytes([5, 0, 3, reference, len(parts), n]) for n in range(1, len(headers) + 1)]
    # 140 octets, in which the default alphabet is packed to seven bits; the header of six is seven septets
    for part in parts:
        body = len(part.octets) - 6 * (len(parts) > 1)
        room = 140 - 6 * (len(parts) > 1)
        assert body <= (room * 8 // 7 if part.data_coding == DEFAULT else room)


def test_as_few_parts_as_it_takes() -> None:
    for text, count, coding in (
        ("a" * 160, 1, DEFAULT), ("a" * 161, 2, DEFAULT), ("€" * 80, 1, DEFAULT), ("€" * 81, 2, DEFAULT),
        ("a" * 306, 2, DEFAULT), ("你" * 70, 1, UCS_2), ("你" * 71, 2, UCS_2), ("😀" * 35, 1, UCS_2),
        ("😀" * 36, 2, UCS_2), ("你" * 134, 2, UCS_2), ("你" * 135, 3, UCS_2), ("", 1, DEFAULT),
    ):  # fmt: skip
        parts = parts_of(text, 1)
        assert (len(parts), parts[0].data_coding) == (count, coding), text[:3]


def test_what_takes_more_parts_than_there_may_be_is_refused() -> None:
    with pytest.raises(ValueError, match="256 parts"):
        parts_of("你" * (67 * MOST_PARTS + 1), 1)


@given(st.binary(max_size=200), st.integers(0, 255), st.integers(0, 255))
def test_whatever_comes_back_is_read(octets: bytes, coding: int, kind: int) -> None:
    assert isinstance(text_of(octets, coding, kind), str)
    receipt_of(octets, "", None)


@pytest.mark.parametrize(
    ("octets", "whose", "state", "found"),
    [
        (b"id:m7 sub:001 dlvrd:001 stat:DELIVRD err:000 text:x", "", None, ("m7", True, "DELIVRD err:000")),
        (b"id:m7 stat:UNDELIV err:027", "", None, ("m7", False, "UNDELIV err:027")),
        (b"id:m7 stat:ENROUTE err:000", "", None, None),
        (b"", "m7", 2, ("m7", True, "DELIVRD")),
        (b"", "m7", 8, ("m7", False, "REJECTD")),
        (b"", "m7", 1, None),
        (b"stat:DELIVRD", "", None, None),
        (
            b"id:other stat:EXPIRED",
            "m7",
            2,
            ("m7", True, "DELIVRD"),
        ),  # the parameters, not the text, are the standard
    ],
)
def test_receipts(octets: bytes, whose: str, state: int | None, found: object) -> None:
    assert receipt_of(octets, whose, state) == found
