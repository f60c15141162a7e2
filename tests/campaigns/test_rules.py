"""May this lead be called now? Whatever the facts, no permit breaks a rule: compared, minute by minute, with a plain
reading of the same figures that shares nothing with the decision."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import chinese_calendar
import holidays
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from campaigns.config import CampaignConfig
from campaigns.rules import calendar
from campaigns.rules.calendar import Hours, opening
from campaigns.rules.decision import Barred, Called, Consent, Facts, may_call, next_permit, refusals
from campaigns.rules.keys import DAYS, WEEKDAYS, Caps, Region, Rules, Window, Windows, spans
from campaigns.rules.profiles import PROFILES
from campaigns.rules.terms import DEFAULT_WINDOWS, check_rules, terms_of
from campaigns.values import Permit, Refusal, RefusalReason
from tests.campaigns.world import NOON, later

ZONES = (
    "Asia/Shanghai",
    "Asia/Urumqi",
    "America/New_York",
    "America/Havana",  # its clock is set at midnight
    "America/St_Johns",
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Apia",
    "Europe/London",
    "Europe/Paris",
)
# Instants around which clocks are set, a day was left out (Apia), and a date was shown again (St John's, 2010).
SET = [
    datetime(2026, 3, 8, 7, tzinfo=UTC),  # New York
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 3, 8, 5, tzinfo=UTC),  # Havana
    datetime(2026, 11, 1, 5, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Europe
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),  # Apia
    datetime(2010, 11, 7, 2, 31, tzinfo=UTC),  # St John's
]
INSTANTS = st.one_of(
    st.datetimes(
        datetime(2024, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        datetime(2026, 12, 31),  # noqa: DTZ001
        timezones=st.just(UTC),
    ),
    st.builds(
        lambda at, minutes: at + timedelta(minutes=minutes), st.sampled_from(SET), st.integers(-300, 300)
    ),
)
TIMES = st.builds(time, st.integers(0, 23), st.integers(0, 59))
WINDOW = st.tuples(TIMES, TIMES).filter(lambda t: t[0] < t[1]).map(lambda t: Window(start=t[0], end=t[1]))
WINDOWS = st.dictionaries(
    st.sampled_from(DAYS), st.one_of(WINDOW, st.lists(WINDOW, max_size=2).map(tuple)), max_size=9
)
UNHURRIED = settings(deadline=None)  # beside other work a look at each minute takes its time
SMALL = st.none() | st.integers(1, 4)
ANY_CAPS = st.builds(
    Caps,
    day=SMALL,
    hours_24=SMALL,
    days_30=SMALL,
    life=st.none() | st.integers(1, 9),
    gap_s=st.none() | st.floats(0, 90_000),
)
REGION = st.builds(
    Region,
    code=st.sampled_from(["US-FL", "FR-2A"]),
    prefixes=st.sampled_from([("+1305",), ("+33495", "+86138")]),
    windows=st.none() | WINDOWS,
    number=ANY_CAPS,
)
RULES = st.builds(
    Rules,
    profile=st.sampled_from(sorted(PROFILES)),
    windows=st.none() | WINDOWS,
    holidays=st.sampled_from(["", "CN", "FR", "US-AL"]),
    regions=st.lists(REGION, max_size=1).map(tuple),
    number=ANY_CAPS,
    customer=ANY_CAPS,
    number_here=ANY_CAPS,
    customer_here=ANY_CAPS,
    consent=st.none() | st.booleans(),
    attempts=st.integers(1, 5),
    destinations=st.sampled_from([(), (), ("+86*", "+1*"), ("+1305???0100", "+861*"), ("+86138001380000",)]),
)
NUMBERS = st.sampled_from(["+13055550100", "+12125550100", "+8613800138000", "+33495550100", "+862168880001"])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Facts, datetime]:
    """What may be known of a lead at an instant, its history within some weeks of it."""
    now = draw(INSTANTS)
    near = st.builds(lambda s: now + timedelta(seconds=s), st.integers(-35 * 86_400, 3 * 86_400))
    past = st.one_of(
        st.builds(lambda s: now - timedelta(seconds=s), st.integers(0, 2 * 86_400)),
        st.builds(lambda s: now - timedelta(seconds=s), st.integers(0, 32 * 86_400)),
    )

    def called() -> Called:
        recent = sorted(draw(st.lists(st.tuples(past, st.integers(1, 2)), max_size=6)))
        return Called(tuple(recent), len(recent) + draw(st.integers(0, 3)))

    entries = draw(
        st.lists(st.builds(Barred, st.just("national"), st.just("+1"), until=st.none() | near), max_size=1)
    )
    consents = draw(
        st.lists(
            st.builds(Consent, st.integers(1, 99), near, st.none() | near),
            max_size=2,
            unique_by=lambda c: c.id,
        )
    )
    rare = st.sampled_from([True] * 9 + [False])
    facts = Facts(
        call_id="0" * 32,
        zones=tuple(
            draw(st.lists(st.sampled_from(ZONES), min_size=0 if draw(st.booleans()) else 1, max_size=3))
        ),
        attempts=draw(st.integers(0, 5)),
        number=draw(NUMBERS),
        region=draw(st.sampled_from(["", "", "US-FL", "US-TX", "US-NY"])),
        campaign_id=1,
        next_at=draw(st.none() | near),
        locked_until=draw(st.none() | near),
        lock=draw(st.sampled_from(["abandoned", "refusal"])),
        dnc=tuple(entries),
        consents=tuple(consents),
        called=called(),
        customer=called() if draw(st.booleans()) else None,
        customer_attempts=draw(st.none() | st.integers(0, 9)),
        leased=draw(rare),
        promised=not draw(rare),
        open=draw(rare),
        number_open=draw(rare),
    )
    return facts, now


# --- the oracle: the same figures, read plainly ---------------------------------------------------------------


def shown(at: datetime, zone: str) -> datetime:
    return at.astimezone(calendar.zone(zone))


def holds(windows: Windows, calendar_: str, local: datetime) -> bool:
    """Whether a call at this local time is within the windows of that day."""

    def within(day: str) -> bool:
        return any(w.start <= local.time().replace(fold=0) < w.end for w in spans(windows, day))

    weekday, today = WEEKDAYS[local.isoweekday() - 1], local.date()
    if not calendar_:
        return within(weekday)
    if calendar_ == "CN" and 2004 <= today.year <= 2026:
        if chinese_calendar.is_workday(today):
            return within("workday") if today.isoweekday() > 5 and "workday" in windows else within(weekday)
        named = chinese_calendar.get_holiday_detail(today)[1]
        return within("holiday") if named is not None else within(weekday)
    country, _, part = calendar_.partition("-")
    if today in holidays.country_holidays(country, subdiv=part or None):
        return within("holiday")
    return within(weekday)


def within_caps(caps: Caps, calls: list[datetime], life: int, zones: tuple[str, ...], now: datetime) -> bool:
    for zone in zones:
        today = [c for c in calls if shown(c, zone).date() >= shown(now, zone).date()]
        if caps.day is not None and len(today) >= caps.day:
            return False
    if caps.hours_24 is not None and sum(c > now - timedelta(hours=24) for c in calls) >= caps.hours_24:
        return False
    if (
        caps.days_30 is not None
        and sum(c > now - timedelta(hours=30 * 24 + 1) for c in calls) >= caps.days_30
    ):
        return False
    if caps.life is not None and life >= caps.life:
        return False
    return not caps.gap_s or all(now >= c + timedelta(seconds=caps.gap_s) for c in calls)


def among(destinations: tuple[str, ...], number: str) -> bool:
    """Whether one of the patterns has the number, digit by digit."""

    def has(pattern: str) -> bool:
        fixed = pattern.rstrip("*")
        there = number[: len(fixed)] if pattern.endswith("*") else number
        return len(there) == len(fixed) and all(p in ("?", n) for p, n in zip(fixed, there, strict=True))

    return not destinations or any(map(has, destinations))


def lawful(facts: Facts, rules: Rules, now: datetime) -> bool:
    """Whether a call keeps to every figure of the rules and, where they have none, of their profile."""
    law = PROFILES[rules.profile]
    windows = rules.windows if rules.windows is not None else law.windows
    windows = windows if windows is not None else DEFAULT_WINDOWS
    regions = [
        r
        for r in (*law.regions, *rules.regions)
        if (r.code == facts.region if facts.region else any(facts.number.startswith(p) for p in r.prefixes))
    ]
    if (
        not (facts.leased and facts.open and facts.number_open and facts.zones)
        or (facts.attempts >= rules.attempts and not facts.promised)  # the one call that is owed
    ):
        return False
    if any(e.until is None or e.until > now for e in facts.dnc):
        return False
    if not among(rules.destinations, facts.number):
        return False
    if (facts.next_at and facts.next_at > now) or (facts.locked_until and facts.locked_until > now):
        return False
    if (rules.consent or law.consent) and not any(
        c.given_at <= now and (c.until is None or now < c.until) for c in facts.consents
    ):
        return False
    for zone in facts.zones:
        local = shown(now, zone)
        if not holds(windows, rules.holidays or law.holidays, local):
            return False
        if any(r.windows is not None and not holds(r.windows, r.holidays, local) for r in regions):
            return False
    number, customer = facts.called, facts.customer or facts.called
    mine = [c for c, by in number.recent if by == facts.campaign_id]
    theirs = [c for c, by in customer.recent if by == facts.campaign_id]
    known = facts.customer_attempts
    life_here = facts.attempts if known is None else known

    def figures(name: str) -> Caps:
        own, its = getattr(rules, name), getattr(law, name)
        return Caps(
            **{f: getattr(its if getattr(own, f) is None else own, f) for f in Caps.__struct_fields__}
        )

    return all(
        within_caps(caps, calls, life, facts.zones, now)
        for caps, calls, life in (
            (figures("number"), [c for c, _ in number.recent], number.life),
            (figures("customer"), [c for c, _ in customer.recent], customer.life),
            (figures("number_here"), mine, facts.attempts),
            (figures("customer_here"), theirs, life_here),
            *((r.number, [c for c, _ in number.recent], number.life) for r in regions),
        )
    )


# --- the decision against it ------------------------------------------------------------------------------------


@UNHURRIED
@given(world=worlds(), rules=RULES)
def test_a_permit_keeps_to_every_rule_and_a_refusal_says_why(
    world: tuple[Facts, datetime], rules: Rules
) -> None:
    facts, now = world
    answer = may_call(facts, terms_of(rules), now)
    assert isinstance(answer, Permit) is lawful(facts, rules, now)
    if isinstance(answer, Refusal):
        assert answer.detail and (answer.until is None or answer.until > now)


@UNHURRIED
@given(world=worlds(), rules=RULES)
def test_around_a_change_of_the_clock_each_minute_is_as_the_figures_say(
    world: tuple[Facts, datetime], rules: Rules
) -> None:
    facts, now = world
    terms = terms_of(rules)
    for minute in range(0, 180, 3):
        at = now + timedelta(minutes=minute)
        assert isinstance(may_call(facts, terms, at), Permit) is lawful(facts, rules, at), at


@UNHURRIED
@given(world=worlds(), rules=RULES)
def test_when_a_lead_may_be_called_is_the_first_lawful_instant(
    world: tuple[Facts, datetime], rules: Rules
) -> None:
    facts, now = world
    terms = terms_of(rules)
    first = next_permit(facts, terms, now)
    last = now + timedelta(days=3) if first is None else first
    if first is not None:
        assert lawful(facts, rules, first)
        assert first == now or not lawful(facts, rules, first - timedelta(seconds=1))
    hours = min(200, int((last - now).total_seconds() // 3600))
    for at in (
        *(now + timedelta(hours=n) for n in range(hours)),
        *(last - timedelta(minutes=n) for n in range(1, 150) if last - timedelta(minutes=n) >= now),
    ):
        assert not lawful(facts, rules, at), at


@UNHURRIED
@given(world=worlds(), rules=RULES)
def test_each_reason_ends_when_it_says(world: tuple[Facts, datetime], rules: Rules) -> None:
    facts, now = world
    terms = terms_of(rules)
    for refusal in refusals(facts, terms, now):
        if refusal.until is not None:
            before = list(refusals(facts, terms, refusal.until - timedelta(seconds=1)))
            assert any(each.reason is refusal.reason for each in before)


@st.composite
def stricter(draw: st.DrawFn) -> Rules:
    """Rules that the campaign's file may hold under a profile: drawn, and kept when the check has no fault to find."""
    law = PROFILES[draw(st.sampled_from(sorted(PROFILES)))]

    def caps(name: str) -> Caps:
        its: Caps = getattr(law, name)
        found: dict[str, Any] = {}
        for key in ("day", "hours_24", "days_30", "life"):
            found[key] = draw(st.none() | st.integers(1, getattr(its, key) or 9))
        found["gap_s"] = draw(st.none() | st.floats(its.gap_s or 0, 90_000))
        return Caps(**found)

    windows = None
    if draw(st.booleans()):
        windows = {}
        for day in draw(st.sets(st.sampled_from(DAYS))):
            outer = spans(law.windows, day) if law.windows is not None else spans(DEFAULT_WINDOWS, day)
            if outer:
                edges = sorted((draw(TIMES), draw(TIMES)))
                start, end = max(edges[0], outer[0].start), min(edges[1], outer[0].end)
                if start < end:
                    windows[day] = Window(start=start, end=end)
    return Rules(
        profile=law.name,
        windows=windows,
        holidays=law.holidays or draw(st.sampled_from(["", "CN", "US-AL"])),
        consent=True if draw(st.booleans()) else None,
        regions=tuple(draw(st.lists(REGION, max_size=1))),
        refusal_lock_s=draw(st.none() | st.floats(law.refusal_lock_s, 3_153_600_000)),
        lock_out_s=draw(st.floats(law.lock_out_s, 3_153_600_000)),
        number=caps("number"),
        customer=caps("customer"),
        number_here=caps("number_here"),
        customer_here=caps("customer_here"),
    )


