"""How the daemon logs: one JSON line an event on stderr, or readable lines for people, or into a file."""

from __future__ import annotations

import logging
from typing import TextIO

import structlog

QUIET = ("panoramisk", "asyncio", "uvicorn", "alembic", "websockets")


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
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        stream=out, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True
    )
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
