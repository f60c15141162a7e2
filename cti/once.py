"""Commands that are done once: a key's reply is kept for a while, for whoever sends the key again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from time import monotonic

from cti.messages import Command, Dispose, Reply, SaveNotes

KEPT = 64  # replies of one user: more than a minute of anybody's keys and clicks
KEPT_S = 600.0  # longer than any page tries to come back with a command
# Nothing came of it: it may be sent again.
NOT_DONE = frozenset({"no_engine", "draining", "switch_down", "not_hung_up"})
# So may these where nobody knows whether they were saved: the last one counts.
SAVED_AGAIN = (Dispose, SaveNotes)

Work = Callable[[], Awaitable[Reply]]


class Once:
    """The replies by user and key. The work goes on when whoever waits for it leaves."""

    def __init__(self) -> None:
        self._kept: dict[int, OrderedDict[str, tuple[Command, asyncio.Task[Reply], float]]] = {}

    async def do(self, key: str, command: Command, work: Work) -> Reply:
        """The reply to this command: of `work`, or of the time before under this key. An empty key is always new.

        Under its key a command is done again that was not done before, or not saved.
        """
        if not key:
            return await work()
        kept = self._kept.setdefault(command.user_id, OrderedDict())
        found = kept.get(key)
        if found is not None:
            first, task, _ = found
            if first != command:
                return Reply(ok=False, code="key_reused", detail=key)
            if not (task.done() and not task.cancelled() and _may_come_again(command, task.result())):
                return await asyncio.shield(task)
        task = asyncio.ensure_future(work())
        kept[key] = (command, task, monotonic())
        kept.move_to_end(key)
        self._forget(kept)
        return await asyncio.shield(task)

    def _forget(self, kept: OrderedDict[str, tuple[Command, asyncio.Task[Reply], float]]) -> None:
        """Let go of the oldest. One that is still being done is kept: the engine's limit ends it."""
        oldest = monotonic() - KEPT_S
        for key, (_, task, at) in list(kept.items()):
            if (len(kept) <= KEPT and at > oldest) or not task.done():
                return
            del kept[key]


def _may_come_again(command: Command, reply: Reply) -> bool:
    return reply.code in NOT_DONE or (reply.code == "not_saved" and isinstance(command, SAVED_AGAIN))
