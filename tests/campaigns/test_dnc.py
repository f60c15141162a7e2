"""Who must not be called: numbers, prefixes and ranges, in layers that know where they come from and when they end."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from campaigns.dnc import DncError, DncStore, Layer
from campaigns.lists.normalising import NumberReader
from campaigns.numbers import NotANumber, number_of, patterns_of
from campaigns.prepared import PLANNED
from campaigns.records import OptedOut
from campaigns.rules import facts
from campaigns.rules.known import on_record
from campaigns.values import Ask, Refusal, RefusalReason
from tests.campaigns.world import NOON, Campaign, later

NATIONAL, COMPANY = Layer("national", "registry"), Layer("company", "office")


@given(st.integers(10**9, 10**10 - 1), st.integers(0, 10**6), st.integers(-3, 3))
def test_the_prefixes_of_a_range_hold_its_numbers_and_no_other_of_that_length(
    low: int, size: int, off: int
) -> None:
    high = min(low + size, 10**10 - 1)
    prefixes, _ = patterns_of(f"+{low}-+{high}")
    for number in (low, high, (low + high) // 2, low + off, high + off):
        held = any(f"+{number}".startswith(prefix) for prefix in prefixes)
        assert held is (low <= number <= high)
    assert len(prefixes) <= 18 * 7


@pytest.mark.parametrize(
    ("given_", "found"),
    [
        ("13800138000", (("+8613800138000",), False)),
        ("+86 138 0013 8000", (("+8613800138000",), False)),
        ("021-68880001", (("+862168880001",), False)),
        ("13800138000.0", (("+8613800138000",), False)),
        ('="13800138000"', (("+8613800138000",), False)),
        ("10086", (("+8610086",), False)),
        ("+8662551234", (("+8662551234",), False)),
        ("+99912345678", (("+99912345678",), False)),
        ("+86138*", (("+86138",), True)),
        ("+8613800130000-+8613800139999", (("+861380013",), True)),
        ("+14155550108-+14155550120", (("+14155550108", "+14155550109", "+1415555011", "+14155550120"), True)),
    ],
)  # fmt: skip
def test_a_pattern_is_read_as_people_write_it(given_: str, found: object) -> None:
    assert patterns_of(given_) == found


@pytest.mark.parametrize(
    "wrong",
    [
        "", "abc", "12", "*", "+*", "+8*", "+8613800130009-+8613800130000", "+861-+8699", "62551234", "138OO138OOO",
        "138****8000", "1380013800", "13800138000/13800138001",
    ],
)  # fmt: skip
def test_what_is_no_pattern_is_told(wrong: str) -> None:
    with pytest.raises(NotANumber):
        patterns_of(wrong)


def test_a_us_number_is_read_in_its_region() -> None:
    assert number_of("2125550100", "US") == number_of("(212) 555-0100", "US") == "+12125550100"


def test_a_number_of_a_region_that_there_is_not_is_no_number_unless_it_is_written_in_full() -> None:
    assert number_of("+442079460958", "XX") == "+442079460958"
    with pytest.raises(NotANumber, match="'XX' is no region"):
        number_of("2079460958", "XX")


@pytest.mark.parametrize(
    ("country", "national", "trunk"),
    [("GB", "2079460958", "0"), ("CN", "13800138000", "0"), ("FR", "612345678", "0"), ("US", "2125550100", "1"),
     ("IT", "0612345678", ""), ("RU", "9161234567", "8")],
)  # fmt: skip
def test_a_number_has_one_form_also_with_its_trunk_prefix_after_the_country(
    country: str, national: str, trunk: str
) -> None:
    code = phonenumbers.country_code_for_region(country)
    number = f"+{code}{national}"
    for region in ("CN", "US", country):
        assert number_of(number, region) == number_of(f"+{code}{trunk}{national}", region) == number
        assert NumberReader(region).read(f"+{code}{trunk}{national}") == ((number,), "")
    assert number_of(national, country) == number


def test_a_ban_on_a_number_that_is_written_with_its_trunk_prefix_bars_it(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    DncStore(db).add("+86013800000000", NATIONAL, NOON)
    assert campaign.lease() == []


def test_every_layer_holds_a_lead_back_and_lets_it_go_when_it_ends(db: Engine) -> None:
    campaign, other = Campaign(db, leads=6), Campaign(db, leads=6, name="summer")
    dnc = DncStore(db)
    number = "+8613800000000"
    dnc.add(number, NATIONAL, NOON, expires_at=later(days=1))
    dnc.add("+8613800000001", Layer("campaign", "office", campaign.id), NOON, "asked us", later(hours=2))
    dnc.add("+8613800000002*", Layer("complaint", "12321"), NOON)
    dnc.add("+8613800000003-+8613800000004", COMPANY, NOON, "a competitor's")
    assert {lead.number for lead in campaign.lease(9)} == {"+8613800000005"}
    assert {lead.number for lead in other.lease(9)} == {"+8613800000001", "+8613800000005"}
    assert [lead.number for lead in campaign.lease(9, later(hours=1, minutes=59))] == []
    assert [lead.number for lead in campaign.lease(9, later(hours=2))] == ["+8613800000001"]
    assert [lead.number for lead in campaign.lease(9, later(days=1))] == [number]
    assert campaign.hopper.left(campaign.id) == 3  # the others are closed: they will never be called
    dnc.remove("+8613800000002*")
    assert [lead.number for lead in campaign.lease(9)] == [
        "+8613800000002"
    ]  # unless they are taken off the list


def test_an_entry_that_comes_between_lease_and_dial_is_seen(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    [lead] = campaign.lease()
    DncStore(db).add(lead.number[:9] + "*", Layer("complaint", "12321"), NOON, "12321 of today")
    answer = campaign.hopper.authorize([Ask(lead.call_id, "main")], NOON)[lead.call_id]
    assert isinstance(answer, Refusal) and answer.reason is RefusalReason.DNC
    assert answer.detail == "on the complaint do-not-call list (12321), numbers +86138000…: 12321 of today"


def test_an_opt_out_outlives_an_entry_that_ends_and_what_is_taken_off_may_be_called(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    dnc, number = DncStore(db), "+8613800000000"
    dnc.add(number, COMPANY, NOON, expires_at=later(days=9))
    [lead] = Campaign(db, leads=1, name="summer").lease(at=later(days=9))
    campaign.record(OptedOut(at=NOON, call_id=lead.call_id, number=number, source="key", campaign_id=1))
    assert [(e.source, e.expires_at) for e in dnc.check(number)] == [
        ("key", None),
        ("office", later(days=9)),
    ]
    assert dnc.remove(number, "national") == 0
    assert dnc.remove(number) == 2 and dnc.check(number) == []
    assert campaign.dial(campaign.lease())


def test_an_entry_that_is_added_again_lasts_at_least_as_long(db: Engine) -> None:
    campaign, dnc = Campaign(db, leads=2), DncStore(db)
    number, opt_out = "+8613800000000", Layer("company", "key")
    dnc.add(number, opt_out, NOON)
    dnc.add(number, opt_out, NOON, "by mistake", later(days=-1))
    dnc.add("+8613800000001*", opt_out, NOON, expires_at=later(days=9))
    dnc.add("+8613800000001*", opt_out, NOON, expires_at=later(days=2))
    assert campaign.lease(9) == []
    assert [entry.expires_at for entry in dnc.check(number)] == [None]
    assert [entry.expires_at for entry in dnc.check("+8613800000001")] == [later(days=9)]
    told = campaign.one(
        "SELECT after ->> 'expires' FROM audit WHERE action = 'dnc added' ORDER BY id DESC LIMIT 1"
    )
    assert told[0].startswith(later(days=9).isoformat()[:19])
    dnc.add("+8613800000001*", opt_out, NOON, expires_at=later(days=20))
    assert [entry.expires_at for entry in dnc.check("+8613800000001")] == [later(days=20)]
    for pattern in (number, "+8613800000001*"):  # who wants it shorter takes it off first
        dnc.remove(pattern)
        dnc.add(pattern, opt_out, NOON, expires_at=later(days=1))
    assert len(campaign.lease(9, later(days=1))) == 2


def test_a_list_is_loaded_told_apart_and_replaced_by_its_next_version(db: Engine, tmp_path: Path) -> None:
    dnc, path = DncStore(db), tmp_path / "registry.csv"
    path.write_text(
        "number,reason,expires\n13800138000,asked,2027-01-01\nnonsense\n\n+86139*,state\n13800138001\n"
    )
    loaded = dnc.load(path, NATIONAL, "chen", NOON)
    assert (loaded.entries, loaded.rejected) == (3, 1)
    assert loaded.rejects[0][0] == 3 and "'nonsense'" in loaded.rejects[0][1]
    dnc.add("13800138001", Layer("national", "by hand"), NOON)
    path.write_text("13800138000\n13800138009\n")
    loaded = dnc.load(path, NATIONAL, "chen", later(days=28), replace=True)
    assert (loaded.entries, loaded.outdated) == (2, 2)
    assert [e.source for e in dnc.check("+8613800138001")] == ["by hand"]
    [kept] = dnc.check("+8613800138000")
    assert kept.expires_at is None and kept.at == NOON
    with db.connect() as connection:
        rows = connection.execute(
            text("SELECT source, entries, done_at > at, by FROM dnc_load ORDER BY id")
        ).all()
    assert [tuple(row)[:2] for row in rows] == [("registry", 3), ("registry", 2)]


def test_what_a_spreadsheet_made_of_the_numbers_takes_none_of_them_off(db: Engine, tmp_path: Path) -> None:
    dnc, path = DncStore(db), tmp_path / "registry.csv"
    path.write_text("13800138000\n13800138001\n")
    dnc.load(path, NATIONAL, "chen", NOON)
    path.write_text("number\n13800138000.0\n13800138001.0\n")
    loaded = dnc.load(path, NATIONAL, "chen", NOON, replace=True)
    assert (loaded.entries, loaded.rejected, loaded.outdated) == (2, 0, 0)
    assert dnc.check("+8613800138000") and dnc.check("+8613800138001")
    path.write_text("62551234\n62551235\n")
    with pytest.raises(DncError, match=r"line 1: '62551234' is a local number without its area code"):
        dnc.load(path, NATIONAL, "chen", NOON, replace=True)
    assert dnc.check("+8613800138000") and not dnc.check("+8662551234")


@pytest.mark.parametrize("chunk", [200_000, 1])
def test_a_number_that_stands_twice_in_a_list_is_barred_for_the_longer_time(
    db: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("campaigns.dnc.CHUNK", chunk)
    dnc, path = DncStore(db), tmp_path / "registry.csv"
    early, late = "2026-12-01T04:00", "2027-06-01T04:00"
    path.write_text(
        f"13800138000,,{early}\n13800138000\n13800138001\n13800138001,,{early}\n+86139*,,{late}\n+86139*,,{early}\n"
    )
    numbers = ("+8613800138000", "+8613800138001", "+8613900138000")
    dnc.load(path, NATIONAL, "chen", NOON)
    until = datetime.fromisoformat(late).replace(tzinfo=UTC)
    assert [[e.expires_at for e in dnc.check(number)] for number in numbers] == [[None], [None], [until]]
    path.write_text(f"13800138000,,{early}\n")  # the next version has the last word
    dnc.load(path, NATIONAL, "chen", NOON)
    assert [entry.expires_at for entry in dnc.check(numbers[0])] == [later(days=7)]


def test_what_a_list_lets_end_sooner_than_before_lets_its_leads_go_then(db: Engine, tmp_path: Path) -> None:
    campaign, dnc, path = Campaign(db, leads=3), DncStore(db), tmp_path / "registry.csv"
    path.write_text("+8613800000000\n+8613800000001*\n+8613800000002,,2027-01-01\n")
    dnc.load(path, NATIONAL, "chen", NOON)
    assert campaign.lease(9) == [] and campaign.hopper.left(campaign.id) == 1
    tomorrow = later(days=1)
    path.write_text("+8613800000000\n+8613800000001*\n+8613800000002\n")
    dnc.load(path, NATIONAL, "chen", NOON, expires_at=tomorrow)
    assert campaign.lease(9) == [] and campaign.hopper.left(campaign.id) == 3
    assert len(campaign.lease(9, tomorrow)) == 3


@pytest.mark.parametrize("last", ['13800138002,"office"', "13800138002"])
def test_a_stray_quote_takes_no_other_number_off(db: Engine, tmp_path: Path, last: str) -> None:
    dnc, path = DncStore(db), tmp_path / "registry.csv"
    path.write_text("13800138000\n13800138001\n13800138002\n")
    dnc.load(path, NATIONAL, "chen", NOON)
    path.write_text(f'13800138000,"asked by phone\n13800138001\n{last}\n')
    loaded = dnc.load(path, NATIONAL, "chen", NOON, replace=True)
    assert (loaded.entries, loaded.rejected, loaded.outdated) == (3, 0, 0)
    told = [[entry.reason for entry in dnc.check(f"+861380013800{n}")] for n in range(3)]
    assert told == [["asked by phone"], [""], ["office" if "office" in last else ""]]


def test_a_line_without_end_is_told_and_the_others_are_in(db: Engine, tmp_path: Path) -> None:
    dnc, path = DncStore(db), tmp_path / "registry.csv"
    path.write_text(f'13800138000,"{"asked " * 1_000}\n13800138001\n')
    loaded = dnc.load(path, NATIONAL, "chen", NOON)
    assert (loaded.entries, loaded.rejected) == (1, 1)
    [(line, why)] = loaded.rejects
    assert line == 1 and "limit" in why
    with pytest.raises(DncError, match="nothing was taken off"):
        dnc.load(path, NATIONAL, "chen", NOON, replace=True)


def test_a_new_version_that_is_mostly_no_numbers_takes_nothing_off(db: Engine, tmp_path: Path) -> None:
    dnc, path = DncStore(db), tmp_path / "registry.csv"
    path.write_text("13800138000\n13800138001\n")
    dnc.load(path, NATIONAL, "chen", NOON)
    for wrong in ("13800138002\nMr Wang\n", ""):
        path.write_text(wrong)
        with pytest.raises(DncError, match="nothing was taken off"):
            dnc.load(path, NATIONAL, "chen", NOON, replace=True)
    assert dnc.check("+8613800138000") and dnc.check("+8613800138001") and dnc.check("+8613800138002")


def test_a_list_that_can_not_be_read_changes_nothing_that_is_there(db: Engine, tmp_path: Path) -> None:
    dnc, path = DncStore(db), tmp_path / "registry.csv"
    path.write_text("13800138000\n")
    dnc.load(path, NATIONAL, "chen", NOON)
    path.write_bytes(b"13800138001\n\xff\xfe\n")
    with pytest.raises(DncError, match="is not UTF-8"):
        dnc.load(path, NATIONAL, "chen", NOON, replace=True)
    with pytest.raises(DncError, match="can't be read"):
        dnc.load(tmp_path / "none", NATIONAL, "chen", NOON)
    assert dnc.check("+8613800138000")


def test_the_facts_are_read_by_key_whatever_the_statistics_say(db: Engine) -> None:
    campaign = Campaign(db, leads=2_000)
    with db.begin() as connection:
        connection.execute(
            text("""INSERT INTO dnc (e164, layer, source, at) SELECT '+8615' || lpad(n::text, 9, '0'), 'national', 'x',
            now() FROM generate_series(1, 100000) n""")
        )
    campaign.lease(500)  # planned with the statistics of empty tables
    with db.connect() as connection:
        connection.exec_driver_sql(PLANNED)
        on_record(connection, facts.of_leads(connection, [1, 2, 3]))
        plan = "\n".join(
            row[0]
            for asked in ("facts_of_leads('{1,2,3}')", "on_record('{+8613800000001}', '{}', '{0,1}')")
            for row in connection.exec_driver_sql(f"EXPLAIN EXECUTE {asked}")
        )
    for table in ("dnc", "dnc_prefix", "called", "lock_out", "refusal_lock", "number", "consent"):
        assert f"Scan using {table}_" in plan, plan
    assert "Seq Scan" not in plan, plan


def test_a_layer_that_there_is_not_is_refused() -> None:
    for wrong in (("neighbours", "x", 0), ("campaign", "x", 0), ("national", "x", 7)):
        with pytest.raises(DncError):
            Layer(*wrong)
