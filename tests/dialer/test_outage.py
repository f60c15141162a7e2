"""The database away is said once for each reason."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError
from structlog.testing import capture_logs

from dialer.outage import Outage


def test_it_is_said_once_and_anew_when_it_went_well_in_between() -> None:
    away = Outage("nothing is done")

    def turn(fault: str = "") -> None:
        with away.told():
            if fault:
                raise OperationalError("SELECT 1", {}, Exception(fault))

    with capture_logs() as lines:
        for fault in ("gone", "gone", "full", "", "full"):
            turn(fault)
    assert [line["event"] for line in lines] == ["nothing is done"] * 3
    assert len({line["reason"] for line in lines}) == 2
    assert away.away
    with away.told():
        raise ProgrammingError("SELECT nothing", {}, Exception("what was asked is wrong, and it answers"))
    assert not away.away
    with pytest.raises(KeyError), away.told():
        raise KeyError("no fault of the database")
