"""May this lead be called now? Whatever the facts, no permit breaks a rule, and every refusal says why."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.config import WEEKDAYS, CampaignConfig, Rules, Window
from campaigns.rules import Facts, may_call, next_open
from campaigns.values import Permit, Refusal, RefusalReason
from tests.campaigns.world import NOON, later

ZONES = (
    "Asia/Shanghai",
    "Asia/Urumqi",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Europe/London",
)
INSTANTS = st.datetimes(
    datetime(2024, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2028, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
WINDOWS = st.dictionaries(
    st.sampled_from(WEEKDAYS),
    st.tuples(st.times(), st.times())
    .filter(lambda t: t[0] < t[1])
    .map(lambda t: Window(start=t[0], end=t[1])),
)
CONFIGS = st.builds(
    CampaignConfig,
    name=st.just("x"),
    switch=st.just("main"),
    running=st.booleans(),
    rules=st.builds(Rules, windows=WINDOWS, attempts=st.integers(1, 5)),
)
FACTS = st.builds(
    Facts,
    call_id=st.just("0" * 32),
    zones=st.lists(st.sampled_from(ZONES), max_size=3).map(tuple),
    attempts=st.integers(0, 6),
    next_at=st.none() | INSTANTS,
    locked_until=st.none() | INSTANTS,
    on_dnc=st.booleans(),
    leased=st.booleans(),
    open=st.booleans(),
)


def inside(config: CampaignConfig, zone: str, now: datetime) -> bool:
    """The window, said another way than the rules say it."""
    local = now.astimezone(ZoneInfo(zone))
    window = config.rules.windows.get(WEEKDAYS[local.isoweekday() - 1])
    return window is not None and window.start <= local.time() and not local.time() >= window.end


@given(facts=FACTS, config=CONFIGS, now=INSTANTS)
def test_no_permit_breaks_a_rule(facts: Facts, config: CampaignConfig, now: datetime) -> None:
    answer = may_call(facts, config, now)
    if isinstance(answer, Permit):
        assert config.running and facts.open and facts.leased and not facts.on_dnc
        assert facts.attempts < config.rules.attempts
        assert facts.next_at is None or facts.next_at <= now
        assert facts.locked_until is None or facts.locked_until <= now
        assert facts.zones and all(inside(config, zone, now) for zone in facts.zones)
    else:
        assert answer.detail
        assert answer.until is None or answer.until > now or answer.until == now


@given(facts=FACTS, config=CONFIGS, now=INSTANTS)
def test_a_lead_held_back_by_the_window_is_told_when_it_opens(
    facts: Facts, config: CampaignConfig, now: datetime
) -> None:
    answer = may_call(facts, config, now)
    if isinstance(answer, Refusal) and answer.reason is RefusalReason.WINDOW and answer.until is not None:
        assert answer.until > now
        assert all(inside(config, zone, answer.until) for zone in facts.zones)


@pytest.mark.parametrize(
    ("hours", "open_"),
    [(-3, True), (-3.01, False), (7.99, True), (8, False)],
    ids=["9:00", "8:59", "19:59", "20:00"],
)
def test_the_window_begins_with_its_first_minute_and_ends_before_its_last(hours: float, open_: bool) -> None:
    config = CampaignConfig(name="x", switch="m", running=True)
    answer = may_call(Facts("0" * 32, ("Asia/Shanghai",), 0), config, later(hours=hours))
    assert isinstance(answer, Permit) is open_


def test_a_number_that_fits_two_zones_is_called_only_when_both_are_open() -> None:
    config = CampaignConfig(name="x", switch="m", running=True)
    zones = ("America/New_York", "America/Los_Angeles")
    morning_in_the_east = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)  # 10:00 and 07:00
    assert isinstance(may_call(Facts("0" * 32, zones, 0), config, morning_in_the_east), Refusal)
    assert next_open(config.rules, zones, morning_in_the_east) == datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


def test_a_campaign_without_any_window_never_opens() -> None:
    assert next_open(Rules(windows={}), ("Asia/Shanghai",), NOON) is None


def test_the_clock_going_back_opens_no_hour_twice() -> None:
    config = CampaignConfig(
        name="x",
        switch="m",
        running=True,
        rules=Rules(windows={"sun": Window(start=time(1, 0), end=time(1, 30))}),
    )
    facts = Facts("0" * 32, ("America/New_York",), 0)
    first = datetime(2026, 11, 1, 5, 15, tzinfo=UTC)  # 01:15 EDT, and an hour later 01:15 EST
    for instant in (first, first + timedelta(hours=1)):
        assert isinstance(may_call(facts, config, instant), Permit)  # both are 01:15 for the called party
