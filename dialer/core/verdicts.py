"""What an agent says of a call: notes, answers to the script, and the disposition with all that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.config import Callbacks, CampaignConfig
from campaigns.dispositions import CALLBACK, NOTES, Disposition, given
from campaigns.records import Dispositioned, NotesSaved, OptedOut
from campaigns.recycle import again
from campaigns.rules import calendar
from campaigns.rules.terms import refusal_lock_s
from campaigns.script import as_text, fault_of_answers
from cti.messages import Dispose, ReadScript, Reply, SaveNotes, Script
from dialer.core.campaign import Campaign
from dialer.core.seat import Seat, SeatState, Served

if TYPE_CHECKING:
    from dialer.core.engine import EngineCore

FIRST_YEAR, LAST_YEAR = 1970, 2100  # of a callback
MINUTE = timedelta(minutes=1)  # to which a page's clock goes

OK = Reply(ok=True)


def refuse(code: str, detail: str = "") -> Reply:
    return Reply(ok=False, code=code, detail=detail)


def _callback_of(command: Dispose, zones: Sequence[str]) -> datetime | None:
    """When to call back; a local time is the customer's. Raises ValueError."""
    if not command.callback_local:
        return None if command.callback_at is None else datetime.fromtimestamp(command.callback_at, UTC)
    local = datetime.fromisoformat(command.callback_local)
    if local.tzinfo is not None or not FIRST_YEAR <= local.year < LAST_YEAR:
        raise ValueError(command.callback_local)
    here = calendar.zone(zones[0]) if zones and calendar.known_zone(zones[0]) else UTC
    return local.replace(tzinfo=here).astimezone(UTC)


