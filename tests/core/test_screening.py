"""Answering machine detection: who is judged, who goes to a seat without a verdict, and who is in no count."""

from __future__ import annotations

import pytest

from campaigns.config import Abandon
from campaigns.records import AttemptEnded
from dialer.core.calls import DETECTION_LIMIT_S
from dialer.switch import port
from tests.core.world import CAMPAIGN, SWITCH, World, config

LIMIT_S = 2.0


def screened(here: World) -> str:
    """A customer has just answered, and the detection listens; their channel."""
    [call_id] = here.dial()
    here.pass_time(5.0)
    here.answer(f"zdc-{call_id}")
    return f"zdc-{call_id}"


def verdict(here: World, uid: str, status: str) -> None:
    here.event(port.AmdResult(here.at, SWITCH, uid, status, ""))


def until_next(here: World) -> None:
    """To the next instant at which the engine does something by itself."""
    due = here.core.timers.next_due()
    assert due is not None
    here.at = max(here.at, due)
    here.core.tick(here.at)
    here.run()


def ended(here: World) -> AttemptEnded:
    [record] = [record for record in here.records if isinstance(record, AttemptEnded)]
    return record


@pytest.mark.parametrize("limit_s", [LIMIT_S, 0.2])
def test_who_is_not_judged_in_time_has_a_seat_before_the_connect_limit(limit_s: float) -> None:
    here = World(config(amd=True, connect_limit_s=limit_s))
    here.seat(1)
    uid = screened(here)
    answered_at = here.at
    until_next(here)
    assert answered_at <= here.at < answered_at + limit_s and here.joins
    here.at += 0.005
    here.join_all()
    here.pass_time(5.0)
    verdict(here, uid, "MACHINE")  # they talk by now
    here.hang_up(uid)
    assert not here.sent and ended(here).outcome == "connected"
    here.check()


def test_without_a_free_seat_who_is_not_judged_is_abandoned_at_the_limit() -> None:
    here = World(config(amd=True, connect_limit_s=LIMIT_S))
    uid = screened(here)
    here.pass_time(LIMIT_S - 0.25)
    assert not here.sent
    here.pass_time(0.5)
    here.hang_up(uid)
    assert (ended(here).outcome, ended(here).wait_s) == ("abandoned", pytest.approx(LIMIT_S + 0.25))


def test_where_the_clock_begins_with_the_verdict_the_detection_listens_to_its_end() -> None:
    here = World(config(amd=True, connect_limit_s=LIMIT_S, abandon=Abandon(clock="detected")))
    here.seat(1)
    uid = screened(here)
    answered_at = here.at
    until_next(here)
    assert here.at == answered_at + DETECTION_LIMIT_S
    here.pass_time(1.5)
    here.join_all()
    here.hang_up(uid)
    assert ended(here).outcome == "connected"


@pytest.mark.parametrize("told", [True, False])
def test_who_hangs_up_while_the_detection_listens_is_in_no_count(told: bool) -> None:
    here = World(config(amd=True))
    here.seat(1)
    uid = screened(here)
    if told:
        verdict(here, uid, "HANGUP")
    here.hang_up(uid)
    assert (ended(here).outcome, ended(here).amd) == ("hung_up", "HANGUP")
    campaign = here.core.campaigns[CAMPAIGN]
    assert (here.pops(), campaign.counts.humans, campaign.ledger.answered) == ([], 0, 0)
    here.check()


def test_a_machine_that_is_found_out_while_it_waits_for_a_seat_is_in_no_count() -> None:
    here = World(config(amd=True))
    uid = screened(here)
    until_next(here)
    verdict(here, uid, "MACHINE")
    here.hang_up(uid)
    assert (ended(here).outcome, ended(here).amd) == ("hung_up", "MACHINE")
    campaign = here.core.campaigns[CAMPAIGN]
    assert (campaign.counts.humans, campaign.ledger.answered) == (0, 0)


def test_a_person_who_does_not_wait_for_a_seat_is_counted() -> None:
    here = World(config(amd=True))
    uid = screened(here)
    verdict(here, uid, "HUMAN")
    here.hang_up(uid)
    assert (ended(here).outcome, ended(here).amd) == ("hung_up", "HUMAN")
    campaign = here.core.campaigns[CAMPAIGN]
    assert (campaign.counts.humans, campaign.ledger.answered) == (1, 1)
