"""What an engine may still do: while it renews, when the database is slow or away, and after it stood still."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from campaigns import database
from campaigns.ownership import LEASE_S, Ownership
from dialer import tenure as tenure_module
from dialer.tenure import Lost, Tenure
from tests.database import fresh_url

TAKEN = text("UPDATE switch_lease SET engine = 'other', token = token + 1")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Ticking:
    """A hold whose loop runs: it looks fifty times a second."""

    def __init__(self, db: Engine) -> None:
        self.clock = Clock()
        self.tenure = Tenure(Ownership(db, "a", "here", ("main",)), "a", self.clock)

    def passes(self, seconds: float) -> bool:
        said = []
        for _ in range(round(seconds * 50)):
            self.clock.now += 0.02
            said.append(self.tenure.ours())
        return all(said)

    def stands_still(self, seconds: float) -> bool:
        self.clock.now += seconds
        return self.tenure.ours()


async def test_what_is_renewed_is_ours_and_sure(db: Engine) -> None:
    here = Ticking(db)
    for _ in range(4):
        await here.tenure.turn()
        assert here.passes(1.0) and here.tenure.sure()
    here.tenure.close()


async def test_a_database_that_does_not_answer_costs_new_calls_and_no_call_in_progress(db: Engine) -> None:
    here = Ticking(db)
    await here.tenure.turn()
    assert here.passes(LEASE_S + 60.0) and not here.tenure.sure()
    here.tenure.close()


async def test_after_it_stood_still_the_database_is_asked_at_once(db: Engine) -> None:
    here = Ticking(db)
    await here.tenure.turn()
    assert here.stands_still(100.0) and here.tenure.sure()  # nobody was there to take it
    with db.begin() as connection:
        connection.execute(TAKEN)
    assert not here.stands_still(100.0) and not here.tenure.sure()
    assert not here.passes(1.0)
    with pytest.raises(Lost):
        await here.tenure.turn()
    here.tenure.close()


async def test_what_was_taken_is_noticed_at_the_next_turn(db: Engine) -> None:
    here = Ticking(db)
    await here.tenure.turn()
    with db.begin() as connection:
        connection.execute(TAKEN)
    with pytest.raises(Lost):
        await here.tenure.turn()
    assert not here.passes(0.1)
    here.tenure.close()


async def test_one_that_stands_by_has_nothing_to_lose(db: Engine) -> None:
    other = Ownership(db, "b", "there", ("main",))
    other.turn()
    here = Ticking(db)
    assert await here.tenure.turn() == {} and here.stands_still(100.0)
    here.tenure.close()


async def test_with_the_database_away_it_goes_on_after_it_stood_still() -> None:
    engine = database.connect(fresh_url(), pool_size=1)
    here = Ticking(engine)
    await here.tenure.turn()
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE switch_lease RENAME TO away"))
    with pytest.raises(database.SQLAlchemyError):
        await here.tenure.turn()
    assert here.stands_still(100.0) and not here.tenure.sure()
    here.tenure.close()
    engine.dispose()


async def test_an_heir_that_has_just_ended_is_none(db: Engine) -> None:
    """Both are stopped at the same time: who has the calls must not leave them to who is gone."""
    here = Ticking(db)
    other = Ownership(db, "b", "there", ("main",))
    await here.tenure.turn()
    other.turn()
    await here.tenure.turn()
    heir = await here.tenure.heir()
    assert heir is not None and heir.name == "b"
    other.release()
    assert await here.tenure.heir() is None
    here.tenure.close()


async def test_a_database_that_hangs_keeps_no_engine_from_its_end(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn waits for a commit that nobody confirms; whom SIGTERM stops must drain all the same."""
    monkeypatch.setattr(tenure_module, "ANSWER_LIMIT_S", 0.05)
    here, answers, hangs = Ticking(db), threading.Event(), threading.Event()
    await here.tenure.turn()

    def hang(unreached: object) -> None:
        hangs.set()
        answers.wait(20.0)

    monkeypatch.setattr(here.tenure._stored, "turn", hang)
    turn = asyncio.create_task(here.tenure.turn())
    await asyncio.to_thread(hangs.wait)
    try:
        async with asyncio.timeout(2.0):
            assert await here.tenure.heir() is None
            await here.tenure.hand({"main": "b"})
            await here.tenure.release()
        assert here.tenure.tokens  # nothing of it was done, nor will be
    finally:
        answers.set()
        await asyncio.gather(turn, return_exceptions=True)
        here.tenure.close()


async def test_after_it_stood_still_it_asks_also_where_the_database_was_away_before(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is back by now, and another engine has found it first."""
    here = Ticking(db)
    await here.tenure.turn()

    def away(unreached: object) -> None:
        raise OperationalError("", {}, Exception("gone"))

    monkeypatch.setattr(here.tenure._stored, "turn", away)
    with pytest.raises(OperationalError):
        await here.tenure.turn()
    with db.begin() as connection:
        connection.execute(TAKEN)
    assert not here.stands_still(100.0)
    here.tenure.close()


async def test_an_answer_that_comes_too_late_is_heard_all_the_same(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenure_module, "ANSWER_LIMIT_S", 0.05)
    here, answers = Ticking(db), threading.Event()
    await here.tenure.turn()
    renew = here.tenure._stored.renew

    def late() -> frozenset[str]:
        answers.wait(20.0)
        return renew()

    monkeypatch.setattr(here.tenure._stored, "renew", late)
    with db.begin() as connection:
        connection.execute(TAKEN)
    assert here.stands_still(100.0)  # for all that anybody knows
    answers.set()
    with pytest.raises(Lost):
        await here.tenure.turn()
    assert not here.passes(0.1)
    here.tenure.close()


async def test_what_can_not_be_served_goes_to_an_engine_that_can_have_it_and_to_no_other(db: Engine) -> None:
    here = Tenure(Ownership(db, "a", "here", ("main", "east", "west"), standby=("west",)), "a")
    other = Ownership(db, "b", "there", ("west", "main"), standby=("main",))
    await here.turn()
    other.turn()
    assert await here.pass_on("east") is None and "east" in here.tokens
    heir = await here.pass_on("main")
    assert heir is not None and heir.name == "b"
    assert await here.turn() == {} and here.tokens.keys() == {"east"}  # it leaves it to the other one
    assert other.turn().taken == {"main": "a"}
    await here.turn()
    assert here.tokens.keys() == {"east"} and here.sure()
    here.close()
