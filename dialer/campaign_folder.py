"""A watched folder of campaign files: what changes is applied; what is wrong is told once and changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import structlog

from campaigns.config import ConfigError
from campaigns.steering import Outdated
from campaigns.store import CampaignStore
from dialer.metrics import Metrics

log = structlog.get_logger(__name__)


class CampaignFolder:
    """Applies `*.toml` of a folder when they change. An empty folder name watches nothing."""

    def __init__(self, folder: str, store: CampaignStore, metrics: Metrics) -> None:
        self._folder = Path(folder) if folder else None
        self._store = store
        self._metrics = metrics
        self._seen: dict[Path, tuple[int, int]] = {}

    def apply_changes(self) -> None:
        """Look once. Blocks; meant for a thread."""
        if self._folder is None:
            return
        found = sorted(self._folder.glob("*.toml"))
        for path in self._seen.keys() - set(found):  # what is not there any more is not wrong any more
            del self._seen[path]
            self._metrics.config_ok.remove(path.name)
        for path in found:
            mark = self._mark(path)
            if self._seen.get(path) == mark:
                continue
            try:
                source = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as fault:
                self._tell(path, f"can't be read: {fault}")
                self._seen[path] = mark
                continue
            try:
                applied = self._store.apply(source, str(path), "folder", datetime.now(UTC))
            except Outdated as fault:  # a right file; what is live is newer
                log.warning("a campaign file is older than what is live", file=str(path), reason=str(fault))
                self._metrics.config_ok.labels(path.name).set(1)
            except ConfigError as fault:
                self._tell(path, str(fault))
            else:
                log.info("a campaign file was applied", file=str(path), version=applied.version)
                self._metrics.config_ok.labels(path.name).set(1)
            self._seen[path] = mark

    @staticmethod
    def _mark(path: Path) -> tuple[int, int]:
        """What changes with the file. A link to nowhere has one too, so that it is told once."""
        try:
            status = path.stat()
        except OSError:
            return (0, 0)
        return (status.st_mtime_ns, status.st_size)

    def _tell(self, path: Path, reason: str) -> None:
        log.error("a campaign file was refused; the last good version stays", file=str(path), reason=reason)
        self._metrics.config_ok.labels(path.name).set(0)
