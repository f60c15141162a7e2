"""A working week in minutes: `python -m tests.faults.week [--days N] [--seed S]`, or `make week`.

The call centre of the fault suite, whose daemon has a clock that is set on: it lives through each opening, each
closing, the nights and the Sunday, and skips the hours between, in which nothing is new. At the end no call may have
been made while the campaign was closed, people were spoken to on any day that was open, the reports by day are those of
the attempts, and the books are compared as after a fault.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import text

from campaigns.reports.rolling import roll
from tests.contract.house import OPEN_ALL_DAY
from tests.faults.installation import Installation, Site, installed
from tests.faults.running import breaches, closed

ZONE = ZoneInfo("Asia/Shanghai")  # of the customers
HOURS = dict.fromkeys(range(5), (9, 18)) | {5: (10, 12)}  # Monday to Friday, Saturday
WINDOWS = "".join(
    f"{day} = {{ from = {begin:02}:00:00, to = {end:02}:00:00 }}\n"
    for day, (begin, end) in zip(("mon", "tue", "wed", "thu", "fri", "sat"), HOURS.values(), strict=True)
)
DAYS = 8  # to the next Monday
BEFORE_S, LAST_S = 4.0, 6.0  # seconds of the closed and of the open hours that are lived through
SLACK_S = 1.5  # between setting the clock and the daemon's reading it
DIALED_S = 1.0  # from a permit to the switch, on a machine that does other things as well
SPOKEN = 4  # customers after an opening

DIALED = text("SELECT dialed_at, connected_at FROM attempt WHERE dialed_at IS NOT NULL ORDER BY dialed_at")
COUNTED = text("""
SELECT (half_hour AT TIME ZONE :zone)::date AS day, sum(attempts) AS calls, sum(connected) AS connected
FROM rollup_call GROUP BY 1 ORDER BY 1
""")


@dataclass(slots=True)
class Day:
    """What came of a day, by the books."""

    calls: int = 0
    spoken: int = 0
    first: datetime | None = None
    last: datetime | None = None


class Clock:
    """The daemon's, and what it was when."""

    def __init__(self, on: Installation) -> None:
        self._on = on
        self._set: list[tuple[float, float]] = [(0.0, 0.0)]
        self.began = float("inf")  # when it was set first

    def to(self, at: datetime) -> None:
        """It is this time now. Never back."""
        ahead = at.timestamp() - time.time()
        assert ahead >= self._set[-1][1]
        self._on.clock.write_text(f"{ahead:+.6f}\n")
        self._set.append((time.time(), ahead))
        self.began = min(self.began, time.time())

    def read(self, real: float) -> datetime:
        """What it was at this instant of ours."""
        return datetime.fromtimestamp(real + [ahead for since, ahead in self._set if since <= real][-1], ZONE)

    def turned(self, real: float) -> bool:
        """Whether it was set about then, so that the daemon may have read either time."""
        return any(abs(real - since) < SLACK_S for since, _ in self._set[1:])


async def live(on: Installation, first: int, days: int) -> tuple[dict[str, Day], list[str]]:
    """Live through so many days from the next weekday `first` on; returns what came of each, and what is wrong."""
    clock, wrong = Clock(on), list[str]()
    house = on.house
    house.applied = house.applied.replace(OPEN_ALL_DAY, WINDOWS)
    await asyncio.to_thread(on.dial, True)
    today = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    begins = today + timedelta(days=7 - today.weekday() + first)
    for day in (begins + timedelta(days=number) for number in range(days)):
        clock.to(day + timedelta(hours=3))  # the night's work
        await asyncio.sleep(BEFORE_S)
        if day.weekday() not in HOURS:
            clock.to(day + timedelta(hours=11))
            await asyncio.sleep(BEFORE_S)
            continue
        opens, closes = (day + timedelta(hours=hour) for hour in HOURS[day.weekday()])
        clock.to(opens - timedelta(seconds=BEFORE_S))
        await on.work(SPOKEN)
        clock.to(closes - timedelta(seconds=LAST_S))
        await asyncio.sleep(LAST_S)
        await on.until("nobody is on the phone after hours", lambda: _quiet(on))
        print(f"{day:%A} is over", flush=True)
    for call in on.seen(0.0):
        at, before = clock.read(call.made), clock.read(call.made - DIALED_S)
        known = call.made > clock.began and not clock.turned(call.made)
        if call.is_customer and known and not _open(at) and not _open(before):
            wrong.append(f"{call.uid} was made at {at:%A %H:%M:%S}")
    return await asyncio.to_thread(_told, on, begins, days, wrong), wrong


def _quiet(on: Installation) -> bool:
    return all(call.ended is not None for call in on.seen(0.0) if call.is_customer)


def _open(at: datetime) -> bool:
    begin, end = HOURS.get(at.weekday(), (0, 0))
    return begin <= at.hour < end


def _told(on: Installation, begins: datetime, days: int, wrong: list[str]) -> dict[str, Day]:
    """The days by the books, and whether reports say the same."""
    found: dict[str, Day] = {}
    with on.house.db.connect() as connection:
        for row in connection.execute(DIALED):
            at = row.dialed_at.astimezone(ZONE)
            if at < begins:
                continue
            day = found.setdefault(f"{at:%Y-%m-%d}", Day())
            day.calls += 1
            day.spoken += row.connected_at is not None
            day.first, day.last = day.first or at, at
            if not _open(at):
                wrong.append(f"a call is on record for {at:%A %H:%M:%S}")
    while (turn := roll(on.house.db, begins + timedelta(days=days))) is None or turn.more:
        time.sleep(0.1)
    with on.house.db.connect() as connection:
        counted = {
            str(row.day): (row.calls, row.connected)
            for row in connection.execute(COUNTED, {"zone": ZONE.key})
        }
    for name, day in found.items():
        if counted.get(name) != (day.calls, day.spoken):
            wrong.append(f"{name}: reports say {counted.get(name)}, the attempts {day.calls}, {day.spoken}")
    lived = [begins + timedelta(days=number) for number in range(days)]
    wrong += [
        f"nobody was spoken to on {day:%A}"
        for day in lived
        if day.weekday() in HOURS and not found.get(f"{day:%Y-%m-%d}", Day()).spoken
    ]
    return found


async def lived(folder: Path, seed: int, first: int, days: int) -> tuple[dict[str, Day], list[str]]:
    """The whole of it, with the books at the end."""
    async with installed(folder, seed, Site.CLOCK) as on:
        found, wrong = await live(on, first, days)
        await on.settle()
        wrong += on.square(0.0, at_work=True).differences
        wrong += await breaches(on)
        wrong += await closed(on)
    return found, wrong


def main() -> int:
    chosen = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    chosen.add_argument("--days", type=int, default=DAYS)
    chosen.add_argument("--seed", type=int, default=1)
    options = chosen.parse_args()
    if Site.CLOCK.lacks:
        print(Site.CLOCK.lacks, file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="zhudong-week-"))
    found, wrong = asyncio.run(lived(folder, options.seed, 0, options.days))
    for name, day in found.items():
        assert day.first is not None and day.last is not None
        print(
            f"{name}  {day.calls:4} calls  {day.spoken:4} talks  {day.first:%H:%M:%S} to {day.last:%H:%M:%S}"
        )
    print("\n".join(wrong) or "nothing out of hours, and the books are square")
    if wrong:
        print(f"all of it is in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
