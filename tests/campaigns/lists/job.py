"""One import, or the undo of one, as a process of its own, to be killed.

Its arguments: database, campaign, list, and a file with the policy for it, or `undo`. It says `ready` when everything
is loaded and nothing has begun.
"""

from __future__ import annotations

import sys

import phonenumbers.timezone  # noqa: F401 - before it is ready, not in the middle of the import

from campaigns import database
from campaigns.lists.importing import Request, import_list
from campaigns.lists.loading import OnDuplicate, Policy
from campaigns.lists.undoing import undo
from tests.campaigns.world import NOON


def main(url: str, campaign: str, name: str, what: str, file: str = "") -> None:
    engine = database.connect(url, pool_size=2)
    print("ready", flush=True)
    if what == "undo":
        undo(engine, int(campaign), name, NOON)
    else:
        policy = Policy(on_duplicate=OnDuplicate(what))
        import_list(engine, Request(file, name, int(campaign), policy=policy), NOON)


if __name__ == "__main__":
    main(*sys.argv[1:])
