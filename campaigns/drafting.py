"""A campaign's text as its planner begins it, and what of the telephone network it has only where theirs have it.

A trunk may lead anywhere, a number that is shown may be anybody's, and a number that agents may be sent on to may cost
what a stranger likes. Whoever sees the whole company decides on these. A branch uses what its campaigns have already,
or what the switch has for all; so it needs nobody's help, and none can do harm beyond it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import tomlkit
from tomlkit.exceptions import TOMLKitError

from campaigns.config import CampaignConfig, ConfigError, Outside
from campaigns.rules.keys import Rules

UNBOUND = Rules().profile  # binds nothing


def blank(name: str, switch: str, unit: str) -> str:
    """The text of a campaign that is like no other one: careful, stopped, and under China's law of marketing calls."""
    document = tomlkit.document()
    document.update({"name": name, "switch": switch, "unit": unit, "running": False, "mode": "progressive"})
    document["rules"] = {"profile": "cn-marketing"}
    return tomlkit.dumps(document)


def alike(text: str, name: str, unit: str) -> str:
    """The text of a campaign like the one of this text, stopped. Callers stay with the one they have called so far.

    Raises :class:`ConfigError` for a text whose layout the library gets wrong.
    """
    try:
        document = tomlkit.parse(text)
        document.pop("inbound", None)
        document.update({"name": name, "unit": unit, "running": False})
        return tomlkit.dumps(document)
    except TOMLKitError as fault:
        raise ConfigError(f"{name}: {fault}") from fault


def beyond(config: CampaignConfig, known: Iterable[CampaignConfig]) -> Iterator[tuple[str, str]]:
    """What of the network, of other systems and of the law none of the `known` campaigns has, as (key, value)."""
    had = list(known)

    def new(key: str, wanted: Iterable[str], theirs: Iterable[str]) -> Iterator[tuple[str, str]]:
        yield from ((key, each) for each in sorted(set(wanted) - {""} - set(theirs)))

    yield from new("trunk", [config.trunk], [each.trunk for each in had])
    yield from new("caller_ids", _shown(config), [n for each in had for n in _shown(each)])
    yield from new(
        "transfer_numbers", config.transfer_numbers, [n for each in had for n in each.transfer_numbers]
    )
    yield from new("transfer_campaigns", config.transfer_campaigns, [each.name for each in had])
    yield from new("manual.numbers", config.manual.numbers, [n for each in had for n in each.manual.numbers])
    yield from new(
        "inbound.numbers", config.inbound.numbers, [n for each in had for n in each.inbound.numbers]
    )
    yield from new("crm.url", [config.crm.url], [each.crm.url for each in had])
    for key in ("calls", "minutes"):
        most = max(getattr(each, key) for each in (Outside(), *(one.outside for one in had)))
        if getattr(config.outside, key) > most:
            yield f"outside.{key}", str(getattr(config.outside, key))
    if had:
        called = [n for each in had for n in each.rules.destinations or ("any number",)]
        yield from new("rules.destinations", config.rules.destinations or ("any number",), called)
    if config.rules.profile == UNBOUND:
        yield from new("rules.profile", [UNBOUND], [each.rules.profile for each in had])


def _shown(config: CampaignConfig) -> list[str]:
    return [*config.caller_ids, *(number for pool in config.caller_id_pools for number in pool.numbers)]
