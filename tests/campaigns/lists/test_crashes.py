"""Imports that are killed at any point: all of the list is there or nothing, and the same again ends what was begun.

Plain, with the old leads updated or replaced, and taken back. A few crashes a run; `make crashes` makes a hundred.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from campaigns.lists.importing import Request, import_list
from campaigns.lists.loading import OnDuplicate, Policy
from campaigns.lists.report import Result
from campaigns.lists.undoing import undo
from tests.campaigns.crashes import CRASHES, chances, crash
from tests.campaigns.lists import job
from tests.campaigns.world import NOON, Campaign

OLD = 600  # leads that are there
ROWS = 2_200  # of a list, a fifth of them old leads
OLD_ROWS = ROWS // 5
NEW = ROWS - OLD_ROWS
BAD = 10  # rows that are no numbers

LEADS = """
SELECT l.id, l.name, l.attributes::text, l.list_id, l.open, l.lane, l.next_at::text, l.ready_at::text, l.zones::text,
    n.e164 FROM lead l JOIN number n ON n.lead_id = l.id
ORDER BY l.id, n.id
"""
BOOKS = """
SELECT (SELECT count(*) FROM lead) AS leads, (SELECT count(*) FROM number) AS numbers,
    (SELECT count(*) FROM lead l WHERE NOT EXISTS (SELECT FROM number n WHERE n.lead_id = l.id)) AS mute,
    (SELECT count(*) FROM list_change WHERE before IS NULL) AS due
"""
OF_LIST = """
SELECT count(*) AS imports, COALESCE(sum(accepted), 0) AS accepted, COALESCE(sum(updated), 0) AS updated,
    count(*) FILTER (WHERE finished_at IS NULL) AS unfinished FROM list WHERE name = :name AND undone_at IS NULL
"""


class Lists:
    """A campaign with old leads, and one list after the other that is imported into it and taken back."""

    def __init__(self, db: Engine, folder: Path) -> None:
        self.db = db
        self.campaign = Campaign(db, leads=OLD)
        self.before = self.leads()
        self._folder = folder
        self._serial = 0

    def leads(self) -> list[tuple[object, ...]]:
        with self.db.connect() as connection:
            return [tuple(row) for row in connection.execute(text(LEADS))]

    def new(self) -> tuple[str, Path]:
        """A list's name and its file: old and new numbers in turn, and some rows that are none."""
        self._serial += 1
        name = f"list-{self._serial}"
        rows = [f"138{n // 5 if n % 5 == 0 else 20_000_000 + n:08d},{name},{n}" for n in range(ROWS)]
        file = self._folder / f"{name}.csv"
        file.write_text("\n".join(["手机,姓名,行", *rows, *["12,nobody,0"] * BAD]) + "\n", "utf-8")
        return name, file

    def do(self, name: str, file: Path, policy: str) -> Result:
        request = Request(str(file), name, self.campaign.id, policy=Policy(on_duplicate=OnDuplicate(policy)))
        return import_list(self.db, request, NOON)

    def undo(self, name: str) -> None:
        undo(self.db, self.campaign.id, name, NOON)

    def check_import(self, name: str, file: Path, policy: str) -> None:
        """The list is there or not; the old leads whose change is not due any more are changed, no others are."""
        of, books = self.campaign.one(OF_LIST, name=name), self.campaign.one(BOOKS)
        assert books.mute == 0 and books.leads == books.numbers == OLD + of.accepted
        assert (of.imports, of.accepted) in ((0, 0), (1, NEW))
        if not of.imports:
            assert self.leads() == self.before
        elif policy == "skip":
            assert of.unfinished == books.due == 0
        changed = {row[0] for row in self.leads()[:OLD]} - self.unchanged()
        assert len(changed) + books.due == (OLD_ROWS if of.imports and policy != "skip" else 0)
        counts = self.do(name, file, policy)
        assert (counts.accepted, counts.rejected) == (NEW - of.accepted, BAD)
        again = self.do(name, file, policy)
        assert (again.accepted, again.duplicates, again.rejected) == (0, ROWS, BAD)
        self.check_whole(name, policy, again)

    def check_whole(self, name: str, policy: str, last: Result) -> None:
        """All of the list is there once, as the policy says, and nothing is left to be done."""
        of, books = self.campaign.one(OF_LIST, name=name), self.campaign.one(BOOKS)
        assert (of.accepted, of.unfinished, books.due, books.mute) == (NEW, 0, 0, 0)
        assert books.leads == books.numbers == OLD + NEW
        told = self.campaign.one(
            "SELECT accepted, duplicates, rejected FROM list WHERE id = :id", id=last.list_id
        )
        assert tuple(told) == (last.accepted, last.duplicates, last.rejected)
        leads = self.leads()
        changed = {row[0] for row in leads[:OLD]} - self.unchanged()
        assert len(changed) == (0 if policy == "skip" else OLD_ROWS)
        for _, lead, attributes, *_ in (row for row in leads if row[0] in changed):
            assert lead == name and ('"n"' in str(attributes)) == (policy == "update")

    def unchanged(self) -> set[object]:
        """The old leads that are as they were."""
        return {row[0] for row in set(self.before) & set(self.leads()[:OLD])}


@pytest.mark.slow
@pytest.mark.timeout(120 + 30 * CRASHES)
def test_an_import_that_is_killed_leaves_all_or_nothing(db: Engine, tmp_path: Path) -> None:
    lists = Lists(db, tmp_path)
    chance = chances()
    lasts = {
        "skip": 1.0,
        "update": 1.0,
        "replace": 1.0,
        "undo": 1.0,
    }  # seconds, of the last that was not killed
    killed, ended = dict.fromkeys(lasts, 0), dict.fromkeys(lasts, 0)
    while sum(killed.values()) < CRASHES:
        what = min(lasts, key=lambda each: (killed[each], chance.random()))
        name, file = lists.new()
        policy = chance.choice(["skip", "update", "replace"]) if what == "undo" else what
        if what == "undo":
            lists.check_whole(name, policy, lists.do(name, file, policy))
        moment = chance.uniform(0.0, 1.1 * lasts[what])
        took = crash(job.run, db, moment, lists.campaign.id, name, what, str(file))
        if took is None:
            killed[what] += 1
        else:
            ended[what], lasts[what] = ended[what] + 1, took
        if what == "undo":
            assert lists.campaign.one(BOOKS).mute == 0
        else:
            lists.check_import(name, file, policy)
        lists.undo(name)
        assert lists.leads() == lists.before
    print(f"killed: {killed}, came to their end: {ended}")
