"""The pages' own files, packed once and kept packed; a browser keeps them too, and asks each time whether they hold."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

PACKED = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
ASK_EACH_TIME = "no-cache"  # so that an upgrade shows at once


class Assets(StaticFiles):
    """Static files, sent with gzip where the browser takes it: packed at their first request."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory)
        self._packed: dict[str, tuple[float, bytes, str]] = {}

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        kind = PACKED.get(Path(full_path).suffix)
        asked = Headers(scope=scope)
        if kind is None or "gzip" not in asked.get("accept-encoding", ""):
            response = super().file_response(full_path, stat_result, scope, status_code)
        else:
            body, etag = self._pack(str(full_path), stat_result.st_mtime)
            headers = {"Content-Encoding": "gzip", "Content-Type": kind, "ETag": etag}
            response = Response(body, status_code, headers)
            if self.is_not_modified(response.headers, asked):
                response = NotModifiedResponse(response.headers)
        response.headers["Cache-Control"] = ASK_EACH_TIME
        response.headers["Vary"] = "Accept-Encoding"
        return response

    def _pack(self, path: str, changed: float) -> tuple[bytes, str]:
        kept = self._packed.get(path)
        if kept is None or kept[0] != changed:
            body = gzip.compress(Path(path).read_bytes(), 9, mtime=0)
            kept = (changed, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
            self._packed[path] = kept
        return kept[1], kept[2]