class Verdicts:
    """Takes what seats say of the call they have, or had last."""

    def __init__(self, core: EngineCore) -> None:
        self.core = core

    def read_script(self, command: ReadScript, seat: Seat, now: float) -> Reply:
        """Tell the page the script of this call's campaign."""
        found = self._of(command.call_id, seat)
        if found is None:
            return refuse("not_your_call")
        campaign, served = found
        said = campaign.said(served.arm)
        self.core.tell(Script(user_id=seat.user_id, script=said.script_id, steps=said.steps))
        return OK

    def save_notes(self, command: SaveNotes, seat: Seat, now: float) -> Reply:
        """Keep what was written down; of a customer whom another seat has, or had since, that one writes down more.

        That a customer wants no more calls holds whoever has them since, and whatever else is wrong.
        """
        found = self._of(command.call_id, seat)
        if found is None:
            return refuse("not_your_call")
        campaign, served = found
        if command.do_not_call:
            self.core.write(self._no_more_calls(command, campaign, served, now))
        if self._handed_on(command, served):
            return refuse("not_your_call")
        if fault := fault_of_answers(campaign.said(served.arm).steps, command.answers):
            return refuse("bad_answer", fault)
        call = self.core.calls.by_id.get(command.call_id)
        if call is not None:
            call.notes, call.answers = command.notes, command.answers
        self.core.write(
            NotesSaved(
                at=self.core.wall(now),
                call_id=command.call_id,
                user_id=seat.user_id,
                notes=command.notes,
                answers=as_text(command.answers),
            )
        )
        return OK

    def dispose(self, command: Dispose, seat: Seat, now: float) -> Reply:
        """Put the verdict on record. What is to happen to call and seat is the caller's."""
        found = self._of(command.call_id, seat)
        if found is None or seat.state is SeatState.ASKED:  # about a colleague's customer
            return refuse("not_your_call")
        campaign, served = found
        choice = given(campaign.config.dispositions).get(command.code)
        if choice is None:
            return refuse("unknown_disposition", command.code)
        if fault := fault_of_answers(campaign.said(served.arm).steps, command.answers):
            return refuse("bad_answer", fault)
        if missing := _missing(choice, command):
            return refuse(f"needs_{missing}" if missing in (NOTES, CALLBACK) else "needs_answer", missing)
        try:
            callback = _callback_of(command, served.zones)
        except ValueError:
            return refuse("bad_callback", command.callback_local)
        # One that has only passed since they spoke holds: the verdict may have waited for a lost line.
        if callback is not None and callback < self.core.wall(served.met_at) - MINUTE:
            return refuse("bad_callback", callback.isoformat())
        owner = command.callback_for
        if owner is not None and owner != seat.user_id:
            colleague = self.core.seats.by_user.get(owner)
            if colleague is None or campaign.name not in colleague.campaigns:
                return refuse("colleague_away")
        if choice.machine and seat.machine != command.call_id:  # a verdict may be put right, or come twice
            seat.machine = command.call_id
            campaign.part(seat.switch).pacer.ledger.machine(now)
        self.core.write(self._record(command, choice, callback, campaign.config, served, now))
        return OK

    def _of(self, call_id: str, seat: Seat) -> tuple[Campaign, Served] | None:
        """The campaign and the customer of this call, if it is this seat's, or was its last."""
        served = seat.served(call_id)
        campaign = self.core.campaigns.get(served.campaign) if served is not None else None
        return (campaign, served) if campaign is not None and served is not None else None

    def _handed_on(self, command: Dispose | SaveNotes, served: Served) -> bool:
        """Whether another seat has this customer, or had them since."""
        call = self.core.calls.by_id.get(command.call_id)
        return served.handed_on or (call is not None and call.seat not in (None, command.user_id))

    def _no_more_calls(self, command: SaveNotes, campaign: Campaign, served: Served, now: float) -> OptedOut:
        """By the number that is called: who was only previewed has no attempt that would know it."""
        return OptedOut(
            at=self.core.wall(now),
            call_id=command.call_id,
            number=served.number,
            source="agent",
            campaign_id=campaign.id,
        )

    def _record(
        self,
        command: Dispose,
        choice: Disposition,
        callback: datetime | None,
        config: CampaignConfig,
        served: Served,
        now: float,
    ) -> Dispositioned:
        at = self.core.wall(now)
        told: Callbacks = config.callbacks
        team_at = anyone_at = callback
        personal = command.callback_for is not None
        if callback is not None and personal:
            team_at = callback + timedelta(seconds=told.personal_wait_s)
            anyone_at = team_at + timedelta(seconds=told.team_wait_s)
        retry_at = other_at = at if choice.other_number and callback is None else None
        if callback is None and choice.retry_after_s is not None:
            retry_at, other_at = again(choice.recycle, choice.retry_after_s, at, served.zones)
        lock_s = refusal_lock_s(config.rules) if choice.refusal else 0.0
        return Dispositioned(
            at=at,
            call_id=command.call_id,
            user_id=command.user_id,
            code=command.code,
            notes=command.notes,
            answers=as_text(command.answers),
            callback_at=callback,
            personal=personal,
            callback_for=command.callback_for,
            team_at=team_at if personal else None,
            anyone_at=anyone_at,
            expires_at=None if callback is None else callback + timedelta(seconds=told.expire_s),
            do_not_call=command.do_not_call,
            retry_at=retry_at,
            other_at=other_at,
            most=choice.recycle.most if callback is None else None,
            final=choice.final and callback is None,
            other_number=choice.other_number,
            locked_until=at + timedelta(seconds=lock_s) if lock_s else None,
            machine=choice.machine and self.core.is_split(config.name),
            handed_on=self._handed_on(command, served),
        )


def _missing(choice: Disposition, command: Dispose) -> str:
    """The first thing that the disposition wants and that is not there; empty when all is."""
    there = set(command.answers)
    if command.notes.strip():
        there.add(NOTES)
    if command.callback_local or command.callback_at is not None:
        there.add(CALLBACK)
    return next((name for name in choice.required if name not in there), "")
