"""All campaigns and seats as they stand, for the console and the live view in the terminal, in one pass over each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from cti.figures import CampaignPart, CampaignSnapshot, FlaggedCallerId, FloorChange, SeatRow, Trunk
from dialer.core.call import CallState
from dialer.core.campaign import Campaign
from dialer.core.engine import EngineCore
from dialer.core.seat import Seat, SeatState

NEITHER = (SeatState.PAUSED, SeatState.PHONE, SeatState.NO_PHONE)  # neither idle nor busy


class _Work:
    """What the seats that work for a campaign do, and its calls; times include that of the states they are in."""

    __slots__ = ("busy_s", "idle_s", "lines", "seats")

    def __init__(self) -> None:
        self.seats: Counter[str] = Counter()
        self.lines: Counter[str] = Counter()
        self.idle_s = self.busy_s = 0.0


class Snapshots:
    """Draws up what watchers are told, and remembers which seats they have been told of."""

    def __init__(self, core: EngineCore) -> None:
        self._core = core
        self._told: dict[int, tuple[object, ...]] = {}

    def take(
        self,
        now: float,
        leads_left: Mapping[str, int],
        caller_ids: Mapping[str, tuple[FlaggedCallerId, ...]],
    ) -> tuple[Sequence[CampaignSnapshot], FloorChange | None]:
        """Every campaign, and the seats that have changed since the last time. `now` is monotonic."""
        core = self._core
        work = {name: _Work() for name in core.campaigns}
        changed = []
        for seat in core.seats.by_user.values():
            works_for = seat.works_for
            doing = work.get(works_for)
            if doing is not None:
                doing.seats[seat.state.value] += 1
                if seat.state is SeatState.READY:
                    doing.idle_s += now - seat.since
                elif seat.state not in NEITHER:
                    doing.busy_s += now - seat.since
            row = (
                seat.state,
                seat.since,
                works_for,
                seat.reason,
                seat.until,
                seat.campaigns,
                seat.session_id,
            )
            if self._told.get(seat.user_id) != row:
                self._told[seat.user_id] = row
                changed.append(self._row(seat, works_for))
        for call in core.calls.by_id.values():
            if call.state is not CallState.ENDED and call.campaign in work:
                work[call.campaign].lines[call.state.value] += 1
        gone = tuple(user_id for user_id in self._told if user_id not in core.seats.by_user)
        for user_id in gone:
            del self._told[user_id]
        at = core.wall_s(now)
        snapshots = [
            self._campaign(campaign, work[name], at, leads_left.get(name), caller_ids.get(name, ()))
            for name, campaign in core.campaigns.items()
        ]
        floor = FloorChange(at=at, seats=tuple(changed), gone=gone) if changed or gone else None
        return snapshots, floor

    def _row(self, seat: Seat, works_for: str) -> SeatRow:
        wall_s = self._core.wall_s
        return SeatRow(
            user_id=seat.user_id,
            name=seat.name,
            state=seat.state.value,
            since=wall_s(seat.since),
            campaign=works_for,
            serves=seat.campaigns,
            reason=seat.reason,
            until=None if seat.until is None else wall_s(seat.until),
        )

    def _campaign(
        self,
        campaign: Campaign,
        work: _Work,
        at: float,
        leads_left: int | None,
        caller_ids: tuple[FlaggedCallerId, ...],
    ) -> CampaignSnapshot:
        largest = self._core.largest(campaign)
        counts, ledger, decision, config = (
            campaign.counts,
            campaign.ledger,
            largest.decision,
            campaign.config,
        )
        idle_s, busy_s = counts.idle_s + work.idle_s, counts.busy_s + work.busy_s
        beside = {} if largest.shadow.lines is None else {"shadow_lines": largest.shadow.lines}
        return CampaignSnapshot(
            campaign=campaign.name,
            at=at,
            mode=config.mode,
            running=config.running,
            seats=dict(work.seats),
            lines=dict(work.lines),
            dials=counts.dials,
            answered_humans=counts.humans,
            connected=counts.connected,
            abandoned=counts.abandoned,
            abandon_rate=ledger.rate,
            target=config.target,
            idle_s_per_call=idle_s / counts.connected if counts.connected else 0.0,
            occupancy=busy_s / (busy_s + idle_s) if busy_s + idle_s > 0 else 0.0,
            leads_left=leads_left,
            decision={"dial": decision.dial, "bound": decision.bound, **decision.why, **beside},
            refusals=dict(counts.refusals),
            caller_ids=caller_ids,
            window_s=ledger.rule.window_s,
            window_answered=ledger.answered,
            window_abandoned=ledger.given_up,
            budget=ledger.surplus(config.target),
            idle_s=idle_s,
            busy_s=busy_s,
            outcomes=dict(counts.outcomes),
            trunk=self._trunk(largest.switch),
            parts=self._parts(campaign),
        )

    def _parts(self, campaign: Campaign) -> tuple[CampaignPart, ...]:
        """Of a campaign on several switches, in the order of its file, then those that it is leaving."""
        sharing = campaign.sharing
        if sharing is None:
            return ()
        found = {each.switch: each for each in sharing.others}
        rows = {}
        for switch in campaign.config.switches:
            each = found.get(switch)
            engine = each.engine if each is not None and each.alive else ""
            rows[switch] = CampaignPart(switch, engine, False, each.seats if each is not None else 0)
        for part in campaign.parts:
            if self._core.has(part.switch) and (part.switch in rows or part.in_air):
                left = part.pacer.ledger.surplus(campaign.config.target)
                rows[part.switch] = CampaignPart(
                    part.switch, self._core.name, True, part.pacer.working, max(0.0, left)
                )
        return tuple(rows.values())

    def _trunk(self, switch: str) -> Trunk | None:
        lines = self._core.switches.get(switch)
        if lines is None or not lines.ours:  # whether it is up another engine knows
            return None
        return Trunk(switch, lines.up, self._core.calls.lines.get(switch, 0), lines.max_lines)
