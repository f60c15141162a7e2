"""Whatever the engine may say of a campaign, the pages have words for it, in every language."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest

from campaigns.values import RefusalReason
from cti.language import LANGUAGES, catalogue
from dialer.core import campaign, engine, part
from dialer.core.call import CallState
from dialer.core.seat import SeatState
from pacing import pacer, predictive
from pacing.contract import Mode, PacingConfig, Room

# Where a decision gets its bound: the constraint's name as a plain string.
NAMED = re.compile(r'Decision\([^"()]*(?:\([^()]*\)[^"()]*)*"(\w+)"|bound = "(\w+)"|if .* else "(\w+)"')
ROOM = re.compile(r'^ {12}"(\w+)": (?:room|config)\.', flags=re.MULTILINE)

IN_LARGE = {"abandon_rate"}  # has a place of its own on the page


def bounds() -> set[str]:
    text = "\n".join(inspect.getsource(module) for module in (campaign, engine, part, pacer, predictive))
    named = {name for groups in NAMED.findall(text) for name in groups if name}
    return named | set(ROOM.findall(inspect.getsource(pacer)))


def figures() -> Iterator[str]:
    for mode in Mode:
        decision = pacer.CampaignPacer(PacingConfig(mode=mode)).decide(0.0, Room(free_lines=10))
        yield from decision.why


def test_the_bounds_are_found_in_the_source() -> None:
    assert {
        "risk",
        "abandon_budget",
        "no_seats",
        "seats",
        "lines",
        "leads",
        "preview",
        "switch_down",
        "start",
    } <= (bounds())


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_is_told_of_a_campaign_has_its_words(language: str) -> None:
    told = (
        {f"bound.{bound}" for bound in bounds()}
        | {f"why.{figure}" for figure in figures() if figure not in IN_LARGE}
        | {f"stage.{state.value}" for state in CallState if state is not CallState.ENDED}
        | {f"seat.{state.value}" for state in SeatState}
        | {f"refusal.{reason.value}" for reason in RefusalReason}
        | {f"mode.{mode.value}" for mode in Mode}
    )
    assert told - set(catalogue(language).texts) == set()
