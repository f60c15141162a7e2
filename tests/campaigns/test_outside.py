"""Calls of agents to numbers of their own choice: however they come, no more than the caps let through."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from campaigns import database
from campaigns.outside import LONGEST
from campaigns.records import OutsideEnded
from campaigns.values import Lead, OutsideCaller, Refusal, RefusalReason
from tests.campaigns.test_by_hand import KNOWN, refused
from tests.campaigns.world import NOON, Campaign
from tests.database import fresh_url

DAY = timedelta(hours=24)
users = count(1_000)


@pytest.fixture(scope="module")
def campaign() -> Iterator[Campaign]:
    engine: Engine = database.connect(fresh_url())
    yield Campaign(engine)
    engine.dispose()


# After how long, and how long it lasts in minutes; None: nobody ever hears of its end.
CALLS = st.lists(st.tuples(st.integers(0, 12 * 60), st.none() | st.integers(0, 500)), min_size=1, max_size=12)


@settings(max_examples=30, deadline=None)
@given(asked=CALLS, calls=st.integers(0, 5), minutes=st.integers(0, 600))
def test_what_is_let_through_is_what_the_caps_have_room_for(
    campaign: Campaign, asked: list[tuple[int, int | None]], calls: int, minutes: int
) -> None:
    by = OutsideCaller(next(users), calls, float(minutes))
    now, made = NOON, list[tuple[datetime, datetime | None]]()
    for wait, lasts in asked:
        now += timedelta(minutes=wait)
        recent = [(at, end) for at, end in made if at > now - DAY]
        talked = sum(
            (min(end if end is not None and end <= now else now, at + LONGEST) - at for at, end in recent),
            timedelta(),
        )
        uid = f"zdp-{by.user_id}-{len(made)}"
        found = campaign.hopper.sent_outside(by, uid, campaign.id, "+861069001234", now)
        permitted = len(recent) < calls and talked < timedelta(minutes=minutes)
        assert (found is None) is permitted
        if found is not None:
            full = len(recent) >= calls
            assert found.reason is (RefusalReason.OUTSIDE_CALLS if full else RefusalReason.OUTSIDE_MINUTES)
            assert found.until is None or now < found.until <= now + DAY
            continue
        end = None if lasts is None else now + timedelta(minutes=lasts)
        made.append((now, end))
        if end is not None:
            campaign.record(OutsideEnded(at=end, uid=uid))


def test_by_hand_and_sent_count_together_and_a_call_that_was_never_dialed_does_not(db: Engine) -> None:
    campaign = Campaign(db)
    by = OutsideCaller(7, 2, 100.0)
    first = campaign.hopper.lease_number(campaign.id, KNOWN, by, NOON)
    assert isinstance(first, Lead)
    campaign.hopper.release([first.call_id])  # the agent was gone meanwhile
    again = campaign.hopper.lease_number(campaign.id, KNOWN, by, NOON)
    assert isinstance(again, Lead) and campaign.dial([again])
    assert campaign.hopper.sent_outside(by, "zdp-1", campaign.id, "+861069001234", NOON) is None
    assert refused(campaign.hopper.lease_number(campaign.id, KNOWN, by, NOON)) is RefusalReason.OUTSIDE_CALLS
    told = campaign.hopper.may_send_outside(by, NOON)
    assert isinstance(told, Refusal) and told.until == NOON + DAY
    assert campaign.hopper.may_send_outside(by._replace(user_id=8), NOON) is None  # each has their own
