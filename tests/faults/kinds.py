"""The faults: what each does to an installation, at moments and for times that its chance decides, until it is over."""

from __future__ import annotations

import asyncio
import random
import resource
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from tests.faults.handovers import (
    Back,
    link_to_owner_cut,
    owner_and_database_killed,
    owner_frozen,
    owner_killed,
)
from tests.faults.installation import Installation, Site
from tests.faults.proxy import Mischief

# Until it is over. One through which calls are made again returns when that was.
Fault = Callable[[Installation, random.Random], Awaitable[Back | None]]

CLOCK: Final = "clock stepped"  # on an installation of its own, whose records have any times

# Whether a link or a loop is taken for dead hangs on some seconds: faults last for less and for more than that.
SHORT_S, LONG_S = 0.2, 7.0


async def engine_killed(on: Installation, chance: random.Random) -> None:
    await on.house.kill()
    await asyncio.sleep(chance.choice((0.0, chance.uniform(0.0, 3.0))))
    await on.house.start()


async def engine_killed_twice(on: Installation, chance: random.Random) -> None:
    """Again while it takes over what its last life left."""
    await on.house.kill()
    await on.house.spawn()
    await asyncio.sleep(chance.uniform(0.5, 4.0))
    await on.house.kill()
    await on.house.start()


async def engine_frozen(on: Installation, chance: random.Random) -> None:
    """As on a machine that swaps, or with a loop that is blocked."""
    on.house.send(signal.SIGSTOP)
    await asyncio.sleep(chance.uniform(SHORT_S, LONG_S))
    on.house.send(signal.SIGCONT)


async def database_killed(on: Installation, chance: random.Random) -> None:
    await asyncio.to_thread(on.server.kill)
    await asyncio.sleep(chance.uniform(0.0, LONG_S))
    await asyncio.to_thread(on.server.start)


async def database_read_only(on: Installation, chance: random.Random) -> None:
    await asyncio.to_thread(on.server.read_only, True)
    await asyncio.sleep(chance.uniform(SHORT_S, LONG_S))
    await asyncio.to_thread(on.server.read_only, False)


async def database_cut(on: Installation, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        await asyncio.to_thread(on.server.cut)
        await asyncio.sleep(chance.uniform(0.0, 0.5))


async def database_frozen(on: Installation, chance: random.Random) -> None:
    """It answers nobody, and refuses nobody."""
    await asyncio.to_thread(on.server.freeze, True)
    await asyncio.sleep(chance.uniform(SHORT_S, LONG_S))
    await asyncio.to_thread(on.server.freeze, False)


async def engine_killed_without_database(on: Installation, chance: random.Random) -> None:
    """What the journal has meanwhile is in its spool alone."""
    await asyncio.to_thread(on.server.kill)
    await asyncio.sleep(chance.uniform(0.0, 4.0))
    await on.house.kill()
    await asyncio.to_thread(on.server.start)
    await on.house.start()


async def switch_killed(on: Installation, chance: random.Random) -> None:
    on.kill_switch()
    await asyncio.sleep(chance.uniform(0.0, 3.0))
    on.switch.start()


async def switch_frozen(on: Installation, chance: random.Random) -> None:
    on.switch.send(signal.SIGSTOP)
    await asyncio.sleep(chance.uniform(SHORT_S, LONG_S))
    on.switch.send(signal.SIGCONT)


async def link_cut(on: Installation, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 3)):
        on.proxy.cut()
        await asyncio.sleep(chance.uniform(0.0, 1.5))


async def link_half_open(on: Installation, chance: random.Random) -> None:
    on.proxy.stall(True)
    await asyncio.sleep(chance.uniform(SHORT_S, LONG_S))
    on.proxy.stall(False)


async def link_half_open_and_cut(on: Installation, chance: random.Random) -> None:
    """What was sent into it never arrives."""
    on.proxy.stall(True)
    await asyncio.sleep(chance.uniform(SHORT_S, 3.0))
    on.proxy.cut()
    on.proxy.stall(False)


async def engine_killed_with_link_stalled(on: Installation, chance: random.Random) -> None:
    """What the next life asks reaches a switch that has gone on without it."""
    on.proxy.stall(True)
    await asyncio.sleep(chance.uniform(0.0, 2.0))
    await on.house.kill()
    on.proxy.cut()
    on.proxy.stall(False)
    await on.house.start()


def _mischief(most: Mischief) -> Fault:
    async def fault(on: Installation, chance: random.Random) -> None:
        on.proxy.mischief = most
        await asyncio.sleep(chance.uniform(1.0, 4.0))
        on.proxy.mischief = Mischief()

    return fault


async def link_late(on: Installation, chance: random.Random) -> None:
    """What it does at once is heard so late that a seat given in time is told of after the connect limit."""
    on.proxy.mischief = Mischief(late_s=chance.uniform(1.05, 1.8))
    await asyncio.sleep(chance.uniform(3.0, 6.0))
    on.proxy.mischief = Mischief()


