"""The law's count is one: what reports show of the abandon rate is what pacing holds the calls to."""

from __future__ import annotations

import pytest

from campaigns.reports.compliance import LAWS
from pacing.ledger import PROFILES


@pytest.mark.parametrize("profile", sorted({*LAWS, *PROFILES}))
def test_reports_count_abandoned_calls_as_pacing_does(profile: str) -> None:
    law, rule = LAWS[profile], PROFILES[profile]
    assert (law.window_s, law.deduct_machines, law.hung_up_counts) == (
        rule.window_s,
        rule.deduct_machines,
        rule.hung_up_counts,
    )
