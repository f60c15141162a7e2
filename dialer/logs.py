"""How the daemon logs: one JSON line an event on stderr, or readable lines for people, or into a file."""

from __future__ import annotations

import contextlib
import logging
from typing import TextIO, cast

import structlog

QUIET = ("panoramisk", "asyncio", "uvicorn", "alembic", "websockets")


class Unfailing:
    """Where lines go that nobody may fail of: what `out` does not take, as on a full disk, is lost."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._out.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._out.flush()


def configure(out: TextIO, people: bool, level: str = "info") -> None:
    """Send all logs to `out`, the libraries' warnings included."""
    renderer = (
        structlog.dev.ConsoleRenderer(colors=out.isatty()) if people else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Unfailing(out))),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        stream=out, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True
    )
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
