"""What of a campaign's configuration concerns its pacing, and that of its shadow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from campaigns.config import Abandon, CampaignConfig
from pacing.contract import Mode, PacingConfig
from pacing.ledger import DAY_S, PROFILES, AbandonRule


def pacing_config(config: CampaignConfig) -> PacingConfig:
    """What of a campaign's config concerns pacing."""
    return PacingConfig(
        mode=Mode(config.mode),
        ratio=config.ratio,
        target=config.target,
        max_lines=config.max_lines,
        connect_limit_s=config.connect_limit_s,
        ring_limit_s=config.ring_limit_s,
        wrap_limit_s=config.wrap_up_s * (1 + config.wrap_up_extensions) or None,
        rule=abandon_rule(config.abandon),
    )


def shadow_config(config: CampaignConfig) -> PacingConfig | None:
    """The same with what the campaign's shadow changes of it; None without a shadow."""
    shadow = config.shadow
    if shadow is None:
        return None
    changed: dict[str, Any] = {
        "mode": None if shadow.mode is None else Mode(shadow.mode),
        "ratio": shadow.ratio,
        "target": shadow.target,
    }
    return replace(pacing_config(config), **{k: v for k, v in changed.items() if v is not None})


def abandon_rule(abandon: Abandon) -> AbandonRule:
    """The profile with what the campaign changes of it."""
    changed: dict[str, Any] = {
        "hung_up_counts": abandon.hung_up_counts,
        "deduct_machines": abandon.deduct_machines,
        "clock": abandon.clock,
        "window_s": None if abandon.window_days is None else abandon.window_days * DAY_S,
    }
    return replace(PROFILES[abandon.profile], **{k: v for k, v in changed.items() if v is not None})
