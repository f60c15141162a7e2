"""A recording as an answer: whole, or the part that a player asks for (RFC 9110, section 14), never all in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from campaigns.recordings import Plain
from campaigns.sealed import Damaged, Sealed

log = structlog.get_logger(__name__)

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
HEADERS = {"Accept-Ranges": "bytes", "Cache-Control": "no-store"}


def answer(request: Request, sound: Plain | Sealed) -> Response:
    """The answer to a request for it, which closes it. Blocks for the first part. Raises :class:`Damaged`.

    Of several parts at once, or where `If-Range` names a state of the file that we do not tell, it is the whole.
    """
    try:
        wanted = (
            None if "if-range" in request.headers else _wanted(request.headers.get("range", ""), sound.length)
        )
        if wanted == (0, 0):
            sound.close()
            return Response(status_code=416, headers=HEADERS | {"Content-Range": f"bytes */{sound.length}"})
        start, stop = wanted or (0, sound.length)
        parts = sound.read(start, stop)
        first = next(parts, b"")  # while one can still say that there is something wrong
    except BaseException:
        sound.close()
        raise
    headers = HEADERS | {"Content-Length": str(stop - start)}
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{sound.length}"
    body = _sent(sound, chain((first,), parts))
    return StreamingResponse(body, 200 if wanted is None else 206, headers, "audio/wav")


def begins(request: Request) -> bool:
    """Whether the beginning is asked for."""
    return request.headers.get("range", "bytes=0-").startswith("bytes=0-")


def _wanted(asked: str, length: int) -> tuple[int, int] | None:
    """From where, up to where; None: the whole; from 0 to 0: there is no such part."""
    found = RANGE.fullmatch(asked)
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:  # so many at the end
        last = min(int(found[2]), length)
        return (length - last, length) if last else (0, 0)
    start, stop = int(found[1]), int(found[2]) + 1 if found[2] else length
    if stop <= start and found[2]:
        return None  # RFC 9110, 14.1.1: that is no range
    return (start, min(stop, length)) if start < length else (0, 0)


def _sent(sound: Plain | Sealed, parts: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from parts
    except Damaged as fault:
        log.error("a recording is not as it was sealed", reason=str(fault))
        raise  # the connection breaks: less comes than was promised
    finally:
        sound.close()
