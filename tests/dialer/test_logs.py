"""A log that takes no lines, as on a full disk, ends nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
import structlog

from dialer import logs


class Full(io.StringIO):
    """A file on a disk that may be full."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)

    def flush(self) -> None:
        if self.full:
            raise OSError(28, "No space left on device")


@pytest.fixture
def file() -> Iterator[Full]:
    before = structlog.get_config()
    file = Full()
    logs.configure(file, people=False)
    yield file
    structlog.configure(**before)


def test_lines_for_which_there_is_no_room_are_lost_and_the_next_are_not(file: Full) -> None:
    log = structlog.get_logger(__name__)
    log.info("the first")
    file.full = True
    log.warning("lost")
    file.full = False
    log.info("the last")
    assert [line.split(", ")[0] for line in file.getvalue().splitlines()] == [
        '{"event": "the first"',
        '{"event": "the last"',
    ]