async def clock_stepped(on: Installation, chance: random.Random) -> None:
    """Of the daemon alone: the database's and the switch's are as they were."""
    await asyncio.sleep(chance.uniform(0.0, 2.0))
    for _ in range(chance.randint(1, 2)):
        on.clock.write_text(f"{chance.choice((-1, 1)) * chance.uniform(0.5, 3_600.0):+.1f}\n")
        await asyncio.sleep(chance.uniform(1.0, 4.0))


async def no_descriptors(on: Installation, chance: random.Random) -> None:
    """All files and sockets that the daemon may have are in use."""
    limits = on.leave_descriptors(chance.choice((0, 0, 1, 2, 3)))
    if chance.random() < 0.5:
        await asyncio.to_thread(on.server.cut)  # and those to the database are to be opened anew
    await asyncio.sleep(chance.uniform(1.0, 4.0))
    resource.prlimit(on.house.pid, resource.RLIMIT_NOFILE, limits)


async def database_disk_full(on: Installation, chance: random.Random) -> None:
    """It refuses what needs a new page, or ends when it needs a new file for its log."""
    await _filled_until_refused(on, chance)
    await _freed(on)


async def database_log_full(on: Installation, chance: random.Random) -> None:
    """It can't go on, nor start again, until there is room."""
    assert on.database_disk is not None
    await asyncio.to_thread(on.database_disk.fill)
    await asyncio.to_thread(on.server.fill_log)
    await asyncio.sleep(chance.uniform(0.0, LONG_S))
    await _freed(on)


async def engine_disk_full(on: Installation, chance: random.Random) -> None:
    """What it has to say goes nowhere; then the database goes, too, and what is to be recorded waits in memory."""
    assert on.disk is not None
    await asyncio.to_thread(on.disk.fill)
    await asyncio.sleep(chance.uniform(0.0, 2.0))
    await asyncio.to_thread(on.server.kill)
    await on.until("records wait in memory", on.has_unsaved)
    await asyncio.sleep(chance.uniform(0.0, LONG_S))
    back = [partial(asyncio.to_thread, on.disk.free), partial(asyncio.to_thread, on.server.start)]
    for each in chance.sample(back, len(back)):
        await each()
        await asyncio.sleep(chance.uniform(0.0, 1.5))


async def engine_killed_with_disk_full(on: Installation, chance: random.Random) -> None:
    """Its next life begins without a block for spool and log."""
    assert on.disk is not None
    await asyncio.to_thread(on.disk.fill)
    await asyncio.sleep(chance.uniform(0.0, 2.0))
    await on.house.kill()
    await on.house.start()
    await asyncio.sleep(chance.uniform(0.0, LONG_S))
    await asyncio.to_thread(on.disk.free)


async def all_disks_full(on: Installation, chance: random.Random) -> None:
    """As when database, spool and log are on one disk."""
    assert on.disk is not None
    await _filled_until_refused(on, chance)
    await asyncio.to_thread(on.disk.fill)
    await asyncio.sleep(chance.uniform(0.0, LONG_S))
    back = [partial(asyncio.to_thread, on.disk.free), partial(_freed, on)]
    for each in chance.sample(back, len(back)):
        await each()


async def _filled_until_refused(on: Installation, chance: random.Random) -> None:
    """Until the daemon was told so, or the server has ended of it; and for some time more."""
    disk, told = on.database_disk, on.told()
    assert disk is not None

    def refused() -> bool:
        disk.fill()  # also what was freed meanwhile: old files of its log
        return on.has_met("No space left on device", told) or not on.server.answers()

    await on.until("the database has no room for what comes", refused)
    await asyncio.sleep(chance.uniform(0.0, LONG_S))


async def _freed(on: Installation) -> None:
    assert on.database_disk is not None
    await asyncio.to_thread(on.database_disk.free)
    await asyncio.to_thread(on.server.restore)


async def database_fails_over(on: Installation, chance: random.Random) -> None:
    """The primary is gone for good; somebody promotes the standby."""
    assert on.pair is not None
    await asyncio.to_thread(on.pair.kill_primary)
    await asyncio.sleep(chance.uniform(0.0, LONG_S))
    await asyncio.to_thread(on.pair.promote)


async def standby_killed(on: Installation, chance: random.Random) -> None:
    """The primary is there, and takes what it is told, but nothing of it is confirmed."""
    assert on.pair is not None
    await asyncio.to_thread(on.pair.kill_standby)
    await asyncio.sleep(chance.uniform(SHORT_S, LONG_S))
    if chance.random() < 0.5:
        await on.house.kill()  # what it was not told is on record all the same
        await asyncio.to_thread(on.pair.start_standby)
        await on.house.start()
    else:
        await asyncio.to_thread(on.pair.start_standby)


async def database_machine_gone(on: Installation, chance: random.Random) -> None:
    """Nobody says so to its connections; it goes on by itself until whoever promotes the standby has made it end."""
    assert on.pair is not None and on.far is not None
    await asyncio.to_thread(on.far.vanish)
    await asyncio.sleep(chance.uniform(0.0, LONG_S))
    await asyncio.to_thread(on.pair.kill_primary)
    await asyncio.to_thread(on.pair.promote)


