"""Work asked for over HTTP that takes a core for long: in a process of its own, which steps back behind the calls.

A job comes as JSON on standard input, what came of it goes as JSON to standard output. A job that is killed has done
nothing, or, for an undo, is done by asking again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine

from campaigns import database
from campaigns.audit import By, acting, masked, write
from campaigns.config import CampaignsError
from campaigns.evidence import write_evidence
from campaigns.history import person as persons
from campaigns.history.files import Files
from campaigns.history.query import History
from campaigns.lists.importing import AlreadyIn, Request, import_list
from campaigns.lists.loading import OnDuplicate, Policy
from campaigns.lists.undoing import undo
from campaigns.priority import step_back
from campaigns.segments.taking import Wish, take
from campaigns.why import Explainer

REPORT, REJECTS = "report.json", "rejected.csv"
MOST_ROWS = 10_000  # of a batch
DAY = timedelta(days=1)


class Refused(CampaignsError):
    """What was given can't be used. The text says why."""


class ImportJob(msgspec.Struct, frozen=True, tag="import"):
    """A list to be imported: the options are those of :class:`campaigns.lists.importing.Request`.

    `file` lies in the folder in which the job runs, where its report and its rejected rows go; `array`: it is one JSON
    array of objects.
    """

    file: str
    name: str
    campaign_id: int
    columns: dict[str, str]
    source: str
    country: str
    area_code: str
    zone: str
    duplicates: str
    same: str
    within: str
    dry_run: bool
    array: bool
    batch: str

    def run(self, engine: Engine) -> dict[str, Any]:
        """Its answer has the import's id, or says that the batch is in already."""
        if self.array:
            _as_lines(Path(self.file))
        request = Request(
            file=self.file,
            name=self.name,
            campaign_id=self.campaign_id,
            columns=self.columns,
            source=self.source,
            country=self.country,
            area_code=self.area_code,
            zone=self.zone,
            policy=Policy(self.same, self.within, OnDuplicate(self.duplicates)),
            dry_run=self.dry_run,
            report=Path(REPORT),
            rejects=Path(REJECTS),
            batch=self.batch,
        )
        try:
            return {"list_id": import_list(engine, request, datetime.now(UTC)).list_id}
        except AlreadyIn as there:
            return {"list_id": there.list_id, "repeated": True}


class UndoJob(msgspec.Struct, frozen=True, tag="undo"):
    """A list to be taken back."""

    campaign_id: int
    name: str

    def run(self, engine: Engine) -> dict[str, Any]:
        """Its answer has the counts."""
        undone = undo(engine, self.campaign_id, self.name, datetime.now(UTC))
        if not undone.imports:
            raise Refused(f"there is no list {self.name!r} in this campaign that could be taken back")
        return {name: getattr(undone, name) for name in undone.__slots__}


class EvidenceJob(msgspec.Struct, frozen=True, tag="evidence"):
    """What allowed the calls of a campaign, or to a number (E.164), between two instants; a CSV in the job's folder.

    One of the two must be named: nobody gets a file of all calls.
    """

    archive: str
    campaign_id: int | None
    number: str | None
    since: datetime
    until: datetime
    file: str

    def run(self, engine: Engine) -> dict[str, Any]:
        """Its answer has the count."""
        if self.campaign_id is None and self.number is None:
            raise Refused("evidence is of a campaign or of a number")
        person = None if self.number is None else persons.find(engine, self.number)
        history = History(engine, Files(Path(self.archive)))

        def calls() -> Iterator[Any]:
            at = self.since
            while at < self.until:
                after = min(self.until, at + DAY)
                yield from history.calls(at, after, person, self.campaign_id)
                at = after

        with engine.begin() as connection:
            about = f"campaign {self.campaign_id}" if self.number is None else masked(self.number)
            write(connection, "evidence written", about, f"{self.since:%F} to {self.until:%F}")
        with open(self.file, "w", encoding="utf-8-sig", newline="") as out:
            return {"calls": write_evidence(engine, calls(), out)}


class PersonJob(msgspec.Struct, frozen=True, tag="person"):
    """All that is known of a person, as JSON in the job's folder."""

    archive: str
    number: str
    customer: str
    file: str

    def run(self, engine: Engine) -> dict[str, Any]:
        """Its answer has the count of calls."""
        found = persons.find(engine, self.number, self.customer)
        history = History(engine, Files(Path(self.archive)))
        told = persons.export(engine, history, found, "", datetime.now(UTC))
        Path(self.file).write_bytes(msgspec.json.encode(told))
        return {"calls": len(told["calls"])}


class HeldJob(msgspec.Struct, frozen=True, tag="held"):
    """What holds a campaign's leads back: as `dialer why --campaign`."""

    campaign: str

    def run(self, engine: Engine) -> dict[str, Any]:
        """Its answer is a :class:`campaigns.why.CampaignWhy`."""
        return msgspec.to_builtins(Explainer(engine).campaign(self.campaign, datetime.now(UTC)))


class TakeJob(msgspec.Struct, frozen=True, tag="take"):
    """A campaign takes customers of a segment."""

    wish: Wish

    def run(self, engine: Engine) -> dict[str, Any]:
        """Its answer has the counts."""
        taken = take(engine, self.wish, engine.get_execution_options()["by"].who, datetime.now(UTC))
        return {name: getattr(taken, name) for name in taken.__slots__}


Job = ImportJob | UndoJob | EvidenceJob | PersonJob | HeldJob | TakeJob


class Order(msgspec.Struct, frozen=True):
    """A job, the database that it is about, and for whom it is done."""

    url: str
    job: Job
    by: By


class Answer(msgspec.Struct, frozen=True):
    """What came of a job; `refused` says why nothing did."""

    done: dict[str, Any] = {}
    refused: str = ""


def _as_lines(path: Path) -> None:
    """An array of objects becomes a file of JSON lines, a row of which is its place in the array from 1 on."""
    try:
        rows = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as fault:
        raise Refused(f"the rows are no JSON: {fault}") from fault
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Refused("the rows must be one JSON array of objects")
    if not rows or len(rows) > MOST_ROWS:
        raise Refused(f"{len(rows):,} rows; a batch has 1 to {MOST_ROWS:,}")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def _main() -> None:
    step_back()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    engine = acting(database.connect(order.url, pool_size=2), order.by)
    try:
        answer = Answer(done=order.job.run(engine))
    except CampaignsError as fault:
        answer = Answer(refused=str(fault))
    finally:
        engine.dispose()
    sys.stdout.buffer.write(msgspec.json.encode(answer))


if __name__ == "__main__":
    _main()
