"""The core in its event loop: feeds it events, commands and time, and carries out what it wants done.

Theory of operation. Everything that reaches the core does so on the loop and runs to its end, effects included:
messages for seats are handed to the bus in the same call, commands for switches become tasks in the order in which
they were asked for, so a screen-pop is on its way before the connect command it belongs to. Pacing is asked once a
turn of the loop, however many events came in.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic, time

import structlog
from sqlalchemy.exc import SQLAlchemyError

from campaigns.config import CampaignConfig
from campaigns.database import reason
from campaigns.records import AttemptEnded
from campaigns.recycle import after_no_call
from campaigns.values import Ask, Outcome, OutsideCaller, Permit, Refusal
from cti.bus import Bus
from cti.figures import FlaggedCallerId
from cti.messages import (
    Command,
    DialNumber,
    Dispose,
    Reply,
    SaveNotes,
    ScreenPop,
    Transfer,
)
from dialer.callbacks import CallbackWatch
from dialer.core.call import CallEvent, CallState
from dialer.core.campaign import Campaign
from dialer.core.effects import (
    Authorize,
    Free,
    LookUp,
    Refused,
    Tell,
    Write,
)
from dialer.core.engine import EngineCore
from dialer.core.part import Part
from dialer.journal import Journal
from dialer.leads import FAULTS, Authorizer, Hopper, LeadBuffer
from dialer.metrics import Metrics
from dialer.orders import Orders
from dialer.snapshots import Snapshots
from dialer.switch import port
from dialer.tenure import Alone, Hold
from dialer.tracing import Traces
from pacing.contract import Mode

log = structlog.get_logger(__name__)

TICK_S = 0.02  # how finely the core's timers run; the shortest limit is 2 s
REPACE_TICKS = 5  # pacing is asked at least so often: calls per second fill up, leads come in
SECOND_S = 1.0
RENEW_EVERY_S = 20.0
SAVE_LIMIT_S = 3.0
SKIPPED_S = 4 * 3600.0  # a skipped lead comes again after half a working day
LEAVE_S = 0.2  # in which what was said to a switch is on its way
CLOSING_S = 8.0  # past the limit after which a hang-up is given up
JOURNAL_LIMIT = 50_000  # records waiting; past this nothing new is dialed


class Engine:
    """One engine: its core, its switches, its leads, its journal."""

    def __init__(
        self,
        core: EngineCore,
        switches: Mapping[str, port.Switch],
        hopper: Hopper,
        journal: Journal,
        bus: Bus,
        metrics: Metrics,
        hold: Hold | None = None,
    ) -> None:
        self.core = core
        self.traces: Traces | None = None
        self._hold = hold or Alone()
        self._linked: set[str] = set()
        self.switches = switches
        self.hopper = hopper
        self.journal = journal
        self.bus = bus
        self.metrics = metrics
        self.database_answers = True  # in the last look at the campaigns, once a second
        self.leads_left: dict[str, int] = {}
        self.flagged: dict[str, tuple[FlaggedCallerId, ...]] = {}  # caller-IDs by campaign
        self._snapshots = Snapshots(core)
        self._buffers: dict[str, LeadBuffer] = {}
        self._fillers: dict[str, asyncio.Task[None]] = {}
        self._authorizer = Authorizer(hopper, self._answered)
        self._to_free: set[str] = set()
        self._tasks = asyncio.TaskGroup()
        self._pacing_due = False
        self._last_serial = 0
        self.orders = Orders(core, switches, hopper, metrics, self._hold)
        self._carry_out: dict[type, Callable[..., None]] = {
            Tell: self._tell,
            Write: self._write,
            Authorize: self._ask,
            LookUp: lambda e: self._spawn(self._look_up(e)),
            Free: self._free,
            Refused: lambda _: None,
        }
        for kind, order in self.orders.by_kind.items():
            self._carry_out[kind] = lambda effect, order=order: self._spawn(order(effect))
        core.ended = metrics.ended
        bus.serve(self.answer, self.ready)

    # --- in -------------------------------------------------------------------------------------------------------

    def feed(self, event: port.SwitchEvent) -> None:
        """Take an event from a switch, on the loop."""
        try:
            self.core.handle(event)
        except Exception:  # a fault of ours must not end the link; it is counted as a broken promise
            log.exception("the core failed on an event", event_type=type(event).__name__)
            self.core.breach("core_fault", type(event).__name__)
        self.flush()

    def ready(self) -> dict[str, bool]:
        """What it needs to call anybody, and whether it has it now."""
        return {
            "owner": self.core.owner,
            "database": self._database_up,
            "switch": any(lines.up for lines in self.core.switches.values()),
            "dialing": not self.core.draining,
        }

    @property
    def _database_up(self) -> bool:
        """It took the last records, and answers: of a floor where nothing happens there are none."""
        return self.journal.available and self.database_answers

    async def answer(self, command: Command) -> Reply:
        """Carry out a seat's command; what it saves is durable, and what it opens is open, before the reply."""
        if isinstance(command, DialNumber):
            reply = await self._dial_number(command)
            self.metrics.asked_outside(command.campaign, "by_hand", reply)
            return reply
        sends = self.core.commands.sends_outside(command) if isinstance(command, Transfer) else None
        if sends is not None and (refused := await self._may_send_outside(*sends)) is not None:
            return refused
        reply = Reply(ok=False, code="failed")
        with self.core.faults_counted(type(command).__name__):
            reply = self.core.command(command, monotonic())
        held = self.flush()
        if sends is not None:
            self.metrics.asked_outside(sends[0].name, "sent", reply)
        if not held:
            return Reply(ok=False, code="elsewhere")
        if reply.ok and isinstance(command, (Dispose, SaveNotes)):
            try:
                async with asyncio.timeout(SAVE_LIMIT_S):
                    await self.journal.durable(self._last_serial)
            except TimeoutError:
                return Reply(ok=False, code="not_saved")
        if reply.ok and reply.phone is not None:
            return await self.orders.admit(reply, reply.phone)
        return reply

    async def _dial_number(self, command: DialNumber) -> Reply:
        """Lease the number and call it; a refusal names its rule, and in `detail` when it may end (POSIX)."""
        wanted = self.core.commands.number_to_dial(command, monotonic())
        if isinstance(wanted, Reply):
            return wanted
        campaign, number = wanted
        try:
            found = await self.hopper.lease_number(campaign.id, number, campaign.caller(command.user_id))
        except FAULTS as fault:
            log.warning("a number could not be leased", campaign=campaign.name, reason=str(fault))
            return Reply(ok=False, code="not_saved")
        if isinstance(found, Refusal):
            return _refused(found)
        reply = Reply(ok=False, code="failed")
        with self.core.faults_counted("DialNumber"):
            reply = self.core.commands.dial_by_hand(command, found, monotonic())
        if not reply.ok:
            self.core.free((found.call_id,))
        self.flush()
        return reply

    async def _may_send_outside(self, campaign: Campaign, by: OutsideCaller) -> Reply | None:
        """Why an agent may send nobody outside for now: so that they are told, and not only stopped at the dialing."""
        try:
            found = await self.hopper.may_send_outside(by)
        except FAULTS as fault:
            log.warning("an agent's calls outside could not be counted", reason=str(fault))
            return Reply(ok=False, code="not_saved")
        if found is None:
            return None
        reply = _refused(found)
        self.metrics.asked_outside(campaign.name, "sent", reply)
        return reply

    def harbour_done(self, uid: str, played: bool, opted_out: bool) -> None:
        """The FastAGI service finished a safe-harbour dialogue."""
        with self.core.faults_counted("harbour_done"):
            self.core.harbour_done(uid, played, opted_out, monotonic())
        self.flush()

    def configure(self, campaign_id: int, config: CampaignConfig) -> None:
        """Add a campaign or give it a new version; it holds from now on."""
        campaign = self.core.configure(campaign_id, config, monotonic())
        if campaign.name not in self._buffers:
            name = campaign.name
            buffer = LeadBuffer(campaign_id, self.hopper, lambda dry: self._filled(name, dry))
            self._buffers[name] = buffer
            self._fillers[name] = self._tasks.create_task(buffer.run(), name=f"leads of {name}")
        self.flush()

    # --- run ------------------------------------------------------------------------------------------------------

    async def run(self, before: Callable[[], Awaitable[None]]) -> None:
        """Run until cancelled. `before` is awaited first: campaigns and recovery, before any switch is connected."""
        async with self._tasks as tasks:
            await before()
            for name, lines in self.core.switches.items():
                if lines.ours:
                    self.take(name)
            tasks.create_task(self._authorizer.run(), name="rules")
            tasks.create_task(self._tick(), name="tick")
            tasks.create_task(self._each_second(), name="second")
            tasks.create_task(self._keep_leases(), name="leases")
            tasks.create_task(CallbackWatch(self.core, self.hopper, self.flush).run(), name="callbacks")

    def take(self, switch: str) -> None:
        """This switch is ours: connect to it, if that was not done. What was in flight there must be known before."""
        self.core.switches[switch].ours = True
        if switch not in self._linked:
            self._linked.add(switch)
            self._tasks.create_task(self.switches[switch].run(self.feed), name=f"switch {switch}")
        self.core.touched.update(self.core.campaigns)

    async def hand_over(self, limit_s: Callable[[], float]) -> None:
        """Dial no more, and leave to another engine what is connected, once nothing rings or waits: in `limit_s()`.

        What rings or waits on a switch that is not reached is left as it is: of its end nobody would hear.
        """
        await self._dial_no_more()
        calls = self.core.calls.by_id
        await self._until(
            lambda: all(c.connected_at is not None or not self.core.is_up(c.switch) for c in calls.values()),
            limit_s,
        )
        await self._give_back()

    async def drain(self, limit_s: Callable[[], float]) -> None:
        """Dial no more, let calls finish for `limit_s()`, then end those that are left and let the seats go.

        Who has answered and waits for a seat then hears the message, and who hears it already goes on: for `CLOSING_S`.
        The limit is asked again and again, so that it may be cut short.
        """
        await self._dial_no_more()
        await self._until_idle(limit_s)
        calls = self.core.calls
        for call in list(calls.by_id.values()):
            call.ended_by = "engine"
            if call.state in (CallState.WAITING, CallState.CONNECTING):
                calls.give_up(call, monotonic())
            elif call.state is not CallState.HARBOUR:
                calls.step(call, CallEvent.HANG, monotonic())
        self.flush()
        await self._until_idle(lambda: CLOSING_S)
        hearing = [call for call in calls.by_id.values() if call.state is CallState.HARBOUR]
        for call in hearing:  # of a long message: their end is on record before the journal closes
            calls.step(call, CallEvent.HANG, monotonic())
        self.flush()
        await self._until_idle(lambda: CLOSING_S if hearing else 0.0)
        self.core.seats.dismiss(monotonic())
        self.flush()
        await asyncio.sleep(LEAVE_S)  # the hang-ups leave; nothing answers for them
        if self.orders.keeps_back:  # until the lease is renewed, or nobody can say whether the legs are ours
            await self._until(lambda: not self.orders.keeps_back, lambda: SAVE_LIMIT_S)
            await asyncio.sleep(LEAVE_S)
        await self._give_back()

    async def _dial_no_more(self) -> None:
        self.core.draining = True
        self.core.callbacks.let_go(everyone=True)
        self.flush()
        for filler in self._fillers.values():
            filler.cancel()
        if self._fillers:
            await asyncio.wait(self._fillers.values(), timeout=SAVE_LIMIT_S)
        back = (self._try("leads given back", buffer.empty()) for buffer in self._buffers.values())
        await asyncio.gather(*back)

    async def _give_back(self) -> None:
        if self._to_free:
            await self._try("leases given back", self.hopper.release(sorted(self._to_free)))

    async def _until_idle(self, limit_s: Callable[[], float]) -> None:
        await self._until(lambda: not self.core.calls.by_id, limit_s)

    @staticmethod
    async def _until(so: Callable[[], bool], limit_s: Callable[[], float]) -> None:
        began = monotonic()
        while not so() and monotonic() < began + limit_s():
            await asyncio.sleep(TICK_S)

    async def _try(self, what: str, work: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(SAVE_LIMIT_S):
                await work
        except SQLAlchemyError as fault:  # the database is away; the leases run out by themselves
            log.warning("not done", what=what, reason=reason(fault))
        except TimeoutError:  # it hangs
            log.warning("not done", what=what, reason="the database does not answer")

    # --- effects --------------------------------------------------------------------------------------------------

    def flush(self) -> bool:
        """Carry out what the core wants done, and have pacing asked where something changed.

        False: nothing was, and nothing will be; another engine has taken over.
        """
        if not self._hold.ours():
            self.core.take()
            return False
        while effects := self.core.take():
            for effect in effects:
                self._carry_out[type(effect)](effect)
                if self.traces is not None:
                    self.traces.watch(effect)
        if self.core.touched and not self._pacing_due:
            self._pacing_due = True
            asyncio.get_running_loop().call_soon(self._pace)
        return True

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.create_task(self._guarded(work))

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        if not self._hold.ours():  # it slept between the decision and the deed
            work.close()
            return
        try:
            await work
        except Exception:  # one effect's fault must not end the daemon; timers settle its call
            log.exception("an effect failed")
            self.core.breach("core_fault", "effect")
        self.flush()

    def _tell(self, effect: Tell) -> None:
        self.bus.to_seat(effect.message)
        if isinstance(effect.message, ScreenPop) and not effect.message.preview:
            call = self.core.calls.by_id.get(effect.message.call_id)
            if (
                call is None
                or call.human_at is None
                or call.connected_at is not None
                or call.bridge_tries > 1
            ):
                return
            if call.inbound:
                self.metrics.caller_wait.observe(monotonic() - call.human_at)
            elif call.waited:
                self.metrics.seat_wait.observe(monotonic() - call.human_at)
            else:
                self.metrics.popped(monotonic() - call.human_at)

    def _write(self, effect: Write) -> None:
        self._last_serial = self.journal.put(effect.record)

    def _free(self, effect: Free) -> None:
        self._spawn(self._release(effect))

    async def _release(self, effect: Free) -> None:
        again = datetime.now(UTC) + timedelta(seconds=SKIPPED_S) if effect.skipped else None
        try:
            await self.hopper.release(effect.call_ids, again)
        except SQLAlchemyError as fault:  # the database is away
            log.warning(
                "leases could not be given back yet", leases=len(effect.call_ids), reason=reason(fault)
            )
            self._to_free.update(effect.call_ids)

    # --- pacing ---------------------------------------------------------------------------------------------------

    def _pace(self) -> None:
        self._pacing_due = False
        names, self.core.touched = self.core.touched, set()
        parts = {part.key: (name, part) for name in names for part in self.core.campaigns[name].parts}
        for key in self.core.floor.order(parts):
            with self.core.faults_counted(f"pacing of {key}"):
                self._pace_part(*parts[key])
        self.flush()
        for _, part in parts.values():  # once the calls are on their way
            started = monotonic()
            if part.shadow.follow():
                self.metrics.shadow_turn.observe(monotonic() - started)

    def _pace_part(self, name: str, part: Part) -> None:
        campaign = self.core.campaigns[name]
        self._buffers[name].want(self._buffer_size(name))
        started = monotonic()
        decision = self.core.decide(name, started, part.switch)
        self.metrics.pacing_decision.observe(monotonic() - started)
        if self.journal.depth > JOURNAL_LIMIT:
            return
        if decision.dial > 0:
            leads = self._buffers[name].take(decision.dial)
            self.core.reserve(leads, name, monotonic(), switch=part.switch)
        able = campaign.config.running and self.core.is_up(part.switch) and not self.core.draining
        if able and campaign.config.mode == Mode.PREVIEW:
            self._show(name, part)

    def _show(self, name: str, part: Part) -> None:
        """Preview: give each idle seat a customer to look at."""
        buffer = self._buffers[name]
        for user_id in list(part.paced_idle):
            for lead in buffer.take(1):
                if not self.core.show(user_id, lead, name, monotonic()):
                    self.core.free((lead.call_id,))

    def _buffer_size(self, name: str) -> int:
        """Leads to hold: twice the calls there are, or will be, in the air, and enough for a turn of the database."""
        campaign = self.core.campaigns[name]
        if not self.core.may_dial(campaign) or self.core.draining:
            return 0
        seats = sum(len(part.paced) for part in campaign.parts)
        if campaign.dry and not seats:  # they are there for others: one lead tells when there are some again
            return int(any(name in seat.campaigns for seat in self.core.seats.by_user.values()))
        ratio = campaign.config.ratio if campaign.config.mode == Mode.RATIO else 1.0
        lines = max(math.ceil(ratio * seats), campaign.in_air)
        return min(1_000, 2 * lines + 20) if seats else 0

    def _filled(self, name: str, dry: bool) -> None:
        campaign = self.core.campaigns[name]
        if campaign.dry != dry:
            campaign.dry = dry
            with self.core.faults_counted("repace"):
                self.core.repace(monotonic())
        self.core.touched.add(name)
        self.flush()

    def _answered(self, call_id: str, answer: Permit | Refusal | None) -> None:
        """The rules have spoken."""
        now = monotonic()
        taken = False
        with self.core.faults_counted("rules"):
            if isinstance(answer, Permit):
                self.core.permitted(call_id, answer.caller_id, now)
            elif isinstance(answer, Refusal):
                self.core.refused(call_id, answer.reason.value, now)
            else:
                self.core.refused(call_id, "database", now)
            taken = True
        if not taken:
            with self.core.faults_counted("a permit that was not taken"):
                self.core.not_dialed(call_id, now)
        self.flush()

    async def _look_up(self, effect: LookUp) -> None:
        lead = None
        try:
            lead = await self.hopper.who_called(effect.campaign_id, effect.number, effect.call_id)
        except FAULTS as fault:
            log.warning("a caller could not be looked up", call=effect.call_id, reason=str(fault))
        self.core.looked_up(effect.call_id, lead, monotonic())

    def _ask(self, effect: Authorize) -> None:
        calls = self.core.calls.by_id
        self._authorizer.ask([Ask(each, effect.switch, calls[each].lead.arm) for each in effect.call_ids])

    # --- clocks ---------------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        turn, due = 0, monotonic()
        while True:
            due += TICK_S
            await asyncio.sleep(max(0.0, due - monotonic()))
            now = monotonic()
            self.metrics.lagged(max(0.0, now - due))
            due = max(due, now - TICK_S)
            turn += 1
            try:
                self.core.tick(now)
                if turn % REPACE_TICKS == 0:
                    self.core.touched.update(self._buffers)
            except Exception:
                log.exception("the core failed on its timers")
                self.core.breach("core_fault", "tick")
            self.flush()

    async def _each_second(self) -> None:
        while True:
            await asyncio.sleep(SECOND_S)
            self.core.wall_offset = time() - monotonic()  # somebody, or NTP, may have set the clock
            for kept in self.orders.no_longer_kept_back():
                self._spawn(self.orders.drop(kept))
            with self.core.faults_counted("figures"):
                self._tell_figures(monotonic())

    def _tell_figures(self, now: float) -> None:
        snapshots, floor = self._snapshots.take(now, self.leads_left, self.flagged)
        if floor is not None:
            self.bus.floor(floor)
        for told in snapshots:
            self.bus.snapshot(told)
            self.metrics.leads_buffered.labels(told.campaign).set(len(self._buffers[told.campaign]))
            if told.leads_left is not None:
                self.metrics.leads_left.labels(told.campaign).set(told.leads_left)
        self.metrics.refresh(self.core)
        journal = self.journal
        self.metrics.journal(journal.depth, journal.applied, journal.rejected, self._database_up)

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            held = {call.id for call in self.core.calls.by_id.values()}
            held |= {lead.call_id for lead in self.core.previews.values()}
            held |= {lead.call_id for _, lead in self.core.callbacks.waiting.values()}
            for buffer in self._buffers.values():
                held.update(buffer.call_ids)
            try:
                if held:
                    await self.hopper.renew(held)
                if stray := await self.hopper.stray(held | self._to_free):
                    log.warning("leases that nobody here holds are given back", leases=len(stray))
                    await self.hopper.release(stray)
                if self._to_free:
                    free = sorted(self._to_free)
                    await self.hopper.release(free)
                    self._to_free.difference_update(free)
                if self._authorizer.uncertain:
                    await self._settle_uncertain()
            except SQLAlchemyError as fault:  # the database is away: the leases outlive some minutes of it
                log.warning("leases could not be renewed", leases=len(held), reason=reason(fault))

    async def _settle_uncertain(self) -> None:
        """Calls whose permit was lost with the database's reply: those on record are told that they were not dialed.

        The others are leases that nobody holds, and are given back as such.
        """
        uncertain = set(self._authorizer.uncertain)
        campaigns = {campaign.id: campaign for campaign in self.core.campaigns.values()}
        for flight in await self.hopper.in_flight():
            if flight.dialed and flight.call_id in uncertain and flight.campaign_id in campaigns:
                at = datetime.now(UTC)
                self.journal.put(
                    AttemptEnded(
                        at=at,
                        call_id=flight.call_id,
                        outcome=Outcome.CANCELLED.value,
                        retry_at=after_no_call(campaigns[flight.campaign_id].config, at).retry_at,
                        dialed=False,
                    )
                )
        self._authorizer.uncertain -= uncertain


def _refused(found: Refusal) -> Reply:
    """A rule's refusal: in `detail` when it may end (POSIX)."""
    until = "" if found.until is None else str(found.until.timestamp())
    return Reply(ok=False, code=f"rule_{found.reason.value}", detail=until)
