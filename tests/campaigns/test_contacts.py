"""What an agent is shown of a customer's earlier contacts, and of their own day."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from campaigns.contacts import Contacts
from campaigns.history import person as persons
from campaigns.journal_store import JournalStore
from campaigns.records import SeatChanged
from tests.campaigns.history.past import TODAY, Past, number
from tests.campaigns.world import NOON

HIM = 2


def test_a_customers_contacts_are_told_of_all_their_lists_and_only_of_campaigns_that_are_seen(
    db: Engine, tmp_path: Path
) -> None:
    past = Past(db, tmp_path, leads=5)
    him = persons.find(db, number=number(HIM))
    known = Contacts(db).of_customer(him.lead_ids[0], "0" * 32, None)
    assert [each.number for each in known.numbers] == [number(HIM)]
    assert len(known.contacts) == 3
    assert [each.at for each in known.contacts] == sorted((each.at for each in known.contacts), reverse=True)
    first = known.contacts[0]
    assert (first.campaign, first.number, first.outcome) == ("spring", number(HIM), "connected")
    assert first.code and first.notes.startswith("wants it by ")
    assert not Contacts(db).of_customer(him.lead_ids[0], "0" * 32, ["another"]).contacts
    calls = past.history.calls(TODAY - timedelta(days=200), TODAY, him)
    assert len(Contacts(db).of_customer(him.lead_ids[0], calls[-1].call_id, None).contacts) == 2


def test_a_day_is_the_time_in_each_state_and_what_came_of_the_calls(db: Engine) -> None:
    def change(minute: float, state: str, reason: str = "", user: int = 7) -> SeatChanged:
        at = NOON + timedelta(minutes=minute)
        return SeatChanged(at=at, user_id=user, session_id="s", state=state, reason=reason)

    lines = [
        change(0, "ready"),
        change(1, "ready", user=8),
        change(10, "paused", "lunch"),
        change(40, "ready"),
        change(50, "offline"),
        change(60, "ready"),
    ]
    JournalStore(db, "x").apply(list(enumerate(lines, 1)))
    day = Contacts(db).day(7, NOON, NOON + timedelta(minutes=61), ["spring"])
    assert day.seconds == {"ready": 21 * 60.0, "paused": 30 * 60.0}
    assert day.paused == {"lunch": 30 * 60.0}
    assert (day.calls, day.verdicts, day.callbacks) == (0, {}, [])
