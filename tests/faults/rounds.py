"""A round: each fault once, in an order and at moments of its seed; at its end all is closed down and compared."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import shutil
import tempfile
import traceback
from dataclasses import fields
from pathlib import Path
from typing import Final

from tests.faults.installation import Site, installed
from tests.faults.kinds import SITES
from tests.faults.running import Run, closed, run

CLOSED: Final = "the day's end"
KEYS: Final = tuple(each.name for each in fields(Run))


def one_round(kinds: list[str], seed: int, kept: Path | None) -> list[Run]:
    """In a process of its own: neither the migrations nor the server's wheel are for several threads.

    What came of each fault goes into the file `kept` at once: a night may be cut short.
    """
    logging.disable(logging.WARNING)
    return asyncio.run(round_of(kinds, seed, kept))


async def round_of(kinds: list[str], seed: int, kept: Path | None) -> list[Run]:
    """Each fault once. What fails gets a new installation, and its folder stays to be looked at."""
    order = random.Random(seed).sample(kinds, len(kinds))
    done: list[Run] = []
    for site in Site:
        here = [kind for kind in order if SITES.get(kind, Site.PLAIN) is site]
        if here and site.lacks:
            print(f"{', '.join(here)}: not done, {site.lacks}", flush=True)
            continue
        while here:
            done += await _on_one(here, seed, site, kept)
    return done


async def _on_one(order: list[str], seed: int, site: Site, kept: Path | None) -> list[Run]:
    """Take from the faults, and do them to one installation, until none is left or there is a violation."""
    folder = Path(tempfile.mkdtemp(prefix=f"zhudong-faults-{seed}-"))
    done: list[Run] = []
    failed = False
    try:
        async with installed(folder, seed, site) as on:
            while order and not failed:
                done.append(await run(on, order.pop(), seed))
                failed = _told(done[-1], folder, kept)
            if not failed:
                done.append(Run(CLOSED, seed, violations=await closed(on)))
                failed = _told(done[-1], folder, kept)
    except Exception:  # the installation itself: the machine, or what the fault before left of it
        done.append(Run(CLOSED, seed, violations=[traceback.format_exc()]))
        failed = _told(done[-1], folder, kept)
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
    return done


def keep(done: Run, file: Path) -> None:
    """Add it to what was run before."""
    with file.open("a", encoding="utf-8") as kept:
        kept.write(json.dumps({key: getattr(done, key) for key in KEYS}) + "\n")


def _told(done: Run, folder: Path, kept: Path | None) -> bool:
    if kept is not None:
        keep(done, kept)
    print(f"seed {done.seed}  {done.kind}: {done.calls} calls, {done.verdicts} verdicts, {done.kept} talks kept, "
          f"back after {done.back_s:.1f} s, {len(done.violations)} violations", flush=True)  # fmt: skip
    for violation in done.violations:
        print(f"  {violation}", flush=True)
    if done.violations:
        print(
            f'  all of it is in {folder}; again: make faults RUNS=1 SEED={done.seed} FAULTS="{done.kind}"',
            flush=True,
        )
    return bool(done.violations)
