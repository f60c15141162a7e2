"""Leads under a lease: in flight once, given back, found after a crash, refused at the last moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from time import monotonic

import pytest
from sqlalchemy import Engine, event, text

from campaigns.dnc import DncStore, Layer
from campaigns.hopper import PICK, Hopper
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.prepared import PLANNED, text_array
from campaigns.records import AttemptConnected, AttemptEnded, Audited, Dispositioned, NotesSaved, OptedOut
from campaigns.script import as_text
from campaigns.values import Ask, Permit, Refusal, RefusalReason
from campaigns.why import Explainer
from tests.campaigns.world import CONFIG, NOON, Campaign, later, put_on_record


def test_a_lead_is_handed_out_once_however_many_ask(db: Engine) -> None:
    campaign = Campaign(db, leads=200)
    with ThreadPoolExecutor(4) as threads:
        taken = list(threads.map(lambda _: campaign.lease(60), range(4)))
    ids = [lead.lead_id for leads in taken for lead in leads]
    assert len(ids) == len(set(ids)) == 200


def test_a_lease_given_back_comes_again_a_skipped_one_later(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    [lead] = campaign.lease()
    assert campaign.lease() == []
    campaign.hopper.release([lead.call_id])
    [again] = campaign.lease()
    assert again.call_id != lead.call_id
    campaign.hopper.release([again.call_id], later(hours=1))
    assert campaign.lease() == []
    assert len(campaign.lease(at=later(hours=1, seconds=1))) == 1


def test_a_dialed_lead_is_not_given_back_without_an_outcome(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    leads = campaign.lease()
    campaign.dial(leads)
    campaign.hopper.release([leads[0].call_id])
    assert campaign.lease() == []
    [flight] = campaign.hopper.in_flight(NOON)
    assert flight.dialed and flight.switch == "main" and flight.seat_user_id is None


def test_a_lead_whose_attempt_is_just_being_recorded_is_not_given_back(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    [lead] = campaign.lease()
    with db.connect() as recording, ThreadPoolExecutor(1) as thread:
        recording.execute(text("SELECT id FROM lead FOR UPDATE"))
        put_on_record(recording, campaign, lead)
        releasing = thread.submit(campaign.hopper.release, [lead.call_id])
        deadline = monotonic() + 10
        while not campaign.one("SELECT count(*) AS waiting FROM pg_locks WHERE NOT granted").waiting:
            assert monotonic() < deadline, "the release does not wait for the record"
        recording.commit()
        releasing.result(10)
    assert campaign.lease() == []


def test_after_a_crash_the_leases_tell_what_was_in_flight(db: Engine) -> None:
    campaign = Campaign(db, leads=3)
    waiting, dialed, talking = campaign.lease(3)
    campaign.dial([dialed, talking])
    campaign.record(
        AttemptConnected(at=NOON, call_id=talking.call_id, user_id=7),
        NotesSaved(
            at=NOON, call_id=talking.call_id, user_id=7, notes="hers", answers=as_text({"bill": "99"})
        ),
    )
    found = {f.call_id: f for f in Hopper(db, "engine-1").in_flight(NOON)}
    assert not found[waiting.call_id].dialed
    assert found[dialed.call_id].dialed and found[dialed.call_id].seat_user_id is None
    assert found[talking.call_id].seat_user_id == 7
    assert found[talking.call_id].lead.attempts == 0
    assert (found[talking.call_id].notes, found[talking.call_id].answers) == ("hers", {"bill": "99"})
    assert (found[dialed.call_id].notes, found[dialed.call_id].answers) == ("", {})


def test_an_engine_that_starts_again_after_days_finds_what_was_in_flight(db: Engine) -> None:
    """What was dialed and has no outcome is not released: its lead would be in a call for ever."""
    campaign, after = Campaign(db, leads=2), later(days=9)
    waiting, dialed = campaign.lease(2)
    campaign.dial([dialed])
    again = Hopper(db, "engine-1")
    assert {f.call_id: f.dialed for f in again.in_flight(after)} == {
        waiting.call_id: False,
        dialed.call_id: True,
    }
    assert again.stray((), after) == [waiting.call_id]


@pytest.mark.parametrize(
    ("said", "paused"),
    [
        ([], False),
        (["recording_paused"], True),
        (["recording_paused", "recording_resumed"], False),
        (["recording_paused", "recording_not_paused"], False),
        (["recording_paused", "recording_resumed", "recording_not_resumed"], True),
    ],
)
def test_after_a_crash_it_is_known_whose_recording_is_paused(
    db: Engine, said: list[str], paused: bool
) -> None:
    campaign = Campaign(db, leads=2)
    leads = campaign.lease(2)
    campaign.dial(leads)
    mine, other = (each.call_id for each in leads)
    for call_id in (mine, other):
        campaign.record(AttemptConnected(at=NOON, call_id=call_id, user_id=7))
    for n, action in enumerate(said):
        campaign.record(Audited(at=later(seconds=n), actor="Lina", action=action, subject=mine))
    found = {f.call_id: f.paused for f in Hopper(db, "engine-1").in_flight(NOON)}
    assert found == {mine: paused, other: False}


def test_another_engines_leases_are_left_alone_until_they_run_out(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    campaign.lease()
    other = Hopper(db, "engine-2")
    assert other.in_flight(later(minutes=1)) == []
    [left] = other.in_flight(later(minutes=6))
    assert [left] == other.in_flight(later(minutes=1), ["engine-1"])  # another one that is known to be dead
    assert other.take_over([left.call_id], later(minutes=1)) == 1
    assert [each.owner for each in other.in_flight(later(minutes=1))] == ["engine-2"]


def test_renewing_waits_for_nobody(db: Engine) -> None:
    """Who writes leads locks them in an order of its own: two that wait for each other would end one of them."""
    campaign = Campaign(db, leads=3)
    leads = campaign.lease(3)
    with db.begin() as writing:
        writing.execute(text("UPDATE lead SET rank = rank WHERE id = :id"), {"id": leads[1].lead_id})
        assert campaign.hopper.renew([lead.call_id for lead in leads], later(seconds=20)) == 2
    assert campaign.hopper.renew([lead.call_id for lead in leads], later(seconds=40)) == 3


def test_a_lease_that_nobody_holds_is_found_when_the_others_were_renewed_without_it(db: Engine) -> None:
    campaign = Campaign(db, leads=4)
    held, stray, dialed, anothers = campaign.lease(4)
    campaign.dial([dialed])
    Hopper(db, "engine-2").take_over([anothers.call_id], NOON)
    known, hopper = {held.call_id}, campaign.hopper
    assert hopper.stray(known, later(seconds=55)) == []  # one that is just given out
    assert hopper.stray(known, later(seconds=65)) == [stray.call_id]
    hopper.renew([stray.call_id], later(seconds=65))
    assert hopper.stray(known, later(seconds=70)) == []


def test_what_is_on_a_switch_is_found_whosever_it_was(db: Engine) -> None:
    """Who took it over may have died before it looked."""
    campaign, third = Campaign(db, leads=2), Hopper(db, "engine-3")
    _, dialed = campaign.lease(2)
    campaign.dial([dialed])
    [found] = third.in_flight(NOON, switches=["main"])
    assert (found.call_id, found.owner, found.switch) == (dialed.call_id, "engine-1", "main")
    assert third.in_flight(NOON, switches=["another"]) == []


def test_nothing_is_leased_outside_the_window(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    assert campaign.lease(at=later(hours=9)) == []  # 21 o'clock
    assert len(campaign.lease(at=later(hours=22))) == 1


def test_the_rules_are_asked_again_when_dialing(db: Engine) -> None:
    campaign = Campaign(db, leads=3)
    late, barred, stopped = campaign.lease(3, later(hours=7, minutes=59))  # 19:59
    evening = later(hours=8)
    campaign.record(
        OptedOut(at=NOON, call_id="x", number=barred.number, source="key", campaign_id=campaign.id)
    )
    answers = campaign.hopper.authorize([Ask(late.call_id, "main"), Ask(barred.call_id, "main")], evening)
    assert _reason(answers[late.call_id]) is RefusalReason.WINDOW
    assert answers[late.call_id].until == later(hours=21)  # type: ignore[union-attr] - 9 o'clock in Shanghai
    assert _reason(answers[barred.call_id]) is RefusalReason.DNC
    campaign.store.apply(CONFIG.replace("true", "false"), "test", "tester", NOON)
    assert _reason(campaign.hopper.authorize([Ask(stopped.call_id, "main")], NOON)[stopped.call_id]) is (
        RefusalReason.CAMPAIGN_STOPPED
    )
    assert campaign.one("SELECT count(*) FROM attempt")[0] == 0
    assert campaign.hopper.in_flight(NOON) == []


def test_a_call_whose_lease_is_gone_is_refused(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    [lead] = campaign.lease()
    campaign.hopper.release([lead.call_id])
    assert campaign.dial([lead]) == []
    assert campaign.dial(campaign.lease()) != []


def test_a_permit_is_on_record_before_it_is_handed_out(db: Engine) -> None:
    campaign = Campaign(db, leads=2)
    leads = campaign.lease(2)
    assert set(campaign.dial(leads)) == {lead.call_id for lead in leads}
    assert campaign.one("SELECT count(*), min(switch), min(dialed_at) FROM attempt") == (2, "main", NOON)
    assert campaign.one("SELECT sum(attempts) FROM number")[0] == 2


def test_the_cap_ends_a_lead(db: Engine) -> None:
    campaign = Campaign(db, leads=1, more="[rules]\nattempts = 2\n")
    for expected in (1, 2):
        leads = campaign.lease()
        assert campaign.dial(leads) and leads[0].attempts == expected - 1
        campaign.record(AttemptEnded(at=NOON, call_id=leads[0].call_id, outcome="busy", retry_at=NOON))
    assert campaign.lease() == []
    assert campaign.hopper.left(campaign.id) == 0


def test_a_lock_out_holds_over_campaigns_until_it_ends(db: Engine) -> None:
    first, other = Campaign(db, leads=1), Campaign(db, leads=1, name="summer")
    leads, [waiting] = first.lease(), other.lease()
    first.dial(leads)
    until = later(days=3)
    first.record(
        AttemptEnded(
            at=NOON, call_id=leads[0].call_id, outcome="abandoned", retry_at=NOON, locked_until=until
        )
    )
    answer = other.hopper.authorize([Ask(waiting.call_id, "main")], NOON)[waiting.call_id]
    assert _reason(answer) is RefusalReason.LOCK_OUT and answer.until == until  # type: ignore[union-attr]
    assert other.lease(at=later(days=2, hours=23)) == first.lease(at=later(days=2, hours=23)) == []
    assert len(other.lease(at=until)) == len(first.lease(at=until)) == 1


def test_a_refusal_bars_every_number_of_the_customer(db: Engine) -> None:
    first, other = Campaign(db, leads=1), Campaign(db, leads=3, name="summer")
    with db.begin() as connection:
        connection.execute(
            text("""
                UPDATE lead l SET customer_id = 'K7' FROM number n
                WHERE n.lead_id = l.id AND (l.campaign_id = :first OR n.e164 <> '+8613800000001')
            """),
            {"first": first.id},
        )
    leads = first.lease()
    first.dial(leads)
    said_no = Dispositioned(
        at=NOON,
        call_id=leads[0].call_id,
        user_id=7,
        code="not_interested",
        final=True,
        locked_until=later(days=60),
    )
    first.record(said_no)
    assert first.one("SELECT count(*) FROM refusal_lock") == (2,)
    assert {lead.number for lead in other.lease(10)} == {"+8613800000001"}


def test_what_a_campaign_may_call_a_customer_for_good_is_counted_over_all_of_their_leads(db: Engine) -> None:
    campaign = Campaign(db, leads=2, more="[rules]\nattempts = 9\n[rules.customer_here]\nlife = 3\n")
    with db.begin() as connection:
        connection.execute(text("UPDATE lead SET customer_id = 'K7'"))
    called = []
    for day in range(9):
        leads = campaign.lease(2, later(days=day))
        dialed = campaign.dial(leads, later(days=day))
        called += [lead.number for lead in leads if lead.call_id in dialed]
        campaign.record(*(
            AttemptEnded(at=later(days=day, minutes=1), call_id=each, outcome="busy", retry_at=later(days=day + 1))
            for each in dialed
        ))  # fmt: skip
    assert len(called) == 3 and len(set(called)) == 2
    assert campaign.hopper.left(campaign.id) == 0


def test_calls_to_a_number_are_counted_over_campaigns(db: Engine) -> None:
    caps = "[rules.number]\nday = 2\ngap_s = 1800.0\n"
    first, other = Campaign(db, leads=1, more=caps), Campaign(db, leads=1, more=caps, name="summer")
    both = [*first.lease(), *other.lease()]
    answers = first.hopper.authorize([Ask(lead.call_id, "main") for lead in both], NOON)
    assert {type(answers[lead.call_id]) for lead in both} == {Permit, Refusal}  # asked at once: one only
    [refused] = [a for a in answers.values() if isinstance(a, Refusal)]
    assert refused.reason is RefusalReason.GAP and refused.until == later(minutes=30)
    waits, rings = (first, other) if refused.call_id == both[0].call_id else (other, first)
    [rang] = [lead for lead in both if lead.call_id != refused.call_id]
    rings.record(
        AttemptEnded(at=later(minutes=1), call_id=rang.call_id, outcome="busy", retry_at=later(days=9))
    )
    assert waits.lease(at=later(minutes=29)) == []
    again = waits.lease(at=later(minutes=30))
    assert waits.dial(again, later(minutes=30))
    waits.record(AttemptEnded(at=later(minutes=31), call_id=again[0].call_id, outcome="busy", retry_at=NOON))
    assert waits.lease(at=later(hours=3)) == []
    assert waits.one("SELECT next_at FROM lead WHERE campaign_id = :c", c=waits.id)[0] == later(hours=12)
    assert len(waits.lease(at=later(hours=22))) == 1  # tomorrow


def test_new_rules_let_go_what_the_old_ones_held_back_and_the_retry_delay_stays(db: Engine) -> None:
    tight = "[rules]\nattempts = 1\n[rules.number]\nday = 1\n"
    campaign = Campaign(db, leads=2, more=tight)
    first, second = campaign.lease(2)
    campaign.dial([first, second])
    for lead in (first, second):
        busy = AttemptEnded(at=NOON, call_id=lead.call_id, outcome="busy", retry_at=later(minutes=15))
        campaign.record(busy)
    assert campaign.lease(2, later(minutes=15)) == [] and campaign.hopper.left(campaign.id) == 0
    campaign.store.apply(CONFIG + "[rules.number]\nday = 2\n", "test", "tester", later(minutes=16))
    assert campaign.hopper.left(campaign.id) == 2
    assert campaign.lease(2, later(minutes=14)) == []
    assert len(campaign.lease(2, later(minutes=16))) == 2


def test_a_version_that_refuses_what_the_last_one_did_lets_nothing_go(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    DncStore(db).add("+8613800000000", Layer("company", "x"), NOON, expires_at=later(hours=9))
    assert campaign.lease() == []
    held = "SELECT ready_at IS NOT NULL FROM lead"
    campaign.store.apply(CONFIG + "max_lines = 7\n", "test", "tester", NOON)
    assert campaign.one(held) == (True,)
    campaign.store.apply(CONFIG + 'caller_ids = ["02112345678"]\n', "test", "tester", NOON)
    assert campaign.one(held) == (False,)


def two_zones(db: Engine, in_new_york: int) -> Campaign:
    """A campaign whose first leads are in New York, where it is night, and the last ten in Shanghai."""
    campaign = Campaign(db, leads=0)
    places = [("+1212555", "America/New_York")] * in_new_york + [("+86138000", "Asia/Shanghai")] * 10
    rows = [Row(n + 2, (f"{head}{n:04d}",), f"c{n}", {}, (zone,)) for n, (head, zone) in enumerate(places)]
    store_rows(db, campaign.id, "list", "test", NOON, rows)
    return campaign


def test_leads_of_a_zone_that_is_closed_are_passed_once_and_come_when_it_opens(db: Engine) -> None:
    campaign = two_zones(db, 5_000)
    leased = [lead for _ in range(4) for lead in campaign.lease(2)]
    assert len(leased) == 8 and {lead.number[:3] for lead in leased} == {"+86"}
    opens = later(hours=10)  # 9 o'clock in New York, 22 in Shanghai
    held = "SELECT count(*), min(next_at), max(next_at) FROM lead WHERE ready_at IS NOT NULL"
    assert campaign.one(held) == (5_000, opens, opens)
    with db.connect() as connection:
        connection.exec_driver_sql(PLANNED)
        values = f"({campaign.id}, '{NOON}', '{{Asia/Shanghai}}', '{{1}}', '{{100}}', 100, 1)"
        PICK.run(connection, campaign.id, NOON, ["Asia/Shanghai"], "{1}", "{100}", 100, 1)
        explained = connection.exec_driver_sql(f"EXPLAIN ANALYZE EXECUTE {PICK.name} {values}")
        assert "Rows Removed by Filter" not in "\n".join(row[0] for row in explained)
    assert [lead.number[:3] for lead in campaign.lease(3, opens)] == ["+12"] * 3
    all_day = "[rules.windows]\ntue = { from = 00:00:00, to = 23:59:00 }\n"
    campaign.store.apply(CONFIG + all_day, "test", "tester", opens)
    assert campaign.one(held)[0] == 0


@pytest.mark.parametrize("ends", [None, later(days=9)])
def test_a_bar_on_the_number_that_was_about_to_be_dialed_leaves_the_customer_their_other_one(
    db: Engine, ends: datetime | None
) -> None:
    campaign, dnc = Campaign(db, leads=0), DncStore(db)
    numbers = ("+8613800000000", "+862188880000")
    rows = [Row(2, numbers, "李娜", {}, ("Asia/Shanghai",), ("mobile", "home"))]
    store_rows(db, campaign.id, "list", "test", NOON, rows)
    for number in numbers:
        [lead] = campaign.lease()
        assert lead.number == number
        dnc.add(number, Layer("company", "x"), NOON, expires_at=ends)
        assert campaign.dial([lead]) == []
    assert campaign.lease() == []
    assert campaign.hopper.left(campaign.id) == (0 if ends is None else 1)
    assert len(campaign.lease(at=later(days=9))) == campaign.hopper.left(campaign.id)


def test_a_lead_that_waits_for_a_rule_is_told_that_rule_and_no_delay_of_its_own(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    [lead] = campaign.lease()
    DncStore(db).add(lead.number, Layer("company", "x"), NOON, expires_at=later(hours=1))
    campaign.hopper.authorize([Ask(lead.call_id, "main")], NOON)
    [why] = Explainer(db).number(lead.number, NOON)
    assert [reason.reason for reason in why.reasons] == ["dnc"] and why.next_at == later(hours=1)
    DncStore(db).remove(lead.number)
    assert len(campaign.lease(at=later(minutes=1))) == 1


def test_a_stopped_campaigns_leads_come_again_as_soon_as_it_runs(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    [lead] = campaign.lease()
    campaign.store.apply(CONFIG.replace("true", "false"), "test", "tester", NOON)
    campaign.hopper.authorize([Ask(lead.call_id, "main")], NOON)
    campaign.store.apply(CONFIG, "test", "tester", NOON)
    assert len(campaign.lease()) == 1


def test_a_call_that_no_switch_took_counts_for_no_cap(db: Engine) -> None:
    campaign = Campaign(db, leads=1, more="[rules.number]\nday = 1\n")
    [lead] = campaign.lease()
    campaign.dial([lead])
    undone = AttemptEnded(at=NOON, call_id=lead.call_id, outcome="cancelled", retry_at=NOON, dialed=False)
    campaign.record(undone)
    assert campaign.one("SELECT life, at, campaigns FROM called") == (0, [], [])
    assert campaign.dial(campaign.lease())


def test_two_engines_never_call_a_number_twice_within_its_gap(db: Engine) -> None:
    caps = "[rules.number]\ngap_s = 60.0\n"
    first, other = Campaign(db, leads=50, more=caps), Campaign(db, leads=50, more=caps, name="summer")
    mine, theirs = first.lease(50), other.lease(50)
    with ThreadPoolExecutor(2) as threads:
        permitted = list(
            threads.map(lambda side: side[0].dial(side[1]), ((first, mine), (other, theirs[::-1])))
        )
    assert sum(map(len, permitted)) == 50
    assert first.one("SELECT max(life), count(*) FROM called") == (1, 50)


def test_leasing_reads_indexes_only_and_in_order(db: Engine) -> None:
    campaign = Campaign(db, leads=20_000)
    with db.connect() as connection:
        connection.exec_driver_sql(PLANNED)
        PICK.run(connection, campaign.id, NOON, ["Asia/Shanghai"], "{1}", "{100}", 100, 1)
        explained = connection.exec_driver_sql(
            f"EXPLAIN EXECUTE {PICK.name} ({campaign.id}, '{NOON}', '{{Asia/Shanghai}}', '{{1}}', '{{100}}', 100, 1)"
        )
        plan = "\n".join(row[0] for row in explained)
    assert "lead_ready" in plan and "Seq Scan" not in plan and "Sort" not in plan and "Hash" not in plan


def test_a_lease_and_a_permit_ask_the_database_four_times_each(db: Engine) -> None:
    """Beside other work each question waits twice for a processor: they are what a call's first seconds are made of."""
    campaign = Campaign(db, leads=20)
    campaign.dial(campaign.lease(2))  # its rules and what allows its calls are known
    asked: list[str] = []

    def note(*about: object) -> None:
        if not str(about[2]).startswith("PREPARE"):  # once a connection
            asked.append(str(about[2]))

    event.listen(db, "before_cursor_execute", note)
    try:
        leads = campaign.lease(5)
        leasing = len(asked)
        campaign.dial(leads)
    finally:
        event.remove(db, "before_cursor_execute", note)
    assert (leasing, len(asked) - leasing) == (4, 4), "\n".join(asked)


def _reason(answer: Permit | Refusal) -> RefusalReason:
    assert isinstance(answer, Refusal)
    return answer.reason


def test_customers_ids_are_looked_for_as_they_are_whatever_is_in_them(db: Engine) -> None:
    with db.connect() as connection:
        for texts in ([], [""], ["7", "客户"], ['"'], ["\\"], ["a", '","', "\\\\", "NULL", "{b,c}", " "]):
            read = connection.exec_driver_sql("SELECT CAST(%s AS text[])", (text_array(texts),)).scalar_one()
            assert read == texts
