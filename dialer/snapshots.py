"""A campaign as it stands, for the status page and the live view in the terminal."""

from __future__ import annotations

from collections import Counter

from cti.messages import CampaignSnapshot, FlaggedCallerId
from dialer.core.call import CallState
from dialer.core.campaign import Campaign
from dialer.core.engine import EngineCore
from dialer.core.seat import SeatState


def snapshot(
    core: EngineCore,
    campaign: Campaign,
    at: float,
    now: float,
    leads_left: int | None,
    caller_ids: tuple[FlaggedCallerId, ...] = (),
) -> CampaignSnapshot:
    """Draw up a campaign's snapshot. `at` is POSIX seconds, `now` monotonic; the seats are those that work for it."""
    seats: Counter[str] = Counter()
    idle_s, busy_s = campaign.counts.idle_s, campaign.counts.busy_s
    for seat in core.seats.by_user.values():
        if seat.works_for != campaign.name:
            continue
        seats[seat.state.value] += 1
        if seat.state is SeatState.READY:
            idle_s += now - seat.since
        elif seat.state not in (SeatState.PAUSED, SeatState.PHONE, SeatState.NO_PHONE):
            busy_s += now - seat.since
    lines = Counter(
        call.state.value
        for call in core.calls.by_id.values()
        if call.campaign == campaign.name and call.state is not CallState.ENDED
    )
    counts, ledger, decision = campaign.counts, campaign.ledger, campaign.decision
    beside = {} if campaign.shadow.lines is None else {"shadow_lines": campaign.shadow.lines}
    return CampaignSnapshot(
        campaign=campaign.name,
        at=at,
        mode=campaign.config.mode,
        running=campaign.config.running,
        seats=dict(seats),
        lines=dict(lines),
        dials=counts.dials,
        answered_humans=counts.humans,
        connected=counts.connected,
        abandoned=counts.abandoned,
        abandon_rate=ledger.rate,
        target=campaign.config.target,
        idle_s_per_call=idle_s / counts.connected if counts.connected else 0.0,
        occupancy=busy_s / (busy_s + idle_s) if busy_s + idle_s > 0 else 0.0,
        leads_left=leads_left,
        decision={"dial": decision.dial, "bound": decision.bound, **decision.why, **beside},
        refusals=dict(counts.refusals),
        caller_ids=caller_ids,
    )
