"""One import, or the undo of one, as a process of its own, to be killed."""

from __future__ import annotations

import phonenumbers.timezone  # noqa: F401 - before it is ready, not in the middle of the import

from campaigns import database
from campaigns.lists import changing, importing, undoing
from campaigns.lists.importing import Request, import_list
from campaigns.lists.loading import OnDuplicate, Policy
from campaigns.lists.undoing import undo
from tests.campaigns.crashes import Ready
from tests.campaigns.world import NOON


def run(url: str, campaign_id: int, name: str, what: str, file: str, ready: Ready) -> None:
    """Import the file with what is the policy for those who are there, or `undo` the list."""
    # A short list takes as many steps as a long one does, and each may be the last.
    for module, size, rows in ((importing, "CHUNK", 500), (changing, "BATCH", 50), (undoing, "BATCH", 100)):
        setattr(module, size, rows)
    engine = database.connect(url, pool_size=2)
    ready()
    if what == "undo":
        undo(engine, campaign_id, name, NOON)
    else:
        policy = Policy(on_duplicate=OnDuplicate(what))
        import_list(engine, Request(file, name, campaign_id, policy=policy), NOON)
