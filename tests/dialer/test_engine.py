"""The engine around its core: a fault in one place is counted and costs that place, not the floor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic, time
from typing import Any, TypeVar

import msgspec
import pytest
import sqlalchemy
from sqlalchemy.exc import OperationalError

from campaigns.config import parse
from campaigns.records import AnyRecord, AttemptEnded
from campaigns.values import InFlight
from cti.bus import Bus
from cti.messages import DialPreviewed, LogIn, LogOut, Pause, Ready, Reply, ScreenPop
from dialer import engine as engine_module
from dialer.core.engine import EngineCore
from dialer.core.lines import SwitchLines
from dialer.daemon import Daemon
from dialer.engine import Engine
from dialer.journal import Journal
from dialer.leads import Hopper
from dialer.metrics import Metrics
from dialer.switch.port import (
    Answered,
    Created,
    HungUp,
    LinkDown,
    LinkUp,
    NotConnected,
    Origination,
    Snapshot,
    SwitchError,
    TakesNoCalls,
)
from tests.core.world import lead
from tests.dialer.hopper_tables import CAMPAIGN, LIMIT_S, Tables
from tests.dialer.running import config

Kind = TypeVar("Kind", bound=AnyRecord)
SEAT = LogIn(user_id=1, name="李娜", phone="seat001", campaigns=("spring",))


class Line:
    """A switch that takes every originate and says nothing of it; a phone is picked up at once."""

    connected = True

    def __init__(self, name: str = "main") -> None:
        self.name = name
        self.dialed: list[Origination] = []
        self.hung_up: list[str] = []
        self.sent: list[tuple[str, str]] = []
        self.fault: SwitchError | None = None  # what a customer's originate is answered with

    async def run(self, listener: Callable[[Any], None]) -> None:
        self._listener = listener
        listener(LinkUp(monotonic(), self.name, "22", Snapshot({}, {})))
        await asyncio.Event().wait()

    async def originate(self, call: Origination) -> None:
        if self.fault is not None and call.uid.startswith("zdc-"):
            raise self.fault
        self.dialed.append(call)
        if call.uid.startswith("zds-"):
            self._listener(Answered(monotonic(), "main", call.uid, "PJSIP/seat"))

    async def bridge(self, uid: str, leg: str) -> None:
        """They are told to."""

    async def redirect(self, uid: str, context: str) -> None:
        self.sent.append((uid, context))

    async def hang_up(self, uid: str, cause: int = 16) -> None:
        self.hung_up.append(uid)

    @property
    def customers(self) -> list[str]:
        return [call.dial for call in self.dialed if call.uid.startswith("zdc-")]


class Unsure:
    """The hold of an engine that may have been cut off: calls are its own, and perhaps another's too."""

    is_sure = True
    asked = 0

    def ours(self) -> bool:
        return True

    def sure(self) -> bool:
        self.asked += 1
        return self.is_sure


