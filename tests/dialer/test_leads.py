"""Leads on their way to the dial: held, renewed, given back; and nothing is dialed that is not on record."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from campaigns.config import ConfigError
from campaigns.values import Ask, Permit, Refusal, RefusalReason
from dialer import leads as leads_module
from dialer.leads import Authorizer, Hopper, LeadBuffer
from tests.dialer.hopper_tables import CAMPAIGN, LIMIT_S, Answer, Tables


async def until(so: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not so():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def filling(tables: Tables, wanted: int) -> AsyncIterator[tuple[LeadBuffer, list[bool]]]:
    """A buffer at work, and what it said when it was filled."""
    hopper, said = Hopper(tables), []
    buffer = LeadBuffer(CAMPAIGN, hopper, said.append)
    task = asyncio.create_task(buffer.run())
    buffer.want(wanted)
    try:
        yield buffer, said
    finally:
        tables.go.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        hopper.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leads_module, "FAULT_RETRY_S", 0.02)
    monkeypatch.setattr(leads_module, "DRY_RETRY_S", 0.02)


# --- the buffer --------------------------------------------------------------------------------------------------


async def test_it_is_filled_to_what_is_wanted_and_again_when_half_is_taken() -> None:
    tables = Tables(1_000)
    async with filling(tables, 20) as (buffer, said):
        await until(lambda: len(buffer) == 20)
        first = buffer.take(5)
        assert [lead.call_id for lead in first] == [f"{n:032x}" for n in range(1, 6)]  # the oldest first
        assert tables.asked == 1
        buffer.take(5)
        await until(lambda: len(buffer) == 20)
        assert set(buffer.call_ids) <= tables.leased and said == [False, False]


async def test_a_dry_campaign_is_told_as_such_and_taken_up_again_when_leads_come() -> None:
    tables = Tables(0)
    async with filling(tables, 10) as (buffer, said):
        await until(lambda: said)
        assert said[0] is True and len(buffer) == 0
        tables.open = 3
        buffer.want(10)
        await until(lambda: len(buffer) == 3)
        assert said[-1] is False


async def test_a_database_that_is_away_takes_nothing_from_the_buffer_and_is_tried_again() -> None:
    tables = Tables(100)
    with capture_logs() as said:
        async with filling(tables, 10) as (buffer, _):
            await until(lambda: len(buffer) == 10)
            tables.away = True
            asked = tables.asked
            buffer.take(6)
            await until(lambda: tables.asked >= asked + 3)
            assert len(buffer) == 4
            tables.away = False
            await until(lambda: len(buffer) == 10)
    assert [line["event"] for line in said] == ["leads could not be leased"]  # once, however often


async def test_leads_that_waited_too_long_go_back_and_fresh_ones_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A window may have closed, or better leads may have come: the list is asked anew."""
    tables = Tables(100)
    async with filling(tables, 10) as (buffer, _):
        await until(lambda: len(buffer) == 10)
        old = buffer.call_ids
        monkeypatch.setattr(leads_module, "STALE_S", 0.0)
        buffer.want(21)
        await until(lambda: set(old) <= set(tables.released))
        await until(lambda: len(buffer) == 21)
        assert not set(old) & set(buffer.call_ids)


async def test_a_stopped_campaign_lets_go_of_all_its_leads() -> None:
    tables = Tables(100)
    async with filling(tables, 10) as (buffer, _):
        await until(lambda: len(buffer) == 10)
        buffer.want(0)
        await until(lambda: not tables.leased)
        assert len(buffer) == 0 and len(tables.released) == 10


async def test_a_stopped_campaign_without_leads_costs_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for nothing ten times a second, for as long as the engine lives."""
    turns: list[LeadBuffer] = []
    refill = LeadBuffer._refill

    async def counted(buffer: LeadBuffer) -> None:
        turns.append(buffer)
        await refill(buffer)

    monkeypatch.setattr(LeadBuffer, "_refill", counted)
    tables = Tables(100)
    async with filling(tables, 0) as (buffer, _):
        for _ in range(5):
            await asyncio.sleep(0.01)
            buffer.want(0)
            assert buffer.take(1) == []
        await asyncio.sleep(0.01)
        assert turns == []
        buffer.want(10)
        await until(lambda: len(buffer) == 10)


async def test_a_version_that_can_not_be_read_dials_nothing_and_ends_nothing() -> None:
    """An older program may meet a version that a newer one applied."""
    tables = Tables(100)
    tables.fault = ConfigError("applied version: Object contains unknown field `amd_s`")
    async with filling(tables, 10) as (buffer, _), asking(tables) as (authorizer, answers):
        authorizer.ask(calls(1))
        await until(lambda: answers and tables.asked >= 3)
        assert answers == {f"{1:032x}": None} and len(buffer) == 0
        tables.fault = None
        await until(lambda: len(buffer) == 10)


@pytest.mark.parametrize("why", ["stale", "stopped"])
async def test_leads_that_could_not_be_given_back_are_given_back_when_the_database_is_there(
    why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease that nobody holds any more is taken up only by the next start of an engine."""
    tables = Tables(100)
    async with filling(tables, 10) as (buffer, _):
        await until(lambda: len(buffer) == 10)
        old = set(buffer.call_ids)
        tables.away = True
        asked = tables.asked
        if why == "stale":
            monkeypatch.setattr(leads_module, "STALE_S", 0.0)
        buffer.want(21 if why == "stale" else 0)
        await until(lambda: tables.asked >= asked + 2)
        tables.away = False
        await until(lambda: old <= set(tables.released))
        await until(lambda: tables.leased == set(buffer.call_ids))


