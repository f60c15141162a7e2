"""What the engine tells watchers: each campaign's figures, and who is at a seat since when; nothing of customers."""

from __future__ import annotations

from typing import Any

import msgspec

from cti.messages import Message


class FlaggedCallerId(msgspec.Struct, frozen=True):
    """A number that is answered far less than the others of its pool; rates as shares, `out` of rotation."""

    number: str
    rate: float | None
    pool_rate: float | None
    out: bool


class Trunk(msgspec.Struct, frozen=True):
    """The switch that a campaign dials by, with its lines in use over all campaigns."""

    switch: str
    up: bool
    in_use: int
    most: int


class CampaignPart(msgspec.Struct, frozen=True):
    """What a campaign has on one of its switches: `here`, with another engine, or (`engine` empty) with none.

    `left` is how many of its calls may yet be abandoned, where that is known.
    """

    switch: str
    engine: str
    here: bool
    seats: int  # at work
    left: float | None = None


class CampaignSnapshot(Message, frozen=True, tag="campaign_snapshot"):
    """A campaign as it stands: what the console and the live terminal view show. Coalesced; the last one counts.

    Counts are since the engine's start; `window_…` over the campaign's legal window of `window_s` seconds (None: its
    whole life), of which `budget` more calls may be abandoned. `idle_s` and `busy_s` are seconds of all its seats. Of a
    campaign on several switches, which has `parts`, the window is the whole campaign's, all else of the parts here.
    """

    campaign: str
    at: float
    mode: str
    running: bool
    seats: dict[str, int]  # seats by state
    lines: dict[str, int]  # calls by stage: dialing, ringing, waiting, connected, harbour …
    dials: int
    answered_humans: int
    connected: int
    abandoned: int
    abandon_rate: float
    target: float
    idle_s_per_call: float
    occupancy: float
    leads_left: int | None = None
    decision: dict[str, Any] = msgspec.field(
        default_factory=dict
    )  # the last one: `dial`, `bound`, and beside them the figures behind it
    refusals: dict[str, int] = msgspec.field(default_factory=dict)
    caller_ids: tuple[FlaggedCallerId, ...] = ()
    note: str = ""
    window_s: float | None = None
    window_answered: float = 0.0
    window_abandoned: float = 0.0
    budget: float = 0.0
    idle_s: float = 0.0
    busy_s: float = 0.0
    outcomes: dict[str, int] = msgspec.field(default_factory=dict)  # finished calls by outcome
    trunk: Trunk | None = None
    parts: tuple[CampaignPart, ...] = ()


class SeatRow(msgspec.Struct, frozen=True):
    """A seat: whose it is, what it does since when, for which campaign (empty: for none now), of those it serves.

    Instants are POSIX seconds; `until` is when wrap-up ends by itself, or a pause should be over.
    """

    user_id: int
    name: str
    state: str
    since: float
    campaign: str
    serves: tuple[str, ...]
    reason: str = ""
    until: float | None = None


class FloorChange(Message, frozen=True, tag="floor"):
    """The seats that have changed since the last one, and who has left theirs."""

    at: float
    seats: tuple[SeatRow, ...]
    gone: tuple[int, ...] = ()
