"""A day as it was recorded: what seats did for which campaign, and the attempts with their times."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, text

from campaigns import day
from campaigns.history import query
from campaigns.history.files import Files
from campaigns.history.query import History
from campaigns.records import AttemptConnected, AttemptEnded, Dispositioned, SeatChanged
from tests.campaigns.world import NOON, Campaign, later

HOUR = timedelta(hours=1)


def history(db: Engine) -> History:
    return History(db, Files(Path("no-archive")))


def seat(user_id: int, state: str, minutes: float, campaign: int, call_id: str = "") -> SeatChanged:
    return SeatChanged(
        at=later(minutes=minutes),
        user_id=user_id,
        session_id="s",
        state=state,
        call_id=call_id,
        campaign_id=campaign,
    )


def test_a_seats_hour_is_told_without_gap_and_by_campaign(db: Engine) -> None:
    campaign = Campaign(db)
    other = campaign.id + 1
    campaign.record(
        seat(7, "ready", -10, campaign.id),
        seat(7, "talking", 5, campaign.id, "c1"),
        seat(8, "paused", 6, campaign.id),
        seat(7, "wrap_up", 9, campaign.id),
        seat(7, "ready", 10, other),
        seat(7, "ready", 20, campaign.id),
        seat(8, "offline", 30, 0),
    )
    found = day.seat_intervals(history(db), campaign.id, NOON, NOON + HOUR)
    told = [(i.user_id, i.does, i.call_id, i.start - NOON, i.stop - NOON) for i in found]
    minutes = [
        (u, does, call, a.total_seconds() / 60, b.total_seconds() / 60) for u, does, call, a, b in told
    ]
    assert minutes == [
        (7, "idle", "", 0, 5),
        (7, "talk", "c1", 5, 9),
        (8, "away", "", 6, 30),
        (7, "wrap", "", 9, 10),
        (7, "idle", "", 20, 60),
    ]


def test_an_hours_attempts_come_in_order_with_what_came_of_them(db: Engine) -> None:
    campaign = Campaign(db, leads=3)
    first, second, _ = campaign.lease(3)
    campaign.dial([first])
    campaign.dial([second], later(minutes=61))
    campaign.record(
        AttemptConnected(at=later(seconds=12), call_id=first.call_id, user_id=7),
        AttemptEnded(
            at=later(seconds=90),
            call_id=first.call_id,
            outcome="connected",
            ring_s=11.5,
            wait_s=0.5,
            talk_s=78.0,
        ),
        Dispositioned(at=later(seconds=95), call_id=first.call_id, user_id=7, code="sold"),
    )
    [call] = day.dialed_calls(history(db), campaign.id, NOON, NOON + HOUR)
    assert (call.call_id, call.outcome, call.code) == (first.call_id, "connected", "sold")
    assert (call.ring_s, call.wait_s, call.talk_s, call.user_id) == (11.5, 0.5, 78.0, 7)
    assert call.list_id == campaign.imported.list_id
    assert len(day.dialed_calls(history(db), campaign.id, NOON, NOON + 2 * HOUR)) == 2


def test_a_day_is_found_in_its_own_month(db: Engine) -> None:
    with db.connect() as connection:
        for statement, partition in ((query.LIVE_SEATS.text, "seat_log_"), (query.LIVE, "attempt_")):
            values = {"since": NOON, "until": NOON + HOUR, "from": NOON - HOUR, "filed": []}
            plan = "\n".join(connection.execute(text(f"EXPLAIN {statement}"), values).scalars())
            assert f"{partition}2026_11" in plan and f"{partition}2026_12" not in plan
