"""Recordings of calls: which there are, found by what is on record of their calls; and the folder that they lie in.

The switch writes each into a file named after its call (`record` in a campaign's file). The daemon reads that folder,
or a mount of it; a call whose file is not there has no recording. With keys, a recording is sealed when its call is
over (campaigns/sealed.py): a plain file stays until the sealed one is there, whole.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, TextClause, text

from campaigns.audit import write
from campaigns.history.holds import in_force
from campaigns.ids import as_uuid, leased_at
from campaigns.key_file import KeyFile, VaultError
from campaigns.partitions import bounds
from campaigns.sealed import CHUNK, Damaged, Sealed, opened, rewrap, seal, wipe

MOST = 200  # shown
LOOKED_AT = 20_000  # calls of which those with a file are shown: seconds where the folder is far away
STREAMED = {"stream_results": True, "yield_per": 1_000}
LONGEST = timedelta(days=1)  # from the lease of a call to its connection, and far more
QUIET = timedelta(minutes=1)  # since the switch last wrote: who was sent on to somebody is still heard
AT_ONCE = 1_000  # of those that are let go, before it is on record how many went
CALL_ID = re.compile(r"[0-9a-f]{32}")
PLAIN, SEALED = ".wav", ".sealed"

# By the partitions' own key, so that months which were not asked about are not read.
FIND = text("""
SELECT a.call_id, a.connected_at, a.talk_s, c.name AS campaign, u.name AS agent, COALESCE(a.e164, n.e164) AS number,
    d.code
FROM attempt a JOIN campaign c ON c.id = a.campaign_id
LEFT JOIN number n ON n.id = a.number_id LEFT JOIN app_user u ON u.id = a.user_id
LEFT JOIN disposition d ON d.call_id = a.call_id AND d.leased_at = a.leased_at
WHERE a.leased_at >= :leased_since AND a.leased_at < :until AND a.connected_at >= :since AND a.connected_at < :until
    AND (CAST(:campaigns AS text[]) IS NULL OR c.name = ANY(:campaigns))
    AND (:number = '' OR COALESCE(a.e164, n.e164) = :number)
    AND (:agent = '' OR u.login = :agent OR u.name = :agent)
ORDER BY a.connected_at DESC LIMIT :most
""")
FILED = text("SELECT month FROM archived_month WHERE kind = 'attempt' AND state = 'archived' ORDER BY month")
CAMPAIGN = text("""
SELECT c.name FROM attempt a JOIN campaign c ON c.id = a.campaign_id
WHERE a.call_id = CAST(:call AS uuid) AND a.leased_at = :at
""")

# By the partitions' own key, as above.
OVER = text("""
SELECT call_id FROM attempt WHERE call_id = ANY(CAST(:calls AS uuid[]))
    AND leased_at = ANY(CAST(:at AS timestamptz[])) AND ended_at IS NOT NULL
""")

# Those of which it is on record that no hold covers them.
UNHELD = text("""
SELECT a.call_id FROM attempt a LEFT JOIN number n ON n.id = a.number_id LEFT JOIN lead l ON l.id = a.lead_id
WHERE a.call_id = ANY(CAST(:calls AS uuid[])) AND a.leased_at = ANY(CAST(:at AS timestamptz[]))
    AND NOT EXISTS (SELECT FROM legal_hold h WHERE h.lifted_at IS NULL AND (h.campaign_id = a.campaign_id
        OR h.e164 = COALESCE(a.e164, n.e164) OR h.customer_id = COALESCE(a.customer_id, l.customer_id)))