def faults(rules: Rules) -> list[str]:
    found: list[str] = []
    check_rules(rules, lambda right, key, why: None if right else found.append(f"{key}: {why}"))
    return found


@UNHURRIED
@given(world=worlds(), rules=stricter())
def test_what_a_campaign_adds_to_its_profile_only_ever_takes_permits_away(
    world: tuple[Facts, datetime], rules: Rules
) -> None:
    facts, now = world
    assert faults(rules) == []
    if rules.profile == "own" and rules.windows is not None:
        return  # no law: its hours are the campaign's own
    law = Rules(profile=rules.profile, attempts=rules.attempts)
    if isinstance(may_call(facts, terms_of(rules), now), Permit):
        assert isinstance(may_call(facts, terms_of(law), now), Permit)


@UNHURRIED
@given(world=worlds(), rules=RULES)
def test_looser_rules_than_the_profile_are_no_rules_of_a_campaign(
    world: tuple[Facts, datetime], rules: Rules
) -> None:
    facts, now = world
    law = Rules(profile=rules.profile, attempts=rules.attempts)
    looser = isinstance(may_call(facts, terms_of(rules), now), Permit) and not isinstance(
        may_call(facts, terms_of(law), now), Permit
    )
    assert not looser or rules.profile == "own" or PROFILES[rules.profile].windows is None or faults(rules)


