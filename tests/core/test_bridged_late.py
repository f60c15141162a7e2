"""A bridge that the switch made in time, and of which the engine heard when the connect limit had passed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.config import Inbound
from campaigns.records import AttemptConnected, AttemptEnded
from dialer.core.calls import WORD_LIMIT_S
from dialer.switch import port
from tests.core.world import CALLED, SWITCH, SWITCH_AHEAD_S, World, config

LIMIT_S = 2.0


@dataclass
class Joining:
    """A customer who has answered, and a seat that was asked for at once."""

    here: World
    uid: str
    answered_at: float

    def bridged(self, after_s: float, heard_s: float, stamped: bool = True) -> None:
        """The switch brings them together so long after the answer; the engine hears of it so long after it."""
        self.here.pass_time(self.answered_at + heard_s - self.here.at)
        [join] = self.here.joins
        self.here.joins.clear()
        self.here.channels[join.uid].bridge = self.here.channels[join.leg].bridge = "b"
        stamp = self.answered_at + after_s + SWITCH_AHEAD_S if stamped else None
        happened = self.answered_at + after_s if stamped else None
        self.here.event(port.Bridged(self.here.at, SWITCH, join.uid, "b", happened, stamp))

    def ended(self) -> AttemptEnded:
        """The customer leaves ten seconds later; what is on record."""
        self.here.pass_time(10.0)
        self.here.hang_up(self.uid)
        self.here.check()
        [record] = [record for record in self.here.records if isinstance(record, AttemptEnded)]
        return record

    @property
    def torn(self) -> bool:
        """Whether the customer was taken out of the bridge, to hear the message."""
        return [sent.context for sent in self.here.sent if sent.uid == self.uid] == ["zhudong-safe-harbour"]


def joining(mode: str = "nailed") -> Joining:
    here = World(config(connect_limit_s=LIMIT_S))
    here.seat(1, mode)
    (call_id,) = here.dial()
    here.pass_time(5.0)
    here.answer(f"zdc-{call_id}")
    return Joining(here, f"zdc-{call_id}", here.at)


@pytest.mark.parametrize(
    ("after_s", "heard_s", "outcome"),
    [
        (0.1, 0.1, "connected"),
        (1.2, 2.4, "connected"),
        (1.99, 2.01, "connected"),
        (1.99, 2.0 + WORD_LIMIT_S - 0.3, "connected"),
        (2.1, 2.2, "abandoned"),
        (2.5, 6.0, "abandoned"),
    ],
)
def test_the_switchs_own_time_says_whether_they_were_brought_together_in_time(
    after_s: float, heard_s: float, outcome: str
) -> None:
    on = joining()
    on.bridged(after_s, heard_s)
    assert on.torn == (outcome == "abandoned")
    record = on.ended()
    assert record.outcome == outcome
    counts = on.here.core.campaigns["spring"].counts
    assert (counts.connected, counts.abandoned, counts.humans) == (
        (1, 0, 1) if outcome == "connected" else (0, 1, 1)
    )
    if outcome == "connected":
        assert record.wait_s == pytest.approx(after_s)
        [connected] = [each for each in on.here.records if isinstance(each, AttemptConnected)]
        assert connected.at == on.here.core.wall(on.answered_at + after_s)


@given(st.floats(0.0, 4.0), st.floats(0.0, 4.0))
def test_whenever_it_is_heard(after_s: float, late_s: float) -> None:
    if abs(after_s - LIMIT_S) < 1e-3:
        return
    on = joining()
    on.bridged(after_s, after_s + late_s)
    assert on.torn == (after_s > LIMIT_S)
    assert on.ended().outcome == ("abandoned" if after_s > LIMIT_S else "connected")


def test_a_switch_whose_events_bear_no_time_is_judged_by_when_it_was_heard() -> None:
    on = joining()
    on.bridged(1.2, 2.4, stamped=False)
    assert on.torn and on.ended().outcome == "abandoned"


@pytest.mark.parametrize("set_s", [-3_600.0, -0.5, 30.0])
def test_a_switch_whose_clock_was_set_in_between_is_judged_by_our_own(set_s: float) -> None:
    on = joining()
    on.here.pass_time(1.0)
    [join] = on.here.joins
    on.here.joins.clear()
    stamp = on.here.at - 0.75 + SWITCH_AHEAD_S + set_s
    on.here.event(port.Bridged(on.here.at, SWITCH, join.uid, "b", on.here.at - 0.25, stamp))
    assert (record := on.ended()).outcome == "connected" and record.wait_s == pytest.approx(0.75)


def test_of_a_bridge_that_nobody_tells_of_the_message_is_the_end() -> None:
    on = joining()
    on.here.joins.clear()
    on.here.pass_time(LIMIT_S + WORD_LIMIT_S - 0.5)
    assert not on.torn
    on.here.pass_time(1.0)
    assert on.torn and on.ended().outcome == "abandoned"


def test_a_bridge_that_is_refused_after_the_limit_is_no_reason_to_wait() -> None:
    on = joining()
    on.here.pass_time(LIMIT_S + 0.5)
    assert not on.torn
    on.here.joins.clear()
    on.here.core.join_failed(on.uid.removeprefix("zdc-"), on.here.at)
    on.here.pass_time(0.25)
    assert on.torn and on.ended().outcome == "abandoned"


def test_a_seat_whose_phone_still_rings_at_the_limit_is_waited_for_no_longer() -> None:
    on = joining("ring")
    on.here.pass_time(LIMIT_S + 0.25)
    assert on.torn and on.ended().outcome == "abandoned"


@pytest.mark.parametrize(("together", "outcome"), [(True, "connected"), (False, "abandoned")])
def test_when_the_link_is_gone_at_the_limit_the_next_one_tells(together: bool, outcome: str) -> None:
    on = joining()
    [join] = on.here.joins
    on.here.joins.clear()
    on.here.link_down()
    on.here.pass_time(60.0)
    assert not on.torn and on.here.outcomes() == {}
    if together:
        on.here.channels[join.uid].bridge = on.here.channels[join.leg].bridge = "b"
    on.here.link_up(heard=on.answered_at)
    assert on.torn != together
    assert on.ended().outcome == outcome


def answered_unheard(after_s: float, noted: float | None) -> tuple[Joining, float]:
    """A customer who answers so long after the link was lost, and when it was; the switch notes it `noted` s off."""
    here = World(config(connect_limit_s=LIMIT_S))
    here.seat(1, "nailed")
    (call_id,) = here.dial()
    here.pass_time(5.0)
    heard, uid = here.at, f"zdc-{call_id}"
    here.link_down()
    here.pass_time(after_s)
    here.channels[uid].state = port.UP
    here.channels[uid].answered = None if noted is None else here.at + noted
    return Joining(here, uid, here.at), heard


@pytest.mark.parametrize("known", [True, False])
def test_who_answers_while_nobody_listens_has_waited_since_then_where_the_switch_knows(known: bool) -> None:
    on, heard = answered_unheard(1.5, 0.0 if known else None)
    on.here.pass_time(0.25)
    on.here.link_up(heard=heard)
    on.bridged(0.75, 1.0)
    assert on.torn != known
    record = on.ended()
    assert record.outcome == ("connected" if known else "abandoned")
    assert not known or record.wait_s == pytest.approx(0.75)


@pytest.mark.parametrize("odd", [-3_600.0, 3_600.0])
def test_a_switch_that_says_odd_times_is_believed_within_the_time_in_which_nobody_listened(
    odd: float,
) -> None:
    on, heard = answered_unheard(1.0, odd)
    on.here.link_up(heard=heard)
    call = on.here.core.calls.by_id[on.uid.removeprefix("zdc-")]
    assert call.answered_at == (heard if odd < 0 else on.here.at)


def test_a_customer_who_called_in_is_torn_from_nobody() -> None:
    """No law says how long they may wait: who has a seat at last keeps it."""
    here = World(config(inbound=Inbound((CALLED,), wait_limit_s=30.0)))
    uid = here.call_in()
    here.look_up()
    here.pass_time(29.0)
    here.seat(1)
    on = Joining(here, uid, here.at - 29.0)
    on.bridged(31.0, 33.0)
    assert not here.sent and on.ended().outcome == "connected"