""")


class Plain:
    """A plain recording that is open for reading, as :class:`~campaigns.sealed.Sealed` is."""

    def __init__(self, path: Path) -> None:
        self._file = opened(path)
        self.length = os.fstat(self._file.fileno()).st_size

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The sound from `start` up to `stop`, in parts; it may end sooner when the file became shorter."""
        self._file.seek(start)
        while start < stop and (part := self._file.read(min(CHUNK, stop - start))):
            start += len(part)
            yield part

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class Recording:
    """A call that was recorded."""

    call_id: str
    at: datetime
    talk_s: float | None
    campaign: str
    agent: str | None
    number: str | None
    result: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """The newest recordings of those that were asked for; where not all calls were looked at, how many were.

    `filed`: the months that were asked for and whose calls are in files of the archive, where they are not looked for.
    """

    recordings: Sequence[Recording]
    looked_at: int | None
    filed: Sequence[date]


class Recordings:
    """The recordings in a folder, of the calls in a database; with `keys`, those that are over are sealed by these.

    Every method blocks.
    """

    def __init__(self, engine: Engine, folder: Path, keys: KeyFile | None = None) -> None:
        self._engine = engine
        self._folder = folder
        self._keys = keys

    def find(
        self,
        since: datetime,
        until: datetime,
        campaigns: Collection[str] | None,
        number: str = "",
        agent: str = "",
    ) -> Found:
        """The newest :data:`MOST`, newest first, of these campaigns (None: all), with a number (E.164), of an agent by
        login or name. Raises OSError where the folder can't be entered, as the methods below do.
        """
        values = {
            "since": since,
            "leased_since": since - LONGEST,
            "until": until,
            "campaigns": None if campaigns is None else list(campaigns),
            "number": number,
            "agent": agent,
            "most": LOOKED_AT,
        }
        found: list[Recording] = []
        looked_at = 0
        with self._engine.connect() as connection:
            months = connection.execute(FILED).scalars()
            filed = [each for each in months if bounds(each)[0] < until and bounds(each)[1] > since]
            for r in connection.execute(FIND, values, execution_options=STREAMED):
                looked_at += 1
                call_id = str(r.call_id).replace("-", "")
                if self._is_there(call_id):
                    found.append(
                        Recording(call_id, r.connected_at, r.talk_s, r.campaign, r.agent, r.number, r.code)
                    )
                    if len(found) == MOST:
                        break
        return Found(found, looked_at if looked_at == LOOKED_AT else None, filed)

    def campaign_of(self, call_id: str) -> str | None:
        """The campaign of a recorded call; None when there is no such recording."""
        if not self._is_there(call_id):
            return None
        values = {"call": as_uuid(call_id), "at": leased_at(call_id)}
        with self._engine.connect() as connection:
            return connection.execute(CAMPAIGN, values).scalar_one_or_none()

    def played(self, call_id: str, campaign: str) -> None:
        """It is going to be played by whoever acts through this engine: that is on record first."""
        with self._engine.begin() as connection:
            write(connection, "recording played", f"call {call_id}", after={"campaign": campaign})

    def sound(self, call_id: str) -> Plain | Sealed:
        """What was said, to be read; close it. Raises Damaged, VaultError, and FileNotFoundError when there is none."""
        for _ in range(2):  # between the two looks it may be sealed
            if self._sealed(call_id).is_file():
                if self._keys is None:
                    raise VaultError(
                        f"the recording of call {call_id} is sealed, and [recordings] names no keys"
                    )
                return Sealed(self._sealed(call_id), call_id, self._keys)
            try:
                return Plain(self._plain(call_id))
            except FileNotFoundError:
                continue
        raise FileNotFoundError(f"there is no recording of call {call_id}")

    def to_seal(self, now: datetime) -> Sequence[str]:
        """The calls that are over and whose recordings are plain, the oldest first."""
        still = (now - QUIET).timestamp()
        found = [
            (about.st_mtime, call_id)
            for call_id, _, about in self._files(PLAIN)
            if about.st_mtime < still and stat.S_ISREG(about.st_mode)
        ]
        with self._engine.connect() as connection:
            over = _calls(connection, OVER, [call for _, call in found])
        # Of a call that is not in the tables, or not any more, nobody will say that it ended.
        old = (now - LONGEST).timestamp()
        return [call for written, call in sorted(found) if call in over or written < old]

    def seal(self, call_id: str) -> None:
        """Seal one of these. Raises OSError, VaultError and Damaged; the plain one is there then."""
        assert self._keys is not None
        seal(self._plain(call_id), self._sealed(call_id), call_id, self._keys)

    def clear(self, now: datetime) -> None:
        """Delete what a sealing that was cut off left."""
        for entry in self._entries():
            if entry.name.startswith(".") and f"{SEALED}." in entry.name:
                with suppress(FileNotFoundError):  # it is another engine's, which is done
                    if entry.stat(follow_symlinks=False).st_mtime < (now - LONGEST).timestamp():
                        os.unlink(entry.path)

    def rewrap(self, told: Callable[[str], None]) -> tuple[int, int]:
        """Wrap all keys by the first key of the file: how many were, and how many could not be, each told."""
        assert self._keys is not None
        changed = failed = 0
        for call_id, _, _ in self._files(SEALED):
            try:
                changed += rewrap(self._sealed(call_id), call_id, self._keys)
            except FileNotFoundError:
                continue
            except (OSError, VaultError, Damaged) as fault:
                failed += 1
                told(str(fault))
        with self._engine.begin() as connection:
            after = {"recordings": changed, "failed": failed}
            write(connection, "recordings rewrapped", str(self._keys.path), after=after)
        return changed, failed

    def let_go(self, before: datetime) -> int:
        """Delete the recordings that were last written before then, with their keys; how many.

        What a legal hold covers stays; so does, while there is any, what is of a call that the tables do not have, or
        not any more.
        """
        gone = 0
        old: list[tuple[str, str]] = []
        for call_id, kind, about in self._files(PLAIN, SEALED):
            if about.st_mtime < before.timestamp() and not stat.S_ISDIR(about.st_mode):
                old.append((call_id, kind))
            if len(old) == AT_ONCE:
                gone += self._delete(old, before)
                old.clear()
        return gone + self._delete(old, before)

    # --- within ---------------------------------------------------------------------------------------------------

    def _delete(self, old: Sequence[tuple[str, str]], before: datetime) -> int:
        if not old:
            return 0
        may_go = {call_id for call_id, _ in old}
        with self._engine.connect() as connection:
            if in_force(connection):
                may_go = _calls(connection, UNHELD, may_go)
        gone = 0
        for call_id, kind in old:
            if call_id not in may_go:
                continue
            try:
                if kind == SEALED:
                    wipe(self._sealed(call_id))
                else:
                    self._plain(call_id).unlink()
                gone += 1
            except FileNotFoundError:
                continue  # somebody else was faster
        if gone:
            with self._engine.begin() as connection:
                write(
                    connection, "recordings deleted", f"before {before:%Y-%m-%d}", after={"recordings": gone}
                )
        return gone

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        """What is in the folder, one after the other: years of recordings lie there."""
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            yield from entries

    def _files(self, *kinds: str) -> Iterator[tuple[str, str, os.stat_result]]:
        """The call, the kind and the state of each file of these kinds that is named after a call."""
        for entry in self._entries():
            call_id, dot, rest = entry.name.partition(".")
            if (kind := dot + rest) not in kinds or not CALL_ID.fullmatch(call_id):
                continue
            try:
                leased_at(call_id)
                about = entry.stat(follow_symlinks=False)
            except (FileNotFoundError, ValueError):
                continue  # it is gone; it is no call's
            yield call_id, kind, about

    def _plain(self, call_id: str) -> Path:
        return self._folder / f"{call_id}{PLAIN}"

    def _sealed(self, call_id: str) -> Path:
        return self._folder / f"{call_id}{SEALED}"

    def _is_there(self, call_id: str) -> bool:
        return self._sealed(call_id).is_file() or self._plain(call_id).is_file()


def _calls(connection: Connection, which: TextClause, calls: Collection[str]) -> set[str]:
    """Those of these calls that a statement finds."""
    values = {"calls": [as_uuid(call) for call in calls], "at": [leased_at(call) for call in calls]}
    return {each.hex for each in connection.execute(which, values).scalars()}
