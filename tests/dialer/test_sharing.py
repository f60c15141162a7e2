"""The ledger of a campaign on several switches begins anew from the books, however busy its floor is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from campaigns.config import parse
from campaigns.parts import Figures
from dialer.core.campaign import Campaign
from dialer.journal import Journal
from dialer.sharing import Exchange
from pacing.floor import Floor
from tests.dialer.test_journal import Tables, note, until, writing

CONFIG = 'name = "spring"\nswitch = ["east", "west"]\n'


class Busy:
    """A floor on which people answer while its books are read, which say what they are told to. `east` is ours."""

    def __init__(self, journal: Journal, tables: Tables) -> None:
        self.campaign = Campaign(1, parse(CONFIG, "spring.toml"), Floor())
        assert self.campaign.sharing is not None
        self.sharing = self.campaign.sharing
        self.east = self.sharing.ledger_of("east")
        self.hearing = Counter[str]()
        self.books = Figures()
        self.journal, self._tables = journal, tables
        core = SimpleNamespace(has=lambda switch: switch == "east", hearing=lambda name: +self.hearing)
        engine: Any = SimpleNamespace(core=core, journal=journal)
        stored: Any = self
        self._exchange = Exchange(stored, engine)

    def window(self, *what: object) -> tuple[Figures, Mapping[str, Figures]]:
        """The books; nothing that comes from now on is in them."""
        self._tables.open.clear()
        self.east.connected(0.0)
        self.journal.put(note(1))
        self.hearing.clear()  # the message is over
        return self.books, {"east": self.books, "west": Figures(connected=5)}

    async def read(self) -> Figures:
        """What is known of `east` once they are read."""
        now = datetime.now(UTC)
        await self._exchange.read(self.campaign, self.sharing, timedelta(days=30), now)
        return self.sharing.known["east"]


async def test_what_never_came_on_record_is_no_longer_counted_once_the_books_are_read(tmp_path: Path) -> None:
    tables = Tables()
    async with writing(tables, tmp_path) as journal:
        floor = Busy(journal, tables)
        for _ in range(12):
            floor.east.connected(0.0)
        floor.east.abandoned(0.0)
        floor.hearing["east"] = 1  # on record when it is over
        floor.books = Figures(connected=10)
        assert await floor.read() == Figures(connected=11, abandoned=1)
        assert floor.sharing.known["west"] == Figures(connected=5)
        assert floor.sharing.ledger.answered == 12


async def test_books_that_lag_behind_a_database_that_was_away_take_nothing_from_what_is_known(
    tmp_path: Path,
) -> None:
    tables = Tables()
    async with writing(tables, tmp_path) as journal:
        floor = Busy(journal, tables)
        for _ in range(12):
            floor.east.connected(0.0)
        floor.books = Figures(connected=10)
        tables.away = True
        journal.put(note(0))
        await until(lambda: not journal.available)
        assert await floor.read() == Figures(connected=13)
        tables.away = False