class Floor:
    """An engine at work, with leads for any campaign and a seat for `spring`."""

    task: asyncio.Task[None]

    def __init__(self, folder: Path) -> None:
        self.hold = Unsure()
        self.tables, self.line, self.bus = Tables(100), Line(), Bus()
        lines = SwitchLines("main", 50, 100.0, "PJSIP/{number}@carrier", "PJSIP/{endpoint}")
        self.core = EngineCore({"main": lines}, wall_offset=1_700_000_000.0)
        self.records: list[AnyRecord] = []
        self.journal = Journal(lambda batch: self.records.extend(record for _, record in batch), folder, 0)
        self.hopper = Hopper(self.tables)
        self.switches: dict[str, Any] = {"main": self.line}
        self.metrics = Metrics()
        self.engine = Engine(
            self.core, self.switches, self.hopper, self.journal, self.bus, self.metrics, self.hold
        )

    def configure(
        self, name: str, priority: int = 0, more: str = "", switch: tuple[str, ...] = ("main",)
    ) -> None:
        on = json.dumps(switch)
        text = f'name = "{name}"\nswitch = {on}\nrunning = true\ntarget = 1.0\npriority = {priority}\n'
        self.engine.configure(CAMPAIGN, parse(text + more, name))

    async def seat(self, campaigns: tuple[str, ...] = ("spring",)) -> None:
        """A seat that is ready."""
        assert (await self.bus.command(msgspec.structs.replace(SEAT, campaigns=campaigns))).ok
        await self.until(lambda: self.core.seats.by_user[1].state == "paused")
        assert (await self.bus.command(Ready(user_id=1))).ok

    def records_of(self, kind: type[Kind]) -> list[Kind]:
        return [record for record in self.records if isinstance(record, kind)]

    async def ended(self, count: int) -> list[AttemptEnded]:
        """Wait until so many attempts have ended."""
        await self.until(lambda: len(self.records_of(AttemptEnded)) >= count)
        return self.records_of(AttemptEnded)

    @property
    def turns(self) -> int:
        """How often pacing was asked."""
        return int(self.metrics.registry.get_sample_value("zhudong_pacing_decision_seconds_count") or 0)

    async def until(self, so: Callable[[], object]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not so():
                assert not self.task.done(), "the engine has ended"
                await asyncio.sleep(0.005)


@asynccontextmanager
async def floor(folder: Path) -> AsyncIterator[Floor]:
    here = Floor(folder)

    async def nothing() -> None:
        """No campaigns yet, and nothing to recover."""

    here.task = asyncio.create_task(here.engine.run(nothing))
    try:
        await here.until(lambda: here.core.is_up("main"))
        yield here
        await here.until(lambda: True)
    finally:
        here.tables.go.set()
        here.task.cancel()
        await asyncio.gather(here.task, return_exceptions=True)
        await here.journal.close()
        here.hopper.close()


async def test_what_it_tells_and_records_has_the_time_of_a_clock_that_was_set_meanwhile(
    tmp_path: Path,
) -> None:
    async with floor(tmp_path) as here:
        here.core.wall_offset -= 3_600.0  # as it was before somebody put the clock an hour on
        await here.until(lambda: abs(here.core.wall_s(monotonic()) - time()) < 60.0)


async def test_a_campaign_whose_pacing_fails_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = EngineCore.decide

    def fails(core: EngineCore, name: str, now: float, switch: str) -> Any:
        if name != "spring":
            raise ZeroDivisionError("a pacer's fault")
        return decide(core, name, now, switch)

    monkeypatch.setattr(EngineCore, "decide", fails)
    async with floor(tmp_path) as here:
        for name in ("bad", "worse", "worst", "spring"):
            here.configure(name, priority=9 if name == "spring" else 0)
        await here.seat()
        await here.until(lambda: here.line.customers)
        assert here.core.breaches["core_fault"] >= 1


async def test_a_fault_on_a_permit_costs_that_call_and_not_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    permitted, failed = EngineCore.permitted, []

    def fails_once(core: EngineCore, call_id: str, caller_id: str, now: float) -> None:
        if not failed:
            failed.append(call_id)
            raise KeyError(call_id)
        permitted(core, call_id, caller_id, now)

    monkeypatch.setattr(EngineCore, "permitted", fails_once)
    async with floor(tmp_path) as here:
        here.configure("spring")
        await here.seat()
        await here.until(lambda: failed)
        here.core.reserve(here.tables.lease(CAMPAIGN, 1, here.core.wall(0.0)), "spring", monotonic())
        here.engine.flush()
        await here.until(lambda: here.line.customers)
        assert here.core.breaches == {"core_fault": 1}
        [ended] = await here.ended(1)
        assert (ended.call_id, ended.outcome, ended.dialed) == (failed[0], "cancelled", False)
        assert ended.retry_at is not None and failed[0] not in here.core.calls.by_id


async def test_a_fault_on_the_way_to_the_dial_costs_that_call_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk, failed = EngineCore.trunk, []

    def fails_once(core: EngineCore, *asked: Any) -> str:
        if not failed:
            failed.append(asked)
            raise KeyError("carrier")
        return trunk(core, *asked)

    monkeypatch.setattr(EngineCore, "trunk", fails_once)
    async with floor(tmp_path) as here:
        here.configure("spring")
        await here.seat()
        await here.until(lambda: here.line.customers)
        [ended] = await here.ended(1)
        assert (ended.outcome, ended.dialed) == ("cancelled", False)
        assert here.core.calls.lines["main"] == len(here.line.customers) == len(here.core.calls.by_id)


async def test_a_switch_that_takes_no_calls_costs_no_lead_an_attempt(tmp_path: Path) -> None:
    async with floor(tmp_path) as here:
        here.configure("spring")
        here.line.fault = TakesNoCalls("Asterisk is shutting down")
        await here.seat()
        await here.ended(1)
        here.line.fault = NotConnected("there is no link to the switch main")
        ends = await here.ended(len(here.records_of(AttemptEnded)) + 2)
        assert {(end.outcome, end.dialed, end.final) for end in ends} == {("cancelled", False, False)}
        assert not here.core.breaches


@pytest.mark.parametrize("mode", ["preview", "progressive"])
async def test_a_campaign_on_a_switch_that_is_not_configured_takes_no_lead_and_no_seats_time(
    tmp_path: Path, mode: str
) -> None:
    async with floor(tmp_path) as here:
        here.configure("north", priority=9, more=f'mode = "{mode}"', switch=("north",))
        shown: list[Any] = []
        here.bus.on_seat(lambda message: shown.append(message) if isinstance(message, ScreenPop) else None)
        await here.seat(campaigns=("north", "spring"))
        here.core.repace(monotonic())
        asked = here.turns
        await here.until(lambda: here.turns > asked + 20)
        assert shown == [] and not here.tables.leased
        here.configure("spring")
        await here.until(lambda: here.line.customers)
        assert not here.core.breaches


async def test_a_campaign_that_ran_dry_has_leads_again_while_its_seats_are_there_for_another(
    tmp_path: Path,
) -> None:
    """Its customers are due again in a quarter of an hour, and the other one has leads all day."""
    async with floor(tmp_path) as here:
        here.configure("spring")
        here.configure("winter", priority=5)
        winter = here.core.campaigns["winter"]
        winter.dry = True
        await here.seat(campaigns=("spring", "winter"))
        await here.until(lambda: not winter.dry)
        assert here.core.seats.by_user[1].paced == ("winter", "spring")


@pytest.mark.parametrize("mode", ["preview", "progressive", "ratio", "predictive"])
async def test_while_nobody_on_the_list_may_be_called_the_decision_says_so(tmp_path: Path, mode: str) -> None:
    """As outside the calling windows, with seats that are ready; later customers may be called again."""
    async with floor(tmp_path) as here:
        here.tables.open = 0
        here.configure("spring", more=f'mode = "{mode}"')
        await here.seat()
        [part] = here.core.campaigns["spring"].parts
        await here.until(lambda: part.decision.bound == "leads")
        here.tables.open = 5
        await here.until(lambda: here.tables.leased and part.decision.bound != "leads")
        await here.until(lambda: here.line.customers or here.core.previews)


async def test_a_preview_campaign_that_loses_its_switch_is_told_so(tmp_path: Path) -> None:
    """A new version names another switch while a customer is on the screen: nothing is dialed, and nothing breaks."""
    async with floor(tmp_path) as here:
        here.configure("spring", more='mode = "preview"')
        shown: list[ScreenPop] = []
        here.bus.on_seat(lambda message: shown.append(message) if isinstance(message, ScreenPop) else None)
        await here.seat()
        await here.until(lambda: shown)
        here.configure("spring", more='mode = "preview"', switch=("north",))
        dial = DialPreviewed(user_id=1, call_id=shown[0].call_id)
        assert await here.bus.command(dial) == Reply(ok=False, code="other_switch", detail="spring")
        assert (await here.bus.command(msgspec.structs.replace(dial, skip=True))).ok
        await here.until(lambda: shown[0].call_id in here.tables.released)
        assert not here.core.breaches and len(shown) == 1


async def test_a_fault_on_a_seats_command_is_counted_and_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = EngineCore.command

    def fails(core: EngineCore, asked: Any, now: float) -> Any:
        if isinstance(asked, Ready):
            raise KeyError("a seat's fault")
        return command(core, asked, now)

    monkeypatch.setattr(EngineCore, "command", fails)
    async with floor(tmp_path) as here:
        here.configure("spring")
        assert (await here.bus.command(SEAT)).ok
        reply = await here.bus.command(Ready(user_id=1))
        assert (reply.ok, reply.code) == (False, "failed")
        assert here.core.breaches == {"core_fault": 1}


async def test_a_fault_at_the_end_of_a_dialogue_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise KeyError("a dialogue's fault")

    monkeypatch.setattr(EngineCore, "harbour_done", fails)
    async with floor(tmp_path) as here:
        here.engine.harbour_done("zdc-" + "1" * 32, True, True)
        assert here.core.breaches == {"core_fault": 1}


async def test_a_fault_in_the_figures_does_not_end_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("a figure's fault")

    monkeypatch.setattr(engine_module, "SECOND_S", 0.02)
    async with floor(tmp_path) as here:
        here.configure("spring")
        here.bus.on_snapshot(fails)
        await here.until(lambda: here.core.breaches["core_fault"] >= 2)


async def test_leases_that_could_not_be_given_back_are_given_back_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "RENEW_EVERY_S", 0.02)
    async with floor(tmp_path) as here:
        [lead] = here.tables.lease(CAMPAIGN, 1, here.core.wall(0.0))
        here.tables.away = True
        here.core.free((lead.call_id,))
        here.engine.flush()
        asked = here.tables.asked
        await here.until(lambda: here.tables.asked >= asked + 3)
        here.tables.away = False
        await here.until(lambda: here.tables.released == [lead.call_id])