# --- stories ----------------------------------------------------------------------------------------------------

SHANGHAI = Facts("0" * 32, ("Asia/Shanghai",), 0, number="+8613800138000", campaign_id=1)
OWN = terms_of(Rules())


@pytest.mark.parametrize(
    ("hours", "open_"),
    [(-3, True), (-3.01, False), (7.99, True), (8, False)],
    ids=["9:00", "8:59", "19:59", "20:00"],
)
def test_the_window_begins_with_its_first_minute_and_ends_before_its_last(hours: float, open_: bool) -> None:
    assert isinstance(may_call(SHANGHAI, OWN, later(hours=hours)), Permit) is open_


def test_a_number_that_fits_two_zones_is_called_only_when_both_are_open() -> None:
    facts = Facts("0" * 32, ("America/New_York", "America/Los_Angeles"), 0)
    morning_in_the_east = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)  # 10:00 and 07:00
    assert isinstance(may_call(facts, OWN, morning_in_the_east), Refusal)
    assert next_permit(facts, OWN, morning_in_the_east) == datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


def test_a_campaign_without_any_window_never_opens() -> None:
    assert next_permit(SHANGHAI, terms_of(Rules(windows={})), NOON) is None


def test_an_hour_that_the_clock_shows_twice_is_open_twice_and_one_it_never_shows_opens_with_the_next() -> (
    None
):
    night = Hours({"sun": Window(start=time(1), end=time(1, 30))})
    first = datetime(2026, 11, 1, 5, 15, tzinfo=UTC)  # 01:15 EDT, and an hour later 01:15 EST
    for instant in (first, first + timedelta(hours=1)):
        assert opening([night], ["America/New_York"], instant).open
    skipped = Hours({"sun": Window(start=time(2, 15), end=time(4))})
    before = datetime(2026, 3, 8, 6, 0, tzinfo=UTC)  # 01:00; 02:00 to 03:00 is not shown
    assert opening([skipped], ["America/New_York"], before).until == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)


