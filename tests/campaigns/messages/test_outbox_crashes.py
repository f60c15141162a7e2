"""Two engines that send from one outbox and are killed at any point: nothing is lost, and what is doubled is accounted.

Who looks at the keys has each message once.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from campaigns.messages.outbox import LEASE
from tests.campaigns.crashes import CRASHES, chances, kill, started
from tests.campaigns.messages.sender import BATCH, send
from tests.campaigns.messages.world import MISSED, TWO_DAYS_LATER, Writing

CUSTOMERS = 100
LIFE_S = 0.4  # at most, after both are ready


@pytest.mark.timeout(240)  # to fork what has imported everything takes a minute on a busy machine
def test_killed_engines_lose_nothing_and_double_only_what_they_had_in_hand(
    db: Engine, tmp_path: Path
) -> None:
    world = Writing(db, steps=MISSED, customers=CUSTOMERS)
    world.calls()
    taken, chance, now = tmp_path / "taken", chances(), TWO_DAYS_LATER
    taken.touch()
    for _ in range(CRASHES // 2):
        with ExitStack() as alive:
            both = [
                alive.enter_context(started(send, db, name, taken, now)) for name in ("engine-1", "engine-2")
            ]
            time.sleep(chance.uniform(0, LIFE_S))
            for process in both:
                kill(db, process)
        now += LEASE + timedelta(minutes=1)
    while letters := world.claim(now):
        for letter in letters:
            with taken.open("a") as file:
                file.write(f"{letter.key} {letter.tries}\n")
            assert world.outbox.sent(letter, now)
    lines = taken.read_text().splitlines()
    rows = world.rows()
    assert len(rows) == CUSTOMERS and {row.state for row in rows} == {"sent"}
    assert len(lines) == len(set(lines))  # no lease was two engines'
    copies = Counter(line.split()[0] for line in lines)
    assert copies.keys() == {row.key.hex for row in rows}
    tries = {row.key.hex: row.tries for row in rows}
    assert all(copies[key] <= tries[key] for key in copies)
    # Only what was in hand when its engine died, one message of each, was taken without being on record.
    assert sum(copies.values()) - CUSTOMERS <= CRASHES // 2 * 2
    assert sum(tries.values()) - CUSTOMERS <= CRASHES // 2 * 2 * BATCH