async def test_leads_of_whose_lease_nobody_heard_are_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "RENEW_EVERY_S", 0.02)
    async with floor(tmp_path) as here:
        here.tables.cut_after_commit = True
        with pytest.raises(OperationalError):
            here.tables.lease(CAMPAIGN, 1, here.core.wall(0.0))
        unheard = sorted(here.tables.unheard)
        await here.until(lambda: here.tables.released == unheard)


async def test_it_is_ready_while_calls_can_be_placed(tmp_path: Path) -> None:
    async with floor(tmp_path) as here:
        here.configure("spring")
        await here.until(lambda: here.core.is_up("main"))
        assert here.bus.ready == {
            "engine": True,
            "owner": True,
            "database": True,
            "switch": True,
            "dialing": True,
        }
        here.engine.feed(LinkDown(monotonic(), "main", "test"))
        assert not here.bus.ready["switch"]
        here.core.draining = True
        assert not here.bus.ready["dialing"]


async def test_one_that_may_have_been_cut_off_leaves_alone_what_may_be_anothers(tmp_path: Path) -> None:
    """Its lease has run out and the database does not answer: another engine may have switch, calls and seats."""
    async with floor(tmp_path) as here:
        await here.seat()
        leg = here.core.seats.by_user[1].leg
        here.hold.is_sure = False
        here.engine.feed(Created(monotonic(), "main", "zdc-anothers", "PJSIP/1"))
        assert (await here.bus.command(LogOut(user_id=1))).ok  # its page went to the other engine
        asked = here.hold.asked
        await here.until(lambda: here.hold.asked > asked + 1)  # once a second, as something is kept back
        assert here.line.hung_up == []
        here.hold.is_sure = True  # nobody has taken over
        await here.until(lambda: sorted(here.line.hung_up) == ["zdc-anothers", leg])


