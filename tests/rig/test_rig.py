"""The rig is private: what runs beside it on the machine does not disturb it. And what only a real Asterisk shows."""

from __future__ import annotations

import pytest

from dialer.check import check_switch
from dialer.config import SwitchSection
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


@pytest.mark.parametrize("believed", [True, False])
async def test_the_ami_over_tls_to_who_proves_who_it_is(asterisk_rig: AsteriskRig, believed: bool) -> None:
    rig, ca = asterisk_rig, str(asterisk_rig.certificate) if believed else ""
    section = SwitchSection(
        name="main", host=rig.host, port=rig.tls_port, user=rig.user, secret=rig.secret, tls=True, ca=ca
    )
    steps = await check_switch(section)
    if believed:
        assert [step.what for step in steps if not step.ok] == [], steps
        assert steps[0].detail.endswith("TLS") and steps[-1].what == "test call"
    else:
        assert len(steps) == 1 and "not believed (self-signed certificate" in steps[0].detail, steps
