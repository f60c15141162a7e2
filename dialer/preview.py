"""What the last hours would have come to with other settings: asked here, worked out by `dialer/lived.py` in a process
of its own, which steps back behind the calls and ends.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine

from campaigns.config import CampaignsError
from dialer.config import SwitchSection

LIMIT_S = 120.0


class Order(msgspec.Struct, frozen=True):
    """A campaign, the text that it would have, its database and archive, and its switches."""

    url: str
    archive: str
    campaign: str
    text: str
    switches: tuple[SwitchSection, ...]
    until: datetime


class Answer(msgspec.Struct, frozen=True):
    """What came of it; `refused` says why nothing did."""

    done: dict[str, Any] = {}
    refused: str = ""


class NoPreview(CampaignsError):
    """There is nothing to compare. The text says why."""


async def preview(order: Order) -> dict[str, Any]:
    """Have it worked out. Raises :class:`NoPreview`."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "dialer.lived",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LIMIT_S):
            said, fault = await child.communicate(msgspec.json.encode(order))
    except TimeoutError:
        raise NoPreview(f"it took more than {LIMIT_S:.0f} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise NoPreview(fault[-500:].decode(errors="replace"))
    answer = msgspec.json.decode(said, type=Answer)
    if answer.refused:
        raise NoPreview(answer.refused)
    return answer.done


def order_of(
    engine: Engine, archive: Path, campaign: str, text: str, switches: tuple[SwitchSection, ...]
) -> Order:
    """An order about the hours up to now."""
    url = engine.url.render_as_string(hide_password=False)
    return Order(url, str(archive), campaign, text, switches, datetime.now(UTC))