async def test_one_that_ends_on_a_busy_machine_lets_its_seats_go_once_it_is_sure(tmp_path: Path) -> None:
    """Its lease was just not renewed in time when it was asked to end: the hang-ups are kept back for a moment."""
    async with floor(tmp_path) as here:
        await here.seat()
        leg = here.core.seats.by_user[1].leg
        here.hold.is_sure = False
        ending = asyncio.create_task(here.engine.drain(lambda: 0.0))
        await here.until(lambda: here.engine.orders.keeps_back)
        here.hold.is_sure = True
        await ending
        assert here.line.hung_up == [leg]


@pytest.mark.parametrize("message_s", [0.0, 60.0])
async def test_who_waits_for_a_seat_as_the_engine_ends_hears_the_message_as_far_as_there_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message_s: float
) -> None:
    monkeypatch.setattr(engine_module, "CLOSING_S", 0.2 if message_s else LIMIT_S)
    async with floor(tmp_path) as here:
        here.configure("spring")
        await here.seat()
        await here.until(lambda: here.line.customers)
        uid = here.line.dialed[-1].uid
        assert (await here.bus.command(Pause(user_id=1))).ok
        here.engine.feed(Answered(monotonic(), "main", uid, "PJSIP/1"))
        ending = asyncio.create_task(here.engine.drain(lambda: 0.0))
        await here.until(lambda: here.line.sent == [(uid, "zhudong-safe-harbour")])
        await here.until(lambda: not message_s or uid in here.line.hung_up)
        here.engine.feed(HungUp(monotonic(), "main", uid, 16))
        await ending
        [ended] = await here.ended(1)
        assert ended.outcome == "abandoned"
        assert (uid in here.line.hung_up) is bool(message_s)