def test_in_france_nobody_is_called_at_lunch_on_saturdays_or_on_a_holiday() -> None:
    terms = terms_of(Rules(profile="fr"))
    facts = Facts("0" * 32, ("Europe/Paris",), 0, number="+33612345678")

    def may(day: int, hour: int) -> bool:
        return isinstance(may_call(facts, terms, datetime(2026, 7, day, hour - 2, 30, tzinfo=UTC)), Permit)

    assert may(13, 10) and may(13, 14) and not may(13, 13) and not may(13, 9)
    assert not may(14, 10)  # the national day, a Tuesday
    assert not may(18, 10)  # a Saturday


def test_a_florida_number_has_floridas_hours_unless_the_address_is_elsewhere() -> None:
    terms = terms_of(Rules(profile="us"))
    evening = datetime(2026, 7, 15, 0, 30, tzinfo=UTC)  # 20:30
    miami = Facts("0" * 32, ("America/New_York",), 0, number="+13055550100")
    assert isinstance(may_call(miami, terms, evening), Refusal)
    moved = Facts("0" * 32, ("America/New_York",), 0, number="+13055550100", region="US-NY")
    assert isinstance(may_call(moved, terms, evening), Permit)


def test_a_worked_saturday_has_its_own_hours_and_a_holiday_weekday_none() -> None:
    office = {day: Window(start=time(9), end=time(18)) for day in (*WEEKDAYS[:5], "workday")}
    terms = terms_of(Rules(windows=office, holidays="CN"))

    def may(month: int, day: int) -> bool:
        return isinstance(may_call(SHANGHAI, terms, datetime(2026, month, day, 4, tzinfo=UTC)), Permit)

    assert may(10, 10) and not may(10, 17)  # a worked Saturday, and a plain one
    assert not may(10, 6) and may(10, 8)  # the Tuesday of the golden week, and the Thursday after it


