"""The fixture `asterisk_rig`: a real Asterisk for all tests of a run."""

from __future__ import annotations

import pytest

from tests.rig.place import HOW, find


@pytest.fixture(scope="session")
def asterisk_rig() -> None:
    """A running switch with its carrier and the seats' phones."""
    if find() is None:
        pytest.skip(f"no Asterisk 22 with SIPp on this machine; {HOW}")
    pytest.skip("the rig does not start its Asterisk yet")