async def test_one_that_may_have_been_cut_off_rings_no_phone(tmp_path: Path) -> None:
    async with floor(tmp_path) as here:
        here.hold.is_sure = False
        assert (await here.bus.command(SEAT)).ok
        turns = here.turns
        here.configure("spring")
        await here.until(lambda: here.turns > turns + 3)
        assert here.line.dialed == []


async def test_a_database_that_hangs_does_not_keep_calls_from_ending_with_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "SAVE_LIMIT_S", 0.05)
    monkeypatch.setattr(engine_module, "CLOSING_S", 0.05)
    async with floor(tmp_path) as here:
        here.configure("spring")
        await here.seat()
        await here.until(lambda: here.line.customers and here.engine._buffers["spring"].call_ids)
        here.tables.go.clear()
        async with asyncio.timeout(5.0):
            await here.engine.drain(lambda: 0.0)
        assert here.line.hung_up and not here.core.seats.by_user


async def test_who_takes_a_switch_over_while_it_works_keeps_the_leads_it_has(
    tmp_path: Path, db: sqlalchemy.Engine
) -> None:
    """A campaign is on both: what waits in the buffer, at the rules or before a seat is no dead engine's leftover."""
    async with floor(tmp_path) as here:
        here.switches["west"] = Line("west")
        here.core.switches["west"] = SwitchLines("west", 50, 100.0, "{number}", "{endpoint}", ours=False)
        here.configure("spring", switch=("main", "west"))
        await here.seat()
        await here.until(lambda: here.line.customers and here.engine._buffers["spring"].call_ids)
        daemon = Daemon(config("127.0.0.1", 1, "user", "secret"), tmp_path)
        dead = InFlight("f" * 32, CAMPAIGN, lead(1), "dead", dialed=False)
        found = [
            InFlight(each, CAMPAIGN, lead(1), daemon.config.engine.name, dialed=False)
            for each in here.engine._buffers["spring"].call_ids
        ]
        here.tables.in_flight = lambda *_: [*found, dead]  # type: ignore[method-assign]
        await daemon._take(here.engine, db, {"west": "dead"})
        await here.until(lambda: here.tables.released and here.core.is_up("west"))
        assert here.tables.released == [dead.call_id]
