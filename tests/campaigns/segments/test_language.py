"""What a segment's text says: what is understood, what is refused and where, and whom it fits."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from campaigns.ids import new_call_id
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.records import AttemptConnected, AttemptEnded, CalledIn, Dispositioned
from campaigns.segments.language import Attribute, Both, Count, Empty, Not, OneOf, SegmentError, lines, parse
from campaigns.segments.store import SegmentStore
from tests.campaigns.world import NOON, Campaign

ROOT = text("SELECT id FROM unit WHERE parent_id IS NULL")


def test_or_binds_less_than_and_and_not_most() -> None:
    assert parse('not a = 1 and b is empty or "c" in (1)'.replace('"c"', "`c d`")) == Both(
        "or",
        (
            Both("and", (Not(Attribute("a", "=", Decimal(1))), Empty("b"))),
            OneOf("c d", (Decimal(1),)),
        ),
    )
    assert parse("calls < 3 within 30 days") == Count("calls", "<", Decimal(3), 30)
    assert parse("  \n") is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("city =", "at character 7: a text in double quotes was expected, and there is the end"),
        ("city = 兰州", "at character 8: a text in double quotes was expected"),
        ('city = "a" plan = 1', "at character 12: 'and', 'or' or the end"),
        ("calls > 1 within 0 days", "at character 18: whole days from 1"),
        ("(a = 1", "')' was expected"),
        ("a ; b", "at character 3: ';' is not understood"),
        ("born > 2026-02-30", "a date was expected"),
        ("and = 1", "a condition was expected"),
        ("(" * 60 + "a = 1" + ")" * 60, "parentheses"),
        ("not " * 60 + "a = 1", "parentheses"),
        (" and ".join(["a = 1"] * 201), "more than 200 conditions"),
        ("a" * 10_001, "at most 10,000 characters"),
        ("a = 1234567890123456789", "at most 18 digits"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(words: str, told: str) -> None:
    with pytest.raises(SegmentError, match=told.replace("(", r"\(").replace(")", r"\)")):
        parse(words)


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ('city in ("a", "b")', ("a", "b")),
        ('city in ("a, b", "c")', None),
        ('city in ("a、b", "c")', None),
        ('city = "a, b"', ("a, b",)),
        ('city = " a"', None),
        ("spend > 0.0000001", ("0.0000001",)),
    ],
)
def test_a_form_shows_what_it_can_give_back_alone(words: str, values: tuple[str, ...] | None) -> None:
    shown = lines(parse(words))
    assert (shown and shown[1][0].values) == values


@given(st.text(max_size=60))
def test_whatever_is_typed_is_a_segment_or_is_refused(words: str) -> None:
    with suppress(SegmentError):
        parse(words)


PEOPLE: list[dict[str, Any]] = [
    {"city": "兰州", "spend": "59.5", "since": "2024-05-01", "plan": "5G 畅享"},
    {"city": "天水", "spend": 120, "since": "2026-01-31", "plan": "4G"},
    {"city": "", "spend": "a lot", "since": "x", "plan": 'say "5G"\\ \'; DROP TABLE lead; --%s :v0'},
    {"spend": -1, "plan": ""},
]


@pytest.fixture(scope="module")
def floor() -> Any:
    """Four customers on one list, who are alike in nothing."""
    from campaigns import database
    from tests.database import fresh_url

    engine = database.connect(fresh_url())
    campaign = Campaign(engine, leads=0)
    rows = [
        Row(n, (f"+861390000000{n}",), f"c{n}", each, ("Asia/Shanghai",), customer_id=f"C{n}", region="CN-62")
        for n, each in enumerate(PEOPLE)
    ]
    store_rows(engine, campaign.id, "vip", "test", NOON, rows)
    yield engine, campaign
    engine.dispose()


def fits(engine: Engine, words: str) -> int | None:
    with engine.connect() as connection:
        root = connection.execute(ROOT).scalar_one()
    found = SegmentStore(engine).count(words, root, NOON)
    assert not found.about
    return found.customers


@pytest.mark.parametrize(
    ("words", "customers"),
    [
        ("", 4),
        ('city = "兰州"', 1),
        ('city != "兰州"', 2),
        ('not city = "兰州"', 3),
        ("city is empty", 2),
        ("city is not empty and spend > 59.4 and spend <= 120", 2),
        ("spend < 0", 1),
        ("since < 2026-01-31", 1),
        ("since > 2024-01-01", 2),
        ("since != 2024-05-01", 1),
        ("city < 2024-01-01", 0),
        ('city in ("兰州", "天水", "a")', 2),
        ('plan contains "G"', 3),
        ('plan begins "5G"', 1),
        ('`plan` = "say \\"5G\\"\\\\ \'; DROP TABLE lead; --%s :v0"', 1),
        ("`no such` = 1", 0),
        ('list = "vip" and campaign begins "spr" and region = "CN-62"', 4),
        ('list != "vip"', 0),
        ("calls = 0 within 30 days", 4),
        ("orders >= 1 or revenue > 0 within 10 days", 0),
    ],
)
def test_whom_it_fits(floor: Any, words: str, customers: int) -> None:
    assert fits(floor[0], words) == customers


SIGNS = {"=": "__eq__", "!=": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}
CONDITIONS = st.one_of(
    st.tuples(st.just("spend"), st.sampled_from(sorted(SIGNS)), st.integers(-2, 121)),
    st.tuples(st.just("city"), st.sampled_from(["=", "!="]), st.sampled_from(["兰州", "天水", ""])),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CONDITIONS, min_size=1, max_size=4), st.sampled_from(["and", "or"]), st.booleans())
def test_the_database_and_a_careful_reader_agree(
    floor: Any, conditions: list[tuple[str, str, Any]], word: str, denied: bool
) -> None:
    def one(person: dict[str, Any], name: str, sign: str, value: Any) -> bool:
        there = person.get(name)
        if isinstance(value, int):
            try:
                there = float(there)  # type: ignore[arg-type]
            except (TypeError, ValueError):
                return False
        return there is not None and bool(getattr(there, SIGNS[sign])(value))

    spelled = f" {word} ".join(
        f"{name} {sign} " + (f'"{value}"' if isinstance(value, str) else str(value))
        for name, sign, value in conditions
    )
    wanted = sum(
        (all if word == "and" else any)(one(person, *each) for each in conditions) != denied
        for person in PEOPLE
    )
    assert fits(floor[0], f"not ({spelled})" if denied else spelled) == wanted


def test_what_happened_to_a_customer_counts_over_all_their_lists(db: Engine) -> None:
    first, second = Campaign(db, leads=0, name="first"), Campaign(db, leads=0, name="second")
    for n, campaign in enumerate((first, second)):
        rows = [Row(1, (f"+861390000000{n}",), "张", {"age": n}, ("Asia/Shanghai",), customer_id="C1")]
        store_rows(db, campaign.id, f"list-{n}", "test", NOON, rows)
    [lead] = first.lease()
    assert first.dial([lead])
    first.record(
        AttemptConnected(at=NOON, call_id=lead.call_id, user_id=7),
        AttemptEnded(at=NOON, call_id=lead.call_id, outcome="connected", final=True),
        Dispositioned(
            at=NOON,
            call_id=lead.call_id,
            user_id=7,
            code="interested",
            answers='{"owns_car":"yes"}',
            final=True,
        ),
    )
    with db.begin() as connection:
        root = connection.execute(ROOT).scalar_one()
        connection.execute(
            text(
                "INSERT INTO purchase (unit_id, customer_id, at, amount, reference) "
                "VALUES (:unit, 'C1', :at, 99.5, 'A1'), (:unit, 'C2', :at, 10, 'A2')"
            ),
            {"unit": root, "at": NOON - timedelta(days=5)},
        )
    for words, customers in (
        ("age = 1", 1),
        ("age = 0", 0),  # the newest lead says what they are like
        ("calls = 1 within 1 days and connects = 1", 1),
        ("calls = 0", 0),
        ('result = "interested" within 2 days and answer "owns_car" = "yes"', 1),
        ('result = "sold" or answer "owns_car" = "no"', 0),
        ("orders = 1 and revenue >= 99.5 within 6 days", 1),
        ("revenue = 0 within 4 days", 1),
        ('list = "list-0" and campaign = "second"', 1),
    ):
        assert fits(db, words) == customers, words


def test_who_called_in_was_not_called(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    call = CalledIn(
        at=NOON, call_id=new_call_id(NOON), campaign_id=campaign.id, number="+8613800000000", channel="1764.1",
        switch="main", owner="engine-1",
    )  # fmt: skip
    campaign.record(
        call,
        AttemptConnected(at=NOON, call_id=call.call_id, user_id=7),
        AttemptEnded(at=NOON, call_id=call.call_id, outcome="connected", talk_s=60.0, user_id=7),
    )
    assert fits(db, "calls = 0 within 2 days and connects = 1") == 1
