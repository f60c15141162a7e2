"""The rig is private: what runs beside it on the machine does not disturb it."""

from __future__ import annotations

import pytest

from tests.rig.asterisk import AsteriskRig, booted
from tests.rig.place import find

pytestmark = pytest.mark.asterisk


def test_two_rigs_run_side_by_side(asterisk_rig: AsteriskRig) -> None:
    installed = find()
    assert installed is not None
    with AsteriskRig(installed) as other:
        assert other.port != asterisk_rig.port
        for rig in (asterisk_rig, other):
            assert booted(rig.port, rig.user, rig.secret, float("inf"))