def test_a_year_that_is_not_decreed_is_not_guessed() -> None:
    assert calendar.last_decreed() == 2026
    year, office = 2027, {day: Window() for day in WEEKDAYS}
    terms = terms_of(Rules(windows=office, holidays="CN"))

    def may(month: int, day: int) -> bool:
        return isinstance(may_call(SHANGHAI, terms, datetime(year, month, day, 4, tzinfo=UTC)), Permit)

    assert not may(10, 8) and not may(9, 30)  # near the national day: either may be a day off
    assert may(7, 14) and may(3, 10)  # far from any holiday
    detail = next(refusals(SHANGHAI, terms, datetime(year, 10, 8, 4, tzinfo=UTC))).detail
    assert "closed" in detail


def test_what_counts_as_undecreed_holds_every_day_off_that_was_ever_decreed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    off = {day: chinese_calendar.is_holiday(day) for year in range(2008, 2027) for day in days_of(year)}
    named = {day for day in off if day in chinese_calendar.holidays}
    worked = {day for day in off if day in chinese_calendar.workdays and day.isoweekday() > 5}
    monkeypatch.setattr(calendar, "decreed", lambda year: False)
    monkeypatch.setattr(calendar, "_holidays", statutory)
    calendar._near_holidays.cache_clear()
    for day in off:
        kinds = calendar.kinds_of("CN", day)
        assert day not in named or "holiday" in kinds, day
        assert day not in worked or "workday" in kinds, day
    calendar._near_holidays.cache_clear()