async def test_leads_that_were_being_leased_when_the_filling_ended_are_not_lost() -> None:
    """A drain meets a lease under way: its leads must come back too, not wait five minutes for their lease to end."""
    tables = Tables(100)
    hopper = Hopper(tables)
    buffer = LeadBuffer(CAMPAIGN, hopper, lambda dry: None)
    task = asyncio.create_task(buffer.run())
    tables.go.clear()
    buffer.want(10)
    await until(lambda: tables.asked == 1)
    task.cancel()
    threading.Timer(0.05, tables.go.set).start()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    await buffer.empty()
    assert tables.leased == set() and len(tables.released) == 10
    hopper.close()


async def test_a_lease_that_fails_while_the_filling_ends_ends_it_all_the_same() -> None:
    tables = Tables(100)
    hopper = Hopper(tables)
    buffer = LeadBuffer(CAMPAIGN, hopper, lambda dry: None)
    task = asyncio.create_task(buffer.run())
    tables.go.clear()
    tables.away = True
    buffer.want(10)
    await until(lambda: tables.asked == 1)
    task.cancel()
    tables.go.set()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled() and len(buffer) == 0
    hopper.close()


async def test_a_long_count_holds_up_neither_leases_nor_what_is_given_back() -> None:
    tables, counted = Tables(10), threading.Event()
    hopper = Hopper(tables)

    def left(campaign_id: int) -> int:
        counted.wait(LIMIT_S)
        return tables.open

    tables.left = left
    counts = [asyncio.create_task(hopper.left(each)) for each in (1, 2, 3)]
    try:
        async with asyncio.timeout(LIMIT_S / 4):
            leads = await hopper.lease(CAMPAIGN, 3)
            await hopper.release([lead.call_id for lead in leads])
    finally:
        counted.set()
    assert await asyncio.gather(*counts) == [7, 7, 7]
    hopper.close()


# --- the rules' last word ----------------------------------------------------------------------------------------


@asynccontextmanager
async def asking(tables: Tables) -> AsyncIterator[tuple[Authorizer, dict[str, Answer | None]]]:
    answers: dict[str, Answer | None] = {}
    hopper = Hopper(tables)
    authorizer = Authorizer(hopper, answers.__setitem__)
    task = asyncio.create_task(authorizer.run())
    try:
        yield authorizer, answers
    finally:
        tables.go.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        hopper.close()


def calls(*numbers: int) -> list[Ask]:
    return [Ask(f"{n:032x}", "main") for n in numbers]


async def test_what_is_permitted_is_on_record_before_anyone_hears_of_it() -> None:
    tables = Tables(0)
    tables.barred = {f"{2:032x}"}
    async with asking(tables) as (authorizer, answers):
        authorizer.ask(calls(1, 2, 3))
        await until(lambda: len(answers) == 3)
    permitted = {call_id for call_id, answer in answers.items() if isinstance(answer, Permit)}
    assert permitted == tables.on_record == {f"{n:032x}" for n in (1, 3)}
    refusal = answers[f"{2:032x}"]
    assert isinstance(refusal, Refusal) and refusal.reason is RefusalReason.DNC


async def test_what_comes_while_a_batch_is_asked_about_is_the_next_batch() -> None:
    tables = Tables(0)
    tables.go.clear()
    async with asking(tables) as (authorizer, answers):
        authorizer.ask(calls(1))
        await until(lambda: tables.asked == 1)
        for n in range(2, 52):
            authorizer.ask(calls(n))
        tables.go.set()
        await until(lambda: len(answers) == 51)
    assert tables.batches == [1, 50]


async def test_what_comes_soon_after_a_batch_shares_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leads_module, "GATHER_S", 0.3)
    tables = Tables(0)
    async with asking(tables) as (authorizer, answers):
        authorizer.ask(calls(1))
        await until(lambda: len(answers) == 1)
        for n in range(2, 5):
            authorizer.ask(calls(n))
            await asyncio.sleep(0.001)
        await until(lambda: len(answers) == 4)
    assert tables.batches == [1, 3]


async def test_without_the_database_nothing_is_permitted() -> None:
    tables = Tables(0)
    tables.away = True
    with capture_logs() as said:
        async with asking(tables) as (authorizer, answers):
            authorizer.ask(calls(1, 2))
            await until(lambda: len(answers) == 2)
            for n in range(4, 20):
                authorizer.ask(calls(n))
                await until(lambda n=n: f"{n:032x}" in answers)
            assert set(answers.values()) == {None} and tables.on_record == set()
            tables.away = False
            authorizer.ask(calls(3))
            await until(lambda: f"{3:032x}" in answers)
            assert isinstance(answers[f"{3:032x}"], Permit)
    assert [line["event"] for line in said] == [  # once, however many batches
        "calls could not be authorized",
        "calls are authorized again",
    ]
    assert said[1]["not_authorized"] == 18


async def test_a_permit_whose_reply_was_lost_is_no_permit_and_is_remembered_as_uncertain() -> None:
    """It may be on record, or not: it is not dialed, and is looked up when the database is back."""
    tables = Tables(0)
    tables.cut_after_commit = True
    async with asking(tables) as (authorizer, answers):
        authorizer.ask(calls(1))
        await until(lambda: answers)
        assert answers == {f"{1:032x}": None}
        assert tables.on_record == authorizer.uncertain == {f"{1:032x}"}


async def test_the_time_the_rules_are_asked_about_is_now() -> None:
    tables, asked = Tables(0), []
    real = tables.authorize

    def noted(calls: Sequence[Ask], now: datetime) -> Mapping[str, Answer]:
        asked.append(now)
        return real(calls, now)

    tables.authorize = noted  # type: ignore[method-assign]
    began = datetime.now(UTC)
    async with asking(tables) as (authorizer, answers):
        authorizer.ask(calls(1))
        await until(lambda: answers)
    assert began <= asked[0] <= datetime.now(UTC)