async def engine_killed_as_database_fails_over(on: Installation, chance: random.Random) -> None:
    """The next life has the standby alone, which must know what the primary had confirmed to the last."""
    assert on.pair is not None
    await asyncio.to_thread(on.pair.kill_primary)
    await asyncio.sleep(chance.uniform(0.0, 4.0))
    await on.house.kill()
    await asyncio.to_thread(on.pair.promote)
    await on.house.start()


KINDS: Final[dict[str, tuple[str, Fault]]] = {
    "engine killed": ("`kill -9` of the daemon, started again within 3 s", engine_killed),
    "engine killed twice": ("again while it takes over what its last life left", engine_killed_twice),
    "engine frozen": ("the daemon does not run for 0.2 to 7 s (SIGSTOP)", engine_frozen),
    CLOCK: (
        "the daemon's clock is set, up to an hour on or back, once or twice (libfaketime)",
        clock_stepped,
    ),
    "out of descriptors": ("the daemon may open no more files and sockets for 1 to 4 s", no_descriptors),
    "database killed": ("the server is gone at once, back within 7 s", database_killed),
    "database read-only": ("it takes no writes for 0.2 to 7 s", database_read_only),
    "database connections cut": ("all of the daemon's, one to eight times", database_cut),
    "database frozen": ("it does not answer for 0.2 to 7 s", database_frozen),
    "database disk full": (
        "not a block is left until it has refused writes, and for up to 7 s more",
        database_disk_full,
    ),
    "database log full": (
        "its log can't go on: the server ends, and can't start for up to 7 s",
        database_log_full,
    ),
    "database fails over": (
        "the primary is killed, and its standby (synchronous) promoted within 7 s",
        database_fails_over,
    ),
    "standby killed": (
        "for up to 7 s nothing is confirmed; the daemon is killed meanwhile, or waits",
        standby_killed,
    ),
    "database machine gone": (
        "the primary's machine vanishes from the network without a word; the standby is promoted within 7 s",
        database_machine_gone,
    ),
    "engine killed as database fails over": (
        "the next life begins on the standby",
        engine_killed_as_database_fails_over,
    ),
    "engine disk full": (
        "not a block is left for spool and log, then the database is killed; records wait in memory for up to 7 s",
        engine_disk_full,
    ),
    "engine killed, its disk full": (
        "it starts again without a block for spool and log",
        engine_killed_with_disk_full,
    ),
    "all disks full": ("the engine's and the database's, as when they are one", all_disks_full),
    "engine killed without database": (
        "the server is killed, then the daemon: the spool is all there is",
        engine_killed_without_database,
    ),
    "switch killed": ("`kill -9` with all its channels, back within 3 s", switch_killed),
    "switch frozen": ("it does not run for 0.2 to 7 s", switch_frozen),
    "link cut": ("the AMI connection is cut, one to three times", link_cut),
    "link half-open": ("it stays, and nothing passes for 0.2 to 7 s", link_half_open),
    "link half-open, then cut": ("what was sent meanwhile never arrives", link_half_open_and_cut),
    "engine killed, link half-open": (
        "the daemon's last words never arrive",
        engine_killed_with_link_stalled,
    ),
    "link slow": ("up to half a second later for 1 to 4 s, in odd pieces", _mischief(Mischief(delay_s=0.5))),
    "link late": ("what the switch says is heard 1.05 to 1.8 s later, for 3 to 6 s", link_late),
    "replies lost": ("a third of the switch's replies, for 1 to 4 s", _mischief(Mischief(lost=0.33))),
    "replies doubled": ("a third of the replies come twice", _mischief(Mischief(doubled=0.33))),
    "replies reordered": ("a third come after what follows them", _mischief(Mischief(behind=0.33))),
    "owner killed": (
        "`kill -9` of the engine that has the switch; it stays dead until the one that stood by calls",
        owner_killed,
    ),
    "owner killed, then the database": (
        "the database goes while the other engine waits for the switch, or is just taking it; back within 4 s",
        owner_and_database_killed,
    ),
    "owner frozen": (
        "it does not run for 0.5 to 12 s (SIGSTOP); where that is too long, the one that stood by has the switch",
        owner_frozen,
    ),
    "link to the owner cut": (
        "it does not reach the switch, refused or without a word, until the one that does has taken it, and calls",
        link_to_owner_cut,
    ),
}
SITES: Final = {
    CLOCK: Site.CLOCK,
    "database disk full": Site.DISKS,
    "database log full": Site.DISKS,
    "engine disk full": Site.DISKS,
    "engine killed, its disk full": Site.DISKS,
    "all disks full": Site.DISKS,
    "database fails over": Site.PAIR,
    "engine killed as database fails over": Site.PAIR,
    "standby killed": Site.PAIR,
    "database machine gone": Site.FAR,
    "owner killed": Site.ENGINES,
    "owner killed, then the database": Site.ENGINES,
    "owner frozen": Site.ENGINES,
    "link to the owner cut": Site.ENGINES,
}  # of the others: a plain one