def days_of(year: int) -> list[date]:
    first = date(year, 1, 1)
    return [first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days)]


def statutory(name: str, year: int) -> frozenset[date]:
    """What can be known of a year before its days off are decreed: the days that the law itself names."""
    known = holidays.country_holidays(name, years=year)
    return frozenset(d for d, why in known.items() if "Day off" not in why and "observed" not in why)


def test_both_sources_agree_on_the_days_off_of_the_years_that_are_decreed() -> None:
    for year in range(2008, 2027):
        law = holidays.country_holidays("CN", years=year)
        for day in days_of(year):
            if day.isoweekday() <= 5:
                assert (day in law) is chinese_calendar.is_holiday(day), day


def test_the_zones_are_those_of_the_package() -> None:
    assert calendar.versions()["tzdata"]
    assert all(calendar.zone(name).key == name for name in ("Asia/Shanghai", "America/Argentina/Ushuaia"))
    assert not calendar.known_zone("../../etc/passwd") and not calendar.known_zone("")
    with pytest.raises(KeyError):
        calendar.zone("Mars/Base")


def test_a_calls_cap_lets_go_at_the_called_partys_midnight() -> None:
    terms = terms_of(Rules(profile="cn-collection"))
    calls = Called(tuple((later(hours=-n), 2) for n in (3, 2, 1)), 3)
    facts = Facts("0" * 32, ("Asia/Shanghai",), 0, number="+8613800138000", campaign_id=1, called=calls)
    [refusal] = refusals(facts, terms, NOON)
    assert refusal.reason is RefusalReason.CAP_DAY and refusal.until == later(hours=12)
    assert next_permit(facts, terms, NOON) == later(hours=20)  # 8 o'clock, when the window opens


@UNHURRIED
@example(at=datetime(2010, 11, 7, 2, 31, tzinfo=UTC))
@given(at=INSTANTS)
def test_the_openings_of_a_day_are_found_wherever_the_clock_is_set(at: datetime) -> None:
    hours = Hours({day: Window(start=time(0, 15), end=time(2, 45)) for day in WEEKDAYS})
    for zone in ZONES:
        found = opening([hours], [zone], at)
        assert found.until is not None and found.until > at
        assert calendar.is_open(hours, zone, found.until) is not found.open
        for minute in range(0, int((found.until - at).total_seconds() // 60), 7):
            assert calendar.is_open(hours, zone, at + timedelta(minutes=minute)) is found.open


def test_a_campaign_that_does_not_run_calls_nobody() -> None:
    config = CampaignConfig(name="x", switch="m")
    answer = may_call(SHANGHAI, terms_of(config.rules, config.running), NOON)
    assert isinstance(answer, Refusal) and answer.reason is RefusalReason.CAMPAIGN_STOPPED


def test_two_regions_of_one_code_have_hours_of_their_own() -> None:
    late = {"daily": Window(start=time(14, 0), end=time(18, 0))}
    regions = (
        Region(code="US-TX", prefixes=("+1621",)),
        Region(code="US-TX", prefixes=("+1214",), windows=late),
    )
    terms = terms_of(Rules(regions=regions))
    for _ in range(2):  # whichever is asked about first
        for number, open_ in (("+16215550100", True), ("+12145550100", False)):
            asked = msgspec.structs.replace(SHANGHAI, number=number)
            assert isinstance(may_call(asked, terms, NOON), Permit) is open_
