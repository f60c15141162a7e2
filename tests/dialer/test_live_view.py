"""What the terminal shows of a campaign is what its snapshot says, at any size and before there is anything."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from rich.live import Live

from cti.figures import CampaignSnapshot
from dialer.core.call import CallState
from dialer.core.seat import SeatState
from dialer.live_view import BAR, HISTORY, LINE_STYLES, SEAT_STYLES, LiveView, bar
from dialer.pair import Pair, PairOptions
from dialer.pair_view import PairView

SPRING = CampaignSnapshot(
    campaign="spring", at=1_700_000_000.0, mode="ratio", running=True,
    seats={"talking": 12, "ready": 3, "wrap_up": 5}, lines={"ringing": 7, "connected": 12},
    dials=1234, answered_humans=617, connected=600, abandoned=12, abandon_rate=0.0194, target=0.03,
    idle_s_per_call=4.25, occupancy=0.853, leads_left=3766,
    decision={"dial": 2, "bound": "lines", "idle_seats": 3, "in_air": 7}, refusals={"dnc": 4},
)  # fmt: skip


def drawn(view: LiveView, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(view)
    return out.getvalue()


def first_lines(view: LiveView | PairView) -> str:
    """What a terminal of the usual size shows, without scrolling."""
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True, color_system=None)
    with Live(view, console=console, auto_refresh=False) as live:
        live.refresh()
        return out.getvalue()  # in the end it is drawn again, as a whole


def test_the_addresses_are_there_when_the_terminal_is_too_low_for_all_figures() -> None:
    view = LiveView([("a seat's page", "http://127.0.0.1:8080/"), ("metrics", "http://127.0.0.1:9464/")])
    for name in ("spring", "autumn"):
        view.take(msgspec.structs.replace(SPRING, campaign=name))
    text = first_lines(view)
    assert "http://127.0.0.1:8080/" in text and "http://127.0.0.1:9464/" in text
    assert "spring" in text and text.rstrip().endswith("...")


def test_all_of_a_pair_is_in_a_terminal_of_24_lines() -> None:
    console = Console(file=io.StringIO(), width=80)
    pair = Pair(PairOptions(), Path("/tmp/zhudong-pair"), console, live=True)
    view = pair._view
    view.take(pair.engines, pair.switches, {}, {("north", "connected"): 1_234, ("south", None): 5})
    for what in ("was killed", "has north", "starts", "has north and south", "customers have their seats"):
        view.tell(what)
    text = first_lines(view)
    for words in (
        *(address for _, address in pair._links()),
        "engine two",
        "switch south",
        "1,234",
        "customers have their",
    ):
        assert words in text, words
    assert "..." not in text


def test_before_the_first_snapshot_it_says_that_it_starts_and_where_the_pages_are() -> None:
    text = drawn(LiveView([("status page", "http://127.0.0.1:8080/status")]))
    assert "starting …" in text and "http://127.0.0.1:8080/status" in text


def test_a_campaigns_figures_are_all_there() -> None:
    view = LiveView([])
    view.take(SPRING)
    text = drawn(view)
    for figure in (
        "spring", "ratio, running", "3,766 leads left", "1,234 dialed", "617 people answered", "600 connected",
        "talking 12", "ready 3", "wrap up 5", "ringing 7", "1.94%", "12 calls; at most 3% allowed",
        "idle 4.2 s per call", "occupancy 85%", "No line is free.", "free seats 3",
        "calls under way 7",
    ):  # fmt: skip
        assert figure in text, figure


def test_the_newest_snapshot_of_each_campaign_is_shown() -> None:
    view = LiveView([])
    view.take(SPRING)
    view.take(msgspec.structs.replace(SPRING, campaign="autumn", running=False, leads_left=None))
    view.take(msgspec.structs.replace(SPRING, dials=1300))
    text = drawn(view)
    assert "1,300 dialed" in text and text.count("1,234 dialed") == 1
    assert "ratio, stopped" in text and text.count("leads left") == 1


def test_a_rate_over_its_target_stands_out() -> None:
    out = io.StringIO()
    view = LiveView([])
    view.take(msgspec.structs.replace(SPRING, abandon_rate=0.051))
    Console(file=out, width=100, force_terminal=True, color_system="standard").print(view)
    assert "\x1b[1;31m5.10%" in out.getvalue()


def test_every_state_of_a_seat_and_of_a_call_has_a_place_in_the_bars() -> None:
    """One that had none would be counted and not drawn."""
    assert set(SEAT_STYLES) == {state.value for state in SeatState} - {"offline"}
    assert set(LINE_STYLES) == {state.value for state in CallState} - {"ended"}


@pytest.mark.parametrize(
    "parts", [{}, {"ready": 0}, {"ready": 1}, {"talking": 1, "ready": 2_000}, dict.fromkeys(SEAT_STYLES, 1)]
)
def test_a_bar_is_as_wide_for_any_shares(parts: dict[str, int]) -> None:
    text = bar(parts, SEAT_STYLES).plain
    drawn_bar, _, total = text.rpartition(" ")
    assert len(drawn_bar) == BAR and int(total) == sum(parts.values())
    assert drawn_bar.count("█") == (BAR if sum(parts.values()) else 0)


def test_the_curve_keeps_the_last_minute() -> None:
    view = LiveView([])
    for talking in range(HISTORY + 40):
        view.take(
            msgspec.structs.replace(
                SPRING, seats={"talking": min(20, talking), "ready": max(0, 20 - talking)}
            )
        )
    [curve] = [
        line for line in drawn(view).splitlines() if "talking" in line and "█" in line and "■" not in line
    ]
    assert curve.count("█") == HISTORY


@pytest.mark.parametrize("width", [40, 60, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    view = LiveView([("a seat's page", "http://127.0.0.1:8080/")])
    view.take(msgspec.structs.replace(SPRING, campaign="a" * 64))
    assert max(len(line) for line in drawn(view, width).splitlines()) <= width


def test_a_decisions_risks_are_shares_and_what_has_no_limit_says_so() -> None:
    view = LiveView([])
    decision = {
        "dial": 0,
        "bound": "risk",
        "risk": 0.0412,
        "risk_limit": 0.036,
        "earned": 1e9,
        "abandon_rate": 0.01,
    }
    view.take(msgspec.structs.replace(SPRING, decision=decision))
    text = drawn(view)
    for words in ("finds no free seat is above the limit", "risk of the next call 4.1%", "risk limit 3.6%"):
        assert words in text
    assert "abandons still allowed ∞" in text and "abandon_rate" not in text


def test_a_bound_without_words_is_named() -> None:
    view = LiveView([])
    view.take(msgspec.structs.replace(SPRING, decision={"bound": "moon"}))
    assert "Decided by: moon." in drawn(view)


def test_brackets_in_figures_and_addresses_are_drawn_as_they_are() -> None:
    view = LiveView([("web", "http://[::1]:8080/[red]")])
    view.take(
        msgspec.structs.replace(SPRING, decision={"bound": "lines", "recent": [1, 2], "form": "[bold]"})
    )
    text = drawn(view)
    assert "http://[::1]:8080/[red]" in text and "recent [1, 2]" in text and "form [bold]" in text
