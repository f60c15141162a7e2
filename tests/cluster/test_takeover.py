"""An engine is killed, put to sleep, or stopped in good order in the middle of calls: another one goes on with them."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.cluster.pair import TWICE, Pair
from tests.contract.switches import channels

pytestmark = pytest.mark.slow


@pytest.mark.timeout(240)
async def test_the_owner_is_killed_and_later_another_hands_over_in_good_order(pair: Pair) -> None:
    pair.a.campaign(["08", "03", "08", "08"], 'mode = "ratio"\nratio = 2.0')
    first, second = await pair.launch()
    lina = await first.working("lina", "seat001")
    pop = await lina.connected()
    alive = await channels(pair.switch)
    assert len(alive) == 3  # the customer, the seat's leg, and the phone that rings
    await first.kill()
    await pair.has(second)
    await lina.goes_on_at(second.door, pop["call_id"])
    assert set(await channels(pair.switch)) == {uid for uid in alive if alive[uid].bridge_id}
    await second.recorded(1)
    assert second.outcomes()["03"] in ("cancelled", "lost")  # what rang for the dead engine was hung up
    await lina.ends(pop["call_id"], "sold", "and signed")
    following = await lina.connected(60.0)

    await first.spawn()
    await pair.stands_by(first)
    together = {uid for uid, channel in (await channels(pair.switch)).items() if channel.bridge_id}
    await second.terminate()
    await pair.has(first)
    assert await second.ended() == 0
    await lina.goes_on_at(first.door, following["call_id"])
    assert together <= set(await channels(pair.switch))  # no voice was cut
    await lina.do("hang_up", call_id=following["call_id"])
    await lina.dispose()
    await first.until_so(
        "all have their outcome", "SELECT count(*) >= 3 AND every(outcome IS NOT NULL) FROM attempt"
    )
    of_first = next(row for row in first.attempts() if row.e164 == pop["number"])
    assert (of_first.outcome, of_first.code, of_first.notes) == ("connected", "sold", "and signed")
    assert first.scalar(TWICE) == 0
    await first.books_are_square()


@pytest.mark.timeout(240)
async def test_an_owner_that_slept_dials_nothing_when_it_wakes(pair: Pair) -> None:
    pair.a.campaign(["08"] * 12, "wrap_up_s = 1.0")
    sleeper, other = await pair.launch()
    lina = await sleeper.working("lina", "seat001")
    pop = await lina.connected()
    sleeper.send(signal.SIGSTOP)
    await pair.has(other)
    await lina.goes_on_at(other.door, pop["call_id"])
    mario = await other.working("mario", "seat002")
    theirs = await mario.connected()
    before = sleeper.scalar(f"SELECT count(*) FROM attempt WHERE owner = '{sleeper.engine}'")
    sleeper.send(signal.SIGCONT)
    await pair.stands_by(sleeper)  # it began anew
    assert "another engine has taken over" in sleeper.log.read_text()
    live = await channels(pair.switch)
    assert {f"zdc-{pop['call_id']}", f"zdc-{theirs['call_id']}"} <= set(live)  # it hung up nobody
    for agent, call in ((lina, pop), (mario, theirs)):
        await agent.ends(call["call_id"])
    await asyncio.gather(lina.connected(60.0), mario.connected(60.0))
    assert sleeper.scalar(f"SELECT count(*) FROM attempt WHERE owner = '{sleeper.engine}'") == before
    assert other.scalar(TWICE) == 0
