"""Changes of a running campaign's text: some keys set, comments kept; what differs; which version a file follows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import unified_diff

import msgspec
import tomlkit
from tomlkit.exceptions import TOMLKitError

from campaigns.config import CampaignConfig, ConfigError, parse

# What a supervisor steers by; everything else of a campaign is its author's, in its file.
SETTINGS = ("running", "mode", "ratio", "target", "max_lines", "priority", "ring_limit_s", "wrap_up_s")
Value = bool | int | float | str

FOLLOWS = re.compile(r"\A# follows version ([0-9]{1,9})[^\n]*\n")


class Outdated(ConfigError):
    """A text that does not follow the live version. `difference` says what it would undo."""

    def __init__(self, message: str, difference: str) -> None:
        super().__init__(f"{message}\n{difference}".rstrip())
        self.difference = difference


def settings_of(config: CampaignConfig) -> dict[str, Value]:
    """The values of :data:`SETTINGS`."""
    return {name: getattr(config, name) for name in SETTINGS}


def changed(text: str, changes: Mapping[str, Value], where: str) -> str:
    """The text with these settings, all else as it stands there. Raises :class:`ConfigError`."""
    unknown = sorted(set(changes) - set(SETTINGS))
    if unknown:
        raise ConfigError(f"{where}: {unknown[0]}: is not changed here; settings are {', '.join(SETTINGS)}")
    try:
        document = tomlkit.parse(text)
        for name, value in changes.items():
            document[name] = value
        found = tomlkit.dumps(document)
    except TOMLKitError as fault:
        raise ConfigError(f"{where}: {fault}") from fault
    wanted = msgspec.structs.replace(parse(text, where), **changes)
    try:
        same = parse(found, where) == wanted
    except ConfigError as fault:
        raise ConfigError(str(fault)) from fault
    if not same:  # a text whose layout the library gets wrong must not become something else
        raise ConfigError(f"{where}: can't be changed key by key; change its file")
    return found


def difference(old: str, new: str, old_name: str, new_name: str) -> str:
    """What differs, line by line; empty when nothing does."""
    lines = unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm="", n=2)
    return "\n".join(lines)


def followed(text: str) -> tuple[int | None, str]:
    """The version that a file says it follows in its first line, and the text without that line."""
    found = FOLLOWS.match(text)
    return (None, text) if found is None else (int(found[1]), text[found.end() :])


def to_file(name: str, version: int, text: str) -> str:
    """A live version as a file that says which one it follows."""
    return f"# follows version {version} of {name}\n{text}"
