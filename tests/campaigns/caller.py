"""An engine that calls, as a process of its own, to be killed: it leases, authorizes, settles and releases.

What became of its calls it writes to a diary before it tells the database, as an engine does with its journal.
"""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from campaigns import database
from campaigns.hopper import Hopper
from campaigns.journal_store import JournalStore
from campaigns.records import AnyRecord, AttemptAnswered, AttemptEnded
from campaigns.values import Ask, Lead, Permit
from tests.campaigns.crashes import Ready

LEASED, BATCH = 12, 5  # leads of a lease, and those that are authorized together


class Diary:
    """The records of one engine in a file, a line each, numbered over all its lives; and the tables they go to."""

    def __init__(self, path: Path, store: JournalStore) -> None:
        self._store = store
        self._path = path
        self.records = self.read(path)

    @staticmethod
    def read(path: Path) -> list[AnyRecord]:
        """All records whose line got to its end."""
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [msgspec.json.decode(line, type=AnyRecord) for line in lines]

    def keep(self, records: list[AnyRecord]) -> None:
        """Write them to the file, then apply them."""
        with self._path.open("ab") as file:
            file.write(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
        self.records += records
        self._store.apply([(len(self.records) - len(records) + n, r) for n, r in enumerate(records, 1)])

    def catch_up(self) -> None:
        """Apply what a life before wrote; what is in the tables is left out there."""
        whole = b"".join(msgspec.json.encode(record) + b"\n" for record in self.records)
        self._path.write_bytes(whole)  # without a line that was being written
        self._store.apply(list(enumerate(self.records, 1)))


def call(
    url: str, campaign_id: int, name: str, diary: Path, start: datetime, seed: float, ready: Ready
) -> None:
    """Call until killed. At the beginning it is `start`."""
    engine = database.connect(url, pool_size=2)
    hopper, chance = Hopper(engine, name), random.Random(seed)
    kept = Diary(diary, JournalStore(engine, name))
    begun = time.monotonic()
    up: list[tuple[Lead, datetime]] = []  # calls in the air
    ready()
    while True:
        now = start + timedelta(seconds=time.monotonic() - begun)
        leads = hopper.lease(campaign_id, LEASED, now)
        some = chance.sample(leads, len(leads) // 6)
        hopper.release([lead.call_id for lead in some])
        asked = [lead for lead in leads if lead not in some]
        for n in range(0, len(asked), BATCH):
            batch = asked[n : n + BATCH]
            answers = hopper.authorize([Ask(lead.call_id, "main") for lead in batch], now)
            up += [(lead, now) for lead in batch if isinstance(answers[lead.call_id], Permit)]
        hopper.renew([lead.call_id for lead, _ in up], now)
        chance.shuffle(up)
        over, up = up[: len(up) // 2], up[len(up) // 2 :]
        now = start + timedelta(seconds=time.monotonic() - begun)
        kept.keep([record for lead, _ in over for record in ended(lead, now, chance)])


def ended(lead: Lead, now: datetime, chance: random.Random) -> list[AnyRecord]:
    """What became of a call: a talk, nobody, or a switch that did not take it."""
    what = chance.choice(["connected", "no_answer", "no_answer", "failed"])
    end = AttemptEnded(
        at=now,
        call_id=lead.call_id,
        outcome=what,
        dialed=what != "failed",
        final=what == "connected" and chance.random() < 0.05,
        retry_at=now + timedelta(milliseconds=50),
    )
    return [AttemptAnswered(at=now, call_id=lead.call_id), end] if what == "connected" else [end]
