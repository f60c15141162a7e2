"""An engine that sends, as a process of its own, to be killed: what the other end took is a line in a file."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

from campaigns import database
from campaigns.messages.outbox import Outbox
from tests.campaigns.crashes import Ready

BATCH = 7


def send(url: str, name: str, taken: Path, start: datetime, ready: Ready) -> None:
    """Send until killed. At the beginning it is `start`."""
    engine = database.connect(url, pool_size=2)
    outbox, begun = Outbox(engine, name), time.monotonic()
    ready()
    while True:
        now = start + timedelta(seconds=time.monotonic() - begun)
        for letter in outbox.claim(["sms"], BATCH, now).letters:
            with taken.open("a") as file:
                file.write(f"{letter.key} {letter.tries}\n")
            outbox.sent(letter, now)
