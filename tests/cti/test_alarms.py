"""Alarms: what is wrong for long enough is told, once, until it has been right for a while; who has seen it stands."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from cti.alarms import CALM_S, LOOK_BACK_S, Alarms
from cti.figures import CampaignSnapshot, SeatRow, Trunk

NOW = 1_000_000.0


def snapshot(at: float = NOW, **more: object) -> CampaignSnapshot:
    fields: dict[str, object] = {
        "campaign": "spring",
        "at": at,
        "mode": "predictive",
        "running": True,
        "seats": {"ready": 2, "talking": 8},
        "lines": {},
        "dials": 0,
        "answered_humans": 0,
        "connected": 0,
        "abandoned": 0,
        "abandon_rate": 0.0,
        "target": 0.03,
        "idle_s_per_call": 0.0,
        "occupancy": 0.0,
        "leads_left": 1_000_000,
        "trunk": Trunk("main", up=True, in_use=0, most=100),
    }
    return CampaignSnapshot(**(fields | more))  # type: ignore[arg-type]


def watched(snapshots: Iterable[CampaignSnapshot], seats: Iterable[SeatRow] = ()) -> Alarms:
    """Alarms that have looked at these, each at its own time."""
    alarms = Alarms()
    for each in snapshots:
        alarms.look({each.campaign: each}, list(seats), each.at)
    return alarms


def raised(alarms: Alarms) -> list[tuple[str, str]]:
    return [(alarm.kind, alarm.subject) for alarm in alarms.of(lambda campaign: True)]


def minutes(**growing: float) -> list[CampaignSnapshot]:
    """Five minutes, a snapshot every ten seconds; each figure grows by so much a second from 0 on."""
    found = []
    for n in range(31):
        figures = {
            name: round(rate * n * 10, 3) if name.endswith("_s") else int(rate * n * 10)
            for name, rate in growing.items()
        }
        found.append(snapshot(NOW + n * 10, **figures))
    return found


def test_the_abandon_rate_near_its_target_is_told_once_people_enough_have_answered() -> None:
    near = {"abandon_rate": 0.025, "window_answered": 400.0}
    assert raised(watched(snapshot(NOW + n, **near) for n in range(10))) == [("abandon", "")]
    few = {"abandon_rate": 0.05, "window_answered": 20.0}
    assert raised(watched(snapshot(NOW + n, **few) for n in range(10))) == []
    below = {"abandon_rate": 0.02, "window_answered": 400.0}
    assert raised(watched(snapshot(NOW + n, **below) for n in range(10))) == []


def test_a_glimpse_is_no_alarm() -> None:
    alarms = Alarms()
    for n in range(60):
        rate = 0.03 if n % 4 == 0 else 0.0
        each = snapshot(NOW + n, abandon_rate=rate, window_answered=400.0)
        assert not alarms.look({"spring": each}, [], each.at)


def test_an_alarm_is_over_when_it_has_been_right_for_a_while_and_the_next_one_is_new() -> None:
    alarms = Alarms()

    def look(second: float, rate: float) -> bool:
        each = snapshot(NOW + second, abandon_rate=rate, window_answered=400.0)
        return alarms.look({"spring": each}, [], each.at)

    assert not look(0, 0.03)
    assert look(6, 0.03)
    first = alarms.of(lambda campaign: True)[0]
    assert not look(10, 0.0)
    assert not look(12, 0.03)  # as before: the same alarm
    assert not look(14, 0.0)
    assert look(14 + CALM_S, 0.0)
    assert raised(alarms) == []
    look(100, 0.03)
    look(106, 0.03)
    assert alarms.of(lambda campaign: True)[0].id != first.id


def test_who_was_first_to_see_it_stands() -> None:
    alarms = watched(snapshot(NOW + n, abandon_rate=0.03, window_answered=400.0) for n in range(10))
    (alarm,) = alarms.of(lambda campaign: True)
    assert alarms.acknowledge(alarm.id, "陈静", NOW + 20)
    again = alarms.acknowledge(alarm.id, "Root", NOW + 30)
    assert again is not None and (again.acknowledged_by, again.acknowledged_at) == ("陈静", NOW + 20)
    assert alarms.acknowledge(alarm.id + 1, "Root", NOW + 30) is None


def test_nobody_sees_the_alarms_of_another_campaign() -> None:
    alarms = watched(snapshot(NOW + n, abandon_rate=0.03, window_answered=400.0) for n in range(10))
    assert alarms.of(lambda campaign: campaign != "spring") == ()


def test_seats_that_wait_long_for_each_call() -> None:
    slow = minutes(idle_s=2.0, connected=0.02)
    assert raised(watched(slow)) == [("idle", "")]
    assert raised(watched(minutes(idle_s=2.0, connected=0.05))) == []
    assert raised(watched(minutes(idle_s=2.0))) == [("idle", "")]  # no call at all


def test_nothing_is_told_of_a_stopped_campaign() -> None:
    stopped = [
        snapshot(NOW + n, abandon_rate=0.05, window_answered=400.0, running=False, leads_left=0)
        for n in range(90)
    ]
    assert raised(watched(stopped)) == []


def test_a_switch_that_is_away_or_places_hardly_a_call() -> None:
    down = Trunk("main", up=False, in_use=0, most=100)
    assert raised(watched(snapshot(NOW + n, trunk=down) for n in range(20))) == [("trunk", "main")]
    theirs = [
        snapshot(NOW + n * 10, trunk=None, leads_left=0, decision={"bound": "elsewhere"}) for n in range(12)
    ]
    assert raised(watched(theirs)) == []  # another engine has it, and knows
    failing = [snapshot(NOW + n * 10, outcomes={"connected": 10 * n, "congestion": 6 * n}) for n in range(12)]
    assert raised(watched(failing)) == [("trunk", "main")]
    well = [snapshot(NOW + n * 10, outcomes={"no_answer": 10 * n, "failed": n}) for n in range(12)]
    assert raised(watched(well)) == []


def test_failures_of_an_hour_ago_are_no_alarm_now() -> None:
    bad = [snapshot(NOW + n * 10, outcomes={"congestion": 6 * n}) for n in range(12)]
    later = NOW + 3_600
    well = [
        snapshot(later + n * 10, outcomes={"congestion": 66, "connected": 6 * n})
        for n in range(int(LOOK_BACK_S / 10))
    ]
    assert raised(watched([*bad, *well])) == []


def test_a_list_that_runs_dry() -> None:
    left = [snapshot(NOW + n * 10, leads_left=3_000 - 10 * n) for n in range(31)]
    assert raised(watched(left)) == [("list", "")]  # 2,700 at one a second
    assert raised(watched(snapshot(NOW + n, leads_left=0) for n in range(40))) == [("list", "")]
    held = [snapshot(NOW + n * 10, decision={"bound": "leads"}) for n in range(20)]
    assert raised(watched(held)) == [("held", "")]
    empty = [snapshot(NOW + n * 10, leads_left=0, decision={"bound": "leads"}) for n in range(20)]
    assert raised(watched(empty)) == [("list", "")]  # which says it


@pytest.mark.parametrize(
    ("state", "spent_s", "until_s", "stuck"),
    [
        ("connecting", 30, None, True),
        ("connecting", 5, None, False),
        ("no_phone", 200, None, True),
        ("wrap_up", 700, 30, True),
        ("wrap_up", 700, 900, False),  # it may last that long
        ("talking", 4_000, None, True),
        ("paused", 4_000, None, False),  # a pause without a limit
        ("paused", 4_000, 3_990, False),
        ("paused", 4_000, 600, True),
        ("ready", 4_000, None, False),
    ],
)
def test_a_seat_that_does_not_come_out_of_its_state(
    state: str, spent_s: float, until_s: float | None, stuck: bool
) -> None:
    since = NOW - spent_s
    seat = SeatRow(
        7, "李娜", state, since, "", ("spring",), until=None if until_s is None else since + until_s
    )
    alarms = watched([snapshot()], [seat])
    assert raised(alarms) == ([("seat", state)] if stuck else [])
    if stuck:
        (alarm,) = alarms.of(lambda campaign: True)
        assert (alarm.campaign, alarm.user_id, alarm.name) == ("spring", 7, "李娜")
