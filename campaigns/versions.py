"""What campaigns' versions say of rules, order, lines, trials and announcements: as none changes, each is read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, text

from campaigns.caller_ids.choosing import Pools, pools_of
from campaigns.config import parse
from campaigns.messages.permission import Announced, announced_by
from campaigns.order import Order
from campaigns.rules.terms import Terms, terms_of
from campaigns.trials.keys import Trial

MOST_VERSIONS = 1_000  # kept in memory
VERSIONS = text("""
SELECT v.change, v.version, v.text, c.name FROM campaign_version v JOIN campaign c ON c.id = v.campaign_id
WHERE v.change = ANY(:changes)
""")


class KnownTerms:
    """The terms of campaigns' versions, by number of change: as none changes, each is read once."""

    def __init__(self) -> None:
        self._terms: dict[int, Terms] = {}
        self._orders: dict[int, Order] = {}
        self._pools: dict[int, Pools] = {}
        self._switches: dict[int, tuple[str, ...]] = {}
        self._trials: dict[int, Trial] = {}
        self._announced: dict[int, Announced | None] = {}

    def terms(self, change: int) -> Terms:
        """The terms of a version that were asked for."""
        return self._terms[change]

    def order(self, change: int) -> Order:
        """In which order leads are called, of a version whose terms were asked for."""
        return self._orders[change]

    def pools(self, change: int) -> Pools:
        """The caller-IDs of such a version."""
        return self._pools[change]

    def switches(self, change: int) -> tuple[str, ...]:
        """The switches that such a version is on."""
        return self._switches[change]

    def trial(self, change: int) -> Trial:
        """The scripts that such a version tries."""
        return self._trials[change]

    def announced(self, change: int) -> Announced | None:
        """By what such a version announces its calls, if it does."""
        return self._announced[change]

    def of(self, connection: Connection, changes: Iterable[int]) -> Mapping[int, Terms]:
        """The terms of these versions at least. Raises :class:`campaigns.config.ConfigError`."""
        known, missing = self._terms, set(changes) - self._terms.keys()
        if missing:
            if len(known) > MOST_VERSIONS:
                known, missing = {}, set(changes)
            for row in connection.execute(VERSIONS, {"changes": list(missing)}):
                config = parse(row.text, f"campaign {row.name}, version {row.version}")
                self._orders[row.change] = config.order
                known[row.change] = terms_of(config.rules, config.running)
                self._pools[row.change] = pools_of(config)
                self._switches[row.change] = config.switches
                self._trials[row.change] = config.trial
                self._announced[row.change] = announced_by(config)
            self._terms = known
        return known
