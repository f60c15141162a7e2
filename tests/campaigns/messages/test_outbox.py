"""Messages between the calls: due by what came of a call, sent once, and only where a call would be allowed as well."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from campaigns.consents import ConsentError
from campaigns.dnc import DncStore, Layer
from campaigns.evaluation.evaluating import evaluate
from campaigns.evaluation.purchases import Purchase, bring_in
from campaigns.history import person as persons
from campaigns.history.archive import holding
from campaigns.history.files import Files
from campaigns.history.query import History
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.lists.undoing import undo
from campaigns.messages.choices import ChoiceStore
from campaigns.messages.figures import figures, send_again
from campaigns.messages.outbox import LEASE, LOOK_AGAIN, MOST_TRIES, TOO_LATE, Outbox
from campaigns.records import Dispositioned, NotesSaved
from tests.campaigns.messages.world import CONFIRMED, MISSED, OFFER, TWO_DAYS_LATER, Writing
from tests.campaigns.test_called_in import called, ended
from tests.campaigns.world import CONFIG, NOON, later


def test_who_did_not_answer_is_written_to_two_days_later_and_once(db: Engine) -> None:
    world = Writing(db)
    [first, *_] = world.calls()
    assert not world.claim(TWO_DAYS_LATER - timedelta(seconds=1))
    letters = world.claim(TWO_DAYS_LATER)
    assert sorted(each.body for each in letters) == [
        f"客户{n}您好，我们曾致电给您。回复TD退订" for n in range(3)
    ]
    assert not world.claim(TWO_DAYS_LATER)  # leased
    for each in letters:
        assert world.outbox.sent(each, TWO_DAYS_LATER)
    [again] = [each for each in world.campaign.lease(100, TWO_DAYS_LATER) if each.lead_id == first.lead_id]
    world.call(again, at=TWO_DAYS_LATER)  # and again nobody answers
    assert not world.claim(later(days=4))
    assert world.states() == [("sent", "")] * 3


def test_what_allowed_it_is_on_record(db: Engine) -> None:
    world = Writing(db, customers=1)
    world.calls()
    [letter] = world.claim(TWO_DAYS_LATER)
    [row] = world.rows()
    assert (row.address, row.body, row.customer_id) == ("+8613800000000", letter.body, "c0")
    assert row.permitted_at == TWO_DAYS_LATER and row.engine == "engine-1"
    basis = world.campaign.one("SELECT * FROM permit_basis WHERE id = :id", id=row.basis_id)
    assert (basis.change, basis.hours, basis.zones) == (
        world.campaign.applied.change,
        "thu 09:00-20:00",
        "Asia/Shanghai",
    )


def test_a_sale_is_confirmed_by_mail_in_the_customers_words(db: Engine) -> None:
    world = Writing(db, customers=1)
    [lead] = world.calls("connected")
    world.disposed(lead, "sold")
    [letter] = world.claim(NOON)
    assert (letter.channel, letter.address, letter.sender) == ("email", "kunde0@example.com", "春天公司")
    assert (letter.subject, letter.body) == ("客户0，感谢您的订购", "您订购了畅享199。")


def test_a_verdict_that_is_corrected_takes_its_message_back(db: Engine) -> None:
    world = Writing(db, customers=1)
    [lead] = world.calls("connected")
    world.disposed(lead, "sold")
    world.disposed(lead, "not_interested")
    assert not world.claim(NOON)
    assert world.states() == [("not_sent", "corrected")]


def test_a_verdict_that_is_corrected_to_a_sale_is_confirmed(db: Engine) -> None:
    world = Writing(db, customers=1)
    [lead] = world.calls("connected")
    world.disposed(lead, "interested")
    world.disposed(lead, "sold")
    assert [each.channel for each in world.claim(NOON)] == ["email"]


def test_a_verdict_that_is_corrected_to_another_of_the_step_has_its_message(db: Engine) -> None:
    both = CONFIRMED.replace('["sold"]', '["sold", "interested"]') + "delay_s = 3600\n"
    world = Writing(db, steps=both, customers=3)
    waits, seen, sent = world.calls("connected")
    for lead in (waits, seen, sent):
        world.disposed(lead, "sold")
    world.disposed(waits, "interested", later(minutes=10))
    world.disposed(seen, "not_interested", later(minutes=10))
    [first] = world.claim(later(hours=1))
    assert world.outbox.sent(first, later(hours=1))
    world.disposed(sent, "interested", later(hours=1))  # too late: it is told already
    world.disposed(seen, "interested", later(hours=1))
    assert {row.state for row in world.rows() if row.lead_id != sent.lead_id} == {"waiting"}
    [second] = world.claim(later(hours=1, minutes=10))
    assert world.outbox.sent(second, later(hours=1, minutes=10))
    assert len(world.claim(later(hours=2))) == 1
    assert [row.state for row in world.rows() if row.lead_id == sent.lead_id] == ["sent"]


def test_a_sale_after_one_that_was_taken_back_is_confirmed(db: Engine) -> None:
    world = Writing(db, steps=CONFIRMED, customers=1)
    [lead] = world.calls("connected")
    world.disposed(lead, "sold")
    world.disposed(lead, "not_interested")
    [lead] = world.calls("connected", later(days=1))
    world.disposed(lead, "sold", later(days=1))
    assert len(world.claim(later(days=1))) == 1


def test_a_message_stays_due_as_it_is_when_a_later_call_comes_to_the_same(db: Engine) -> None:
    world = Writing(db, steps=CONFIRMED + "delay_s = 172800\n", customers=1)
    for at in (NOON, later(days=1)):
        [lead] = world.calls("connected", at)
        world.disposed(lead, "sold", at)
    assert [row.due_at for row in world.rows()] == [TWO_DAYS_LATER]


def test_two_verdicts_on_one_customer_that_come_on_record_at_once_make_one_message_due(db: Engine) -> None:
    world = Writing(db, steps=CONFIRMED, customers=1)
    [first] = world.calls("connected")
    [second] = world.calls("connected", later(days=1))
    world.campaign.record(
        *(Dispositioned(at=NOON, call_id=each.call_id, user_id=1, code="sold") for each in (first, second))
    )
    assert [row.call_id.hex for row in world.rows()] == [first.call_id]


def test_who_is_of_a_list_that_was_taken_back_is_written_to_no_more(db: Engine) -> None:
    world = Writing(db, customers=2)
    sold, missed = world.campaign.lease(1_000, NOON)
    world.call(missed)
    world.call(sold, outcome="connected")
    world.disposed(sold, "sold")
    undo(db, world.campaign.id, "customers", later(hours=1))
    assert [each.channel for each in world.claim(TWO_DAYS_LATER)] == ["email"]  # what was ordered
    assert ("not_sent", "closed") in world.states()


def test_nor_who_had_called_in_before_that_list_came(db: Engine) -> None:
    world = Writing(db, steps=MISSED.replace("{name}", ""), customers=0)
    world.campaign.record(ended(called(world.campaign, "+8613911112222"), "missed"))
    world.add("+8613911112222")
    world.calls()
    assert undo(db, world.campaign.id, "+8613911112222", later(hours=1)).restored == 1
    assert world.claim(TWO_DAYS_LATER) == []
    assert world.states() == [("not_sent", "closed")]


def test_an_engine_that_cant_read_a_campaigns_newest_version_leaves_its_messages(db: Engine) -> None:
    world = Writing(db, customers=1)
    world.calls()
    with db.begin() as connection:
        text_of = connection.execute(text("SELECT text FROM campaign_version")).scalar_one()
        connection.execute(text("UPDATE campaign_version SET text = text || :new"), {"new": "new_key = 1\n"})
    assert not world.claim(TWO_DAYS_LATER)
    assert world.states() == [("waiting", "unreadable")]
    with db.begin() as connection:
        connection.execute(text("UPDATE campaign_version SET text = :text"), {"text": text_of})
    newer = Outbox(db, "engine-2", "https://dialer.example")
    assert len(newer.claim(("sms",), 10, TWO_DAYS_LATER + LOOK_AGAIN).letters) == 1


def test_a_talk_overtakes_what_was_due_after_a_call_in_vain(db: Engine) -> None:
    world = Writing(db, customers=1)
    world.calls()
    world.calls("connected", later(days=1))
    assert not world.claim(TWO_DAYS_LATER)
    assert world.states() == [("not_sent", "overtaken")]


def test_what_is_written_down_later_of_a_call_makes_nothing_due(db: Engine) -> None:
    world = Writing(db, steps="", customers=1)
    [lead] = world.calls()
    world.campaign.store.apply(
        f'name = "spring"\nswitch = "main"\nrunning = true\n{MISSED}', "test", "tester", later(hours=1)
    )
    world.campaign.record(
        NotesSaved(at=later(hours=2), call_id=lead.call_id, user_id=1, notes="voicemail full")
    )
    assert world.rows() == []


def test_outside_the_hours_it_waits_for_the_morning(db: Engine) -> None:
    world = Writing(db, customers=1)
    world.calls()
    night = TWO_DAYS_LATER + timedelta(hours=9)  # nine in the evening in Shanghai
    assert not world.claim(night)
    [row] = world.rows()
    assert (row.state, row.reason, row.next_at) == ("waiting", "window", NOON + timedelta(days=2, hours=21))
    assert len(world.claim(row.next_at)) == 1


def test_messages_may_have_hours_of_their_own(db: Engine) -> None:
    hours = "[messages.windows]\n" + "".join(
        f"{day} = {{ from = 18:00:00, to = 19:00:00 }}\n" for day in ("mon", "tue", "wed", "thu", "fri")
    )
    world = Writing(db, customers=1, steps=hours + MISSED)
    world.calls()
    assert not world.claim(TWO_DAYS_LATER)
    assert world.rows()[0].next_at == NOON + timedelta(days=2, hours=6)


def test_who_must_not_be_called_is_not_written_to(db: Engine) -> None:
    world = Writing(db, customers=2)
    world.calls()
    DncStore(db).add("+8613800000000", Layer("company", "letter"), later(days=1))
    assert [each.address for each in world.claim(TWO_DAYS_LATER)] == ["+8613800000001"]
    assert ("not_sent", "dnc") in world.states()


def test_who_asked_for_no_more_mail_still_gets_texts(db: Engine) -> None:
    world = Writing(db, customers=1, steps=MISSED + OFFER)
    world.calls()
    ChoiceStore(db).say("email", "kunde0@example.com", False, "link", later(hours=1))
    assert not world.claim(later(hours=1), ("email",))
    assert [each.channel for each in world.claim(TWO_DAYS_LATER)] == ["sms"]


def test_without_consent_for_the_channel_it_waits_and_then_is_too_late(db: Engine) -> None:
    world = Writing(db, customers=2, steps='[messages]\nconsent = ["sms"]\n' + MISSED)
    world.calls()
    ChoiceStore(db).say("sms", "+8613800000001", True, "form 7", NOON)
    [letter] = world.claim(TWO_DAYS_LATER)
    assert letter.address == "+8613800000001" and world.outbox.sent(letter, TWO_DAYS_LATER)
    sent, waiting = sorted(world.rows(), key=lambda row: row.state)
    assert (sent.state, sent.choice_id) == ("sent", 1)
    assert (waiting.state, waiting.reason) == ("waiting", "consent")
    assert not world.claim(TWO_DAYS_LATER + TOO_LATE + timedelta(seconds=1))
    assert sorted(world.states()) == [("not_sent", "too_late"), ("sent", "")]


def test_caps_hold_for_a_customer_over_steps_and_campaigns(db: Engine) -> None:
    capped = "[messages.caps.sms]\ndays_30 = 1\n"
    second = MISSED.replace('"missed"', '"again"')
    world = Writing(db, customers=2, steps=capped + MISSED + second)
    world.calls()
    assert sorted(each.address for each in world.claim(TWO_DAYS_LATER)) == [
        "+8613800000000",
        "+8613800000001",
    ]
    assert sorted(world.states()) == [("sending", "")] * 2 + [("waiting", "cap_30d")] * 2


def test_a_share_is_held_out_for_good_and_on_record(db: Engine) -> None:
    world = Writing(db, customers=60, steps=MISSED + "hold_out = 0.5\n")
    world.calls()
    letters = world.claim(TWO_DAYS_LATER)
    assert all(world.outbox.sent(each, TWO_DAYS_LATER) for each in letters)
    sent = len(letters)
    assert 15 < sent < 45 and world.states().count(("not_sent", "held_out")) == 60 - sent
    assert not world.claim(later(days=3))


def test_who_was_written_to_is_not_held_out_when_it_is_tried_again_at_another_share(db: Engine) -> None:
    world = Writing(db, customers=20, steps=MISSED + "hold_out = 0.1\n")
    world.calls()
    first, *rest = letters = world.claim(TWO_DAYS_LATER)
    assert all(world.outbox.failed(each, TWO_DAYS_LATER, "busy", for_good=False) for each in letters)
    with db.begin() as connection:  # as one of before the share was kept
        connection.execute(
            text("UPDATE message SET hold_out = NULL WHERE id = :id"), {"id": first.message_id}
        )
    world.campaign.store.apply(f"{CONFIG}{MISSED}hold_out = 0.5\n", "test", "tester", TWO_DAYS_LATER)
    again = world.claim(TWO_DAYS_LATER + LEASE)
    assert {each.key for each in again} == {each.key for each in letters}
    shares = {row.id: row.hold_out for row in world.rows()}
    assert shares.pop(first.message_id) is None
    assert {round(share, 2) for share in shares.values()} == {0.1} and len(rest) > 10


def test_whom_a_segment_holds_out_no_message_reaches(db: Engine) -> None:
    world = Writing(db, customers=2)
    world.calls()
    with db.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text(
                "INSERT INTO segment_member (campaign_id, party, take_id, held_out) VALUES (:c, 'customer c0', 1, true)"
            ),
            {"c": world.campaign.id},
        )
    assert [each.address for each in world.claim(TWO_DAYS_LATER)] == ["+8613800000001"]


def test_an_engine_that_died_leaves_it_to_the_other_under_the_same_key(db: Engine) -> None:
    world = Writing(db, customers=1)
    world.calls()
    [letter] = world.claim(TWO_DAYS_LATER)
    other = Outbox(db, "engine-2")
    assert not other.claim(["sms"], 10, TWO_DAYS_LATER + LEASE - timedelta(seconds=1)).letters
    [again] = other.claim(["sms"], 10, TWO_DAYS_LATER + LEASE).letters
    assert again.key == letter.key and again.tries == 2
    assert not world.outbox.sent(letter, TWO_DAYS_LATER + LEASE)  # it slept over its lease
    assert other.sent(again, TWO_DAYS_LATER + LEASE)
    assert world.states() == [("sent", "")]


def test_what_fails_is_tried_again_with_growing_pauses_and_given_up(db: Engine) -> None:
    world = Writing(db, customers=1)
    world.calls()
    now, pauses = TWO_DAYS_LATER, []
    for _ in range(MOST_TRIES):
        [letter] = world.claim(now)
        assert world.outbox.failed(letter, now, "451 try later", for_good=False)
        [row] = world.rows()
        pauses.append((row.next_at - now).total_seconds())
        now = row.next_at if row.state == "waiting" else now
    assert pauses[:4] == [30, 60, 120, 240] and pauses[10] == 3600
    assert world.states() == [("failed", "failed")] and not world.claim(now + LEASE)


def test_engines_keep_a_channels_rate_together(db: Engine) -> None:
    world = Writing(db, customers=12, steps=MISSED + OFFER)
    world.calls()
    engines = [Outbox(db, f"engine-{n}", "https://dialer.example", {"sms": 5.0}) for n in range(2)]
    gone: list[datetime] = []
    now = TWO_DAYS_LATER
    mails = 0
    for turn in range(40):
        claimed = engines[turn % 2].claim(["email", "sms"], 3, now)
        gone += [now for letter in claimed.letters if letter.channel == "sms"]
        mails += sum(letter.channel == "email" for letter in claimed.letters)
        now += timedelta(milliseconds=100)
    assert len(gone) == 12 and mails == 12  # the other channel has no limit
    assert all(later - first >= timedelta(seconds=1) for first, later in so_far_apart(gone, 5))
    assert gone[-1] - gone[0] < timedelta(seconds=3)


def test_less_than_one_in_a_second(db: Engine) -> None:
    world = Writing(db, customers=2)
    world.calls()
    outbox = Outbox(db, "engine-1", per_second={"sms": 0.5})
    first = outbox.claim(["sms"], 16, TWO_DAYS_LATER)
    assert len(first.letters) == 1 and first.full
    assert not outbox.claim(["sms"], 16, TWO_DAYS_LATER + timedelta(seconds=1.9)).letters
    assert len(outbox.claim(["sms"], 16, TWO_DAYS_LATER + timedelta(seconds=2)).letters) == 1


def so_far_apart(times: list[datetime], distance: int) -> list[tuple[datetime, datetime]]:
    """Each instant with the one so many places after it."""
    return list(zip(times, times[distance:], strict=False))


def test_a_value_that_is_missing_or_strange_breaks_no_message(db: Engine) -> None:
    world = Writing(db, customers=2, steps=CONFIRMED)
    with db.begin() as connection:
        connection.execute(
            text("UPDATE lead SET name = E'王\\r\\nBcc: all@example.com' WHERE customer_id = 'c0'")
        )
        connection.execute(text("UPDATE lead SET attributes = attributes - 'plan' WHERE customer_id = 'c1'"))
    for lead in world.calls("connected"):
        world.disposed(lead, "sold")
    [letter] = world.claim(NOON)
    assert letter.subject == "王 Bcc: all@example.com，感谢您的订购"
    assert ("not_sent", "no_value") in world.states()


def test_a_paused_campaign_keeps_its_messages(db: Engine) -> None:
    world = Writing(db, customers=1)
    world.calls()
    text_of = world.campaign.store.versions("spring")[0].text
    world.campaign.store.apply(text_of.replace("running = true", "running = false"), "test", "tester", NOON)
    assert not world.claim(TWO_DAYS_LATER)
    world.campaign.store.apply(text_of, "test", "tester", NOON)
    assert len(world.claim(TWO_DAYS_LATER + timedelta(minutes=10))) == 1


def test_one_persons_messages_are_told_and_erased(db: Engine, tmp_path: Path) -> None:
    world = Writing(db, customers=2, steps=MISSED + OFFER)
    world.calls()
    for letter in world.claim(NOON):
        assert world.outbox.sent(letter, NOON)
    ChoiceStore(db).say("email", "kunde0@example.com", False, "link", NOON)
    him, at = persons.find(db, customer="c0"), later(days=2)
    told = persons.export(db, History(db, Files(tmp_path)), him, "li", at)
    assert sorted((m["channel"], m["state"]) for m in told["messages"]) == [
        ("email", "sent"),
        ("sms", "waiting"),
    ]
    assert [said["agreed"] for said in told["said_of_messages"]] == [False]
    with holding(db, Files(tmp_path)) as job:
        persons.erase(job, him, "ticket 12", "li", at)
    theirs = [row for row in world.rows() if row.lead_id in him.lead_ids]
    assert {(row.channel, row.state, row.address, row.body) for row in theirs} == {
        ("email", "sent", None, ""), ("sms", "not_sent", None, "")
    }  # fmt: skip
    assert not [each for each in world.claim(TWO_DAYS_LATER) if each.message_id in {row.id for row in theirs}]
    assert ChoiceStore(db).of("kunde0@example.com")  # their own no stays


def test_a_no_that_is_said_again_outlasts_a_yes_that_becomes_known_later(db: Engine, tmp_path: Path) -> None:
    world, store = Writing(db, customers=1, steps=OFFER), ChoiceStore(db)
    world.calls()
    address, file = "kunde0@example.com", tmp_path / "forms.csv"
    assert store.say("email", address, False, "link 1", NOON)
    for n in range(3):
        assert not store.say("email", address, False, f"link {n}", later(days=4, minutes=n))
    file.write_text(f"address,given\n{address},{later(days=2).isoformat()}\n")
    assert store.load(file, "email", "form 7") == 1
    assert not world.claim(later(days=5)) and world.states() == [("not_sent", "dnc")]
    assert [(said.source, said.at) for said in store.of(address)] == [
        ("link 1", NOON), ("form 7", later(days=2)), ("link 2", later(days=4, minutes=2))
    ]  # fmt: skip


def test_what_came_of_the_messages_is_counted_and_what_was_given_up_goes_again(db: Engine) -> None:
    world = Writing(db, customers=3)
    world.calls()
    first, second, _ = world.claim(TWO_DAYS_LATER)
    assert world.outbox.sent(first, TWO_DAYS_LATER)
    assert world.outbox.failed(second, TWO_DAYS_LATER, "550 unknown", for_good=True)
    [step] = figures(db, "spring").steps
    assert (step.step, step.waiting, step.sent, step.failed) == ("missed", 1, 1, 1)
    [why] = figures(db, "spring").reasons
    assert (why.state, why.messages, why.example) == ("failed", 1, "550 unknown")
    assert send_again(db, "spring", TWO_DAYS_LATER) == 1
    assert [each.key for each in world.claim(TWO_DAYS_LATER)] == [second.key]


def test_consents_come_in_by_the_thousand_or_not_at_all(db: Engine, tmp_path: Path) -> None:
    file, store = tmp_path / "forms.csv", ChoiceStore(db)
    file.write_text(
        "address,given,expires\nKunde0@Example.com,2026-11-01,\nkunde1@example.com,2026-11-01,2026-11-02\n"
    )
    assert store.load(file, "email", "form 7") == 2 and store.load(file, "email", "form 7") == 0
    assert [said.agreed for said in store.of("kunde0@example.com")] == [True]
    file.write_text("address,given\nkunde2@example.com,2026-11-01\nnobody,2026-11-01\n")
    with pytest.raises(ConsentError, match="line 3: 'nobody' is no address by email"):
        store.load(file, "email", "form 7")
    assert not store.of("kunde2@example.com")


def test_messages_are_a_treatment_of_their_own(db: Engine) -> None:
    world = Writing(db, customers=40, steps=MISSED + "hold_out = 0.5\n")
    world.calls()
    letters = world.claim(TWO_DAYS_LATER)
    assert all(world.outbox.sent(each, TWO_DAYS_LATER) for each in letters)
    sent = [row.customer_id for row in world.rows() if row.state == "sent"]
    held_out = [row.customer_id for row in world.rows() if row.state == "not_sent"]
    at = (TWO_DAYS_LATER + timedelta(hours=1)).isoformat()
    with db.connect() as connection:
        unit = connection.execute(text("SELECT id FROM unit WHERE parent_id IS NULL")).scalar_one()
    orders = [Purchase(customer, at, 100.0) for customer in sent[:5]]
    returns = [Purchase(customer, at, -100.0) for customer in (sent[5], held_out[0])]
    bring_in(db, unit, [*orders, *returns], "Asia/Shanghai", "test")
    world.calls("connected", later(days=3))
    found = evaluate(db, "spring", later(days=-1), later(days=9), "message")
    assert {row.key: row.contacts for row in found.rows} == {"": 40 - len(letters), "missed": len(letters)}
    [step] = found.messages
    assert (step.step, step.written, step.written_buyers) == ("missed", len(letters), 5)
    assert (step.held_out, step.held_out_buyers) == (40 - len(letters), 0)
    assert step.buyers_gained is not None and step.buyers_gained.estimate == pytest.approx(5 / len(letters))


def test_a_step_is_compared_by_itself_while_it_held_out_another_share(db: Engine) -> None:
    """The same share buys of those written to and of those held out, but none who came when fewer were held out."""
    world = Writing(db, customers=60, steps=MISSED + "hold_out = 0.5\n")
    world.calls()
    assert all(world.outbox.sent(each, TWO_DAYS_LATER) for each in world.claim(TWO_DAYS_LATER))
    waves = {
        state: [row.customer_id for row in world.rows() if row.state == state]
        for state in ("sent", "not_sent")
    }
    world.campaign.store.apply(f"{CONFIG}{MISSED}hold_out = 0.1\n", "test", "tester", TWO_DAYS_LATER)
    rows = [
        Row(n, (f"+8613700{n:06d}",), "客户", {}, ("Asia/Shanghai",), customer_id=f"d{n}") for n in range(60)
    ]
    store_rows(db, world.campaign.id, "more", "test", NOON, rows)
    leads = world.campaign.lease(1_000, later(days=1))
    world.call(*(lead for lead in leads if (lead.customer_id or "").startswith("d")), at=later(days=1))
    assert all(world.outbox.sent(each, later(days=3)) for each in world.claim(later(days=3)))
    assert {round(row.hold_out, 2) for row in world.rows()} == {0.5, 0.1}
    with db.connect() as connection:
        unit = connection.execute(text("SELECT id FROM unit WHERE parent_id IS NULL")).scalar_one()
    at = (TWO_DAYS_LATER + timedelta(hours=1)).isoformat()
    buyers = [customer for wave in waves.values() for customer in wave[: round(0.4 * len(wave))]]
    bring_in(db, unit, [Purchase(customer, at, 100.0) for customer in buyers], "Asia/Shanghai", "test")
    [step] = evaluate(db, "spring", later(days=-1), later(days=9), "message").messages
    assert (step.written + step.held_out, step.written_buyers + step.held_out_buyers) == (120, len(buyers))
    for gained in (step.buyers_gained, step.looked):
        assert gained is not None and abs(gained.estimate) < 0.03
