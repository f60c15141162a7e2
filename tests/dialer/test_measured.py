"""What single attempts and seat-log lines count for when a day is measured."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from campaigns.config import CampaignConfig
from campaigns.day import DialedCall, SeatInterval
from dialer.measured import Ending, course, endings, people, stints
from simulator.floor.distribution import Empirical
from tests.campaigns.world import NOON

END = NOON + timedelta(hours=2)
CONFIG = CampaignConfig(name="spring", switch="main")


def at(seconds: float | None) -> datetime | None:
    return None if seconds is None else NOON + timedelta(seconds=seconds)


def call(
    outcome: str | None,
    *,
    dialed: float = 0.0,
    answered: float | None = None,
    connected: float | None = None,
    ended: float | None = None,
    ring_s: float | None = None,
    wait_s: float | None = None,
    amd: str | None = None,
) -> DialedCall:
    return DialedCall(
        call_id="c", list_id=1, dialed_at=NOON + timedelta(seconds=dialed), answered_at=at(answered),
        connected_at=at(connected), ended_at=at(ended), outcome=outcome, ring_s=ring_s, wait_s=wait_s, talk_s=None,
        user_id=None, amd=amd, code=None,
    )  # fmt: skip


def kinds(*calls: DialedCall, config: CampaignConfig = CONFIG) -> list[str]:
    return [each.kind for each in endings(calls, config, NOON, END)]


def test_what_no_switch_took_is_no_dial_and_what_was_cut_off_is_nobodys() -> None:
    found = kinds(
        call("cancelled", ended=0.1),
        call("lost", ended=4.0),
        call(None),
        call("lost", answered=8.0, ended=30.0),
        call(None, answered=8.0, connected=8.1),
        call("rejected", ended=6.0),
    )
    assert found == ["", "", "person", "person", "busy"]


def test_who_leaves_during_the_detection_is_nobody_known() -> None:
    left = call("hung_up", answered=8.0, ended=9.0)
    assert kinds(left) == ["person"]
    screened = msgspec.structs.replace(CONFIG, amd=True)
    assert kinds(left, config=screened) == [""]
    left = call("hung_up", answered=8.0, ended=9.0, amd="HANGUP")
    assert kinds(left, config=screened) == [""]
    assert kinds(call("hung_up", answered=8.0, ended=9.5, amd="HUMAN"), config=screened) == ["person"]


def test_who_is_not_judged_in_time_was_taken_for_a_person() -> None:
    screened = msgspec.structs.replace(CONFIG, amd=True)
    found = kinds(
        call("connected", answered=8.0, connected=9.7, ended=60.0),
        call(None, answered=8.0, connected=9.7),
        call("abandoned", answered=8.0, ended=12.0),
        config=screened,
    )
    assert found == ["person", "person", "person"]


def test_a_dial_that_was_cut_off_counts_as_those_that_rang_longer() -> None:
    """Killed after 15 s of ringing: it was none of those answered at 10 s."""
    answered = [call("connected", answered=10.0, connected=10.0, ended=50.0, ring_s=9.5) for _ in range(50)]
    rang_out = [call("no_answer", ended=25.0, ring_s=24.5) for _ in range(40)]
    cut_off = [call(None) for _ in range(10)]
    found = endings([*answered, *rang_out, *cut_off], CONFIG, NOON, NOON + timedelta(seconds=15))
    weights = {
        kind: sum(each.weight for each in found if each.kind == kind) for kind in ("person", "no_answer", "")
    }
    assert weights == {"person": pytest.approx(50.0), "no_answer": pytest.approx(50.0), "": 0.0}


def test_an_hour_with_few_dials_has_the_days_share() -> None:
    found = [Ending(call("connected"), "person", 1.0, 0, 1.0)] * 30 + [
        Ending(call("busy"), "busy", 1.0, 0, 1.0)
    ] * 30
    found += [Ending(call("busy"), "busy", 1.0, 1, 1.0)] * 4
    assert course(found, "person", 2) == ((0.0, 0.5), (1.0, 0.5), (1.0, 0.46875), (2.0, 0.46875))


def line(state: str, begin: float, end: float, call_id: str = "") -> SeatInterval:
    return SeatInterval(
        7, "s", state, "", call_id, NOON + timedelta(seconds=begin), NOON + timedelta(seconds=end)
    )


def test_a_seats_calls_are_told_apart_and_what_the_day_cut_is_known() -> None:
    end = NOON + timedelta(seconds=400)
    found = stints(
        [
            line("ready", 0, 10),
            line("connecting", 10, 11, "a"),
            line("talking", 11, 70, "a"),
            line("wrap_up", 70, 90, "a"),
            line("preview", 90, 120),
            line("talking", 120, 150, "b"),  # no wrap-up
            line("talking", 150, 200, "c"),  # at once the next
            line("wrap_up", 200, 230, "c"),
            line("ready", 230, 300),
            line("talking", 300, 400, "d"),
        ],
        end,
    )
    assert [(each.talk_s, each.wrap_s, each.talk_whole) for each in found] == [
        (60, 20, True),
        (30, 0, True),
        (50, 30, True),
        (100, 0, False),
    ]


def test_detection_is_measured_on_the_machines_it_found_and_taken_off_the_wait() -> None:
    config = msgspec.structs.replace(CONFIG, amd=True)
    calls = [call("machine", answered=20.0, ended=21.5, ring_s=19.0, amd="MACHINE") for _ in range(20)]
    calls += [
        call("connected", answered=10.0, connected=11.2, ended=60.0, ring_s=9.0, wait_s=1.2, amd="HUMAN")
        for _ in range(40)
    ]
    served = stints([line("talking", 11, 60, "a"), line("wrap_up", 60, 70, "a")], END)
    found = people(endings(calls, config, NOON, END), served, config, 2, "spring")
    assert found is not None and found.amd is not None and isinstance(found.machine_ring, Empirical)
    assert (found.amd.detection.mean(), found.machine_ring.mean()) == (
        pytest.approx(1.5),
        pytest.approx(19.0),
    )
    assert found.connect_limit_s == pytest.approx(0.5)
    assert found.patience is None
    assert (found.person, found.machine) == (
        ((0.0, 0.66667), (1.0, 0.66667), (1.0, 0.66667), (2.0, 0.66667)),
        ((0.0, 0.33333), (1.0, 0.33333), (1.0, 0.33333), (2.0, 0.33333)),
    )


def test_a_day_on_which_nobody_was_connected_has_no_people() -> None:
    assert people(endings([call("busy", ended=1.0)], CONFIG, NOON, END), [], CONFIG, 2, "spring") is None
