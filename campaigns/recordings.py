"""Recordings of calls: which there are, found by what is on record of their calls; and the folder that they lie in.

The switch writes each into a file named after its call (`record` in a campaign's file). The daemon reads that folder,
or a mount of it; a call whose file is not there has no recording.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, text

from campaigns.audit import write
from campaigns.ids import as_uuid, leased_at

MOST = 200  # shown
LOOKED_AT = 2_000  # calls of which those with a file are shown
LONGEST = timedelta(days=1)  # from the lease of a call to its connection, and far more

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
CAMPAIGN = text("""
SELECT c.name FROM attempt a JOIN campaign c ON c.id = a.campaign_id
WHERE a.call_id = CAST(:call AS uuid) AND a.leased_at = :at
""")


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


class Recordings:
    """The recordings in a folder, of the calls in a database. Every method blocks."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder

    def find(
        self,
        since: datetime,
        until: datetime,
        campaigns: Collection[str] | None,
        number: str = "",
        agent: str = "",
    ) -> Sequence[Recording]:
        """The newest first, of these campaigns (None: all), with a number (E.164), of an agent by login or name."""
        values = {
            "since": since,
            "leased_since": since - LONGEST,
            "until": until,
            "campaigns": None if campaigns is None else list(campaigns),
            "number": number,
            "agent": agent,
            "most": LOOKED_AT,
        }
        with self._engine.connect() as connection:
            rows = connection.execute(FIND, values).all()
        found = (
            Recording(
                str(r.call_id).replace("-", ""),
                r.connected_at,
                r.talk_s,
                r.campaign,
                r.agent,
                r.number,
                r.code,
            )
            for r in rows
        )
        return [each for each in found if self.path(each.call_id).is_file()][:MOST]

    def campaign_of(self, call_id: str) -> str | None:
        """The campaign of a recorded call; None when there is no such recording."""
        if not self.path(call_id).is_file():
            return None
        values = {"call": as_uuid(call_id), "at": leased_at(call_id)}
        with self._engine.connect() as connection:
            return connection.execute(CAMPAIGN, values).scalar_one_or_none()

    def played(self, engine: Engine, call_id: str, campaign: str) -> Path:
        """The file, to be played by whoever acts through this engine: that is on record first."""
        with engine.begin() as connection:
            write(connection, "recording played", f"call {call_id}", after={"campaign": campaign})
        return self.path(call_id)

    def path(self, call_id: str) -> Path:
        """Where the recording of this call is, if there is one."""
        return self._folder / f"{call_id}.wav"

    def let_go(self, before: datetime) -> int:
        """Delete the recordings that were last written before then; how many."""
        gone = 0
        for path in self._folder.glob("*.wav"):
            try:
                if path.stat().st_mtime < before.timestamp():
                    path.unlink()
                    gone += 1
            except FileNotFoundError:
                continue  # somebody else was faster
        if gone:
            with self._engine.begin() as connection:
                write(
                    connection, "recordings deleted", f"before {before:%Y-%m-%d}", after={"recordings": gone}
                )
        return gone
