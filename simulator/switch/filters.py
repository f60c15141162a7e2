"""Which events a session lets through: read classes, event mask, and the filters of the Filter action."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# Such a pattern looks at the event's name alone, so its verdict holds for every event of that name.
_NAME_ONLY: Final = re.compile(r"\^Event: [\w()|?:]+\$?")
_CRITERION: Final = re.compile(r"\s*(action|name|header|method)\(([^)]*)\)\s*", re.IGNORECASE)
_METHODS: Final = ("none", "exact", "starts_with", "ends_with", "contains", "regex")


class BadFilter(ValueError):
    """The filter can't be used; the message is Asterisk's reply."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter. `matches` gets the event's name and its whole text; `by_name` when the text makes no difference."""

    include: bool
    by_name: bool
    matches: Callable[[str, str], bool]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error:
        raise BadFilter("Filter did not compile.  Check the syntax of the filter given.") from None


def parse_pattern(text: str) -> Filter:
    """The old form: a pattern over the whole event, with `!` in front to leave out."""
    include = not text.startswith("!")
    pattern = text if include else text[1:]
    found = _compiled(pattern)
    if _NAME_ONLY.fullmatch(pattern):
        return Filter(include, True, lambda name, _: found.search(f"Event: {name}") is not None)
    return Filter(include, False, lambda _, event: found.search(event) is not None)


def parse_criteria(criteria: str, value: str) -> Filter:
    """The newer form: `action(include),name(Hangup),header(Channel),method(starts_with)` and the value to compare."""
    wrong = BadFilter("Filter was formatted incorrectly.  Check the syntax of the filter given.")
    given: dict[str, str] = {}
    rest = criteria
    while rest:
        found = _CRITERION.match(rest)
        if found is None:
            raise wrong
        given[found[1].lower()] = found[2]
        rest = rest[found.end() :]
        if rest and not rest.startswith(","):
            raise wrong
        rest = rest[1:]
    method = given.get("method", "regex" if value else "none")
    action = given.get("action", "include")
    if method not in _METHODS or action not in ("include", "exclude"):
        raise wrong
    if (method == "none") == bool(value) and method == "none":
        raise wrong
    name, header = given.get("name", ""), given.get("header", "")
    if not name and not header and method == "none":
        raise wrong
    compare = _comparison(method, value)

    def matches(event_name: str, event: str) -> bool:
        if name and event_name != name:
            return False
        if method == "none":
            return not header or f"\r\n{header}:" in event
        if not header:
            return compare(event)
        return any(
            compare(line[len(header) + 2 :]) for line in event.split("\r\n") if line.startswith(f"{header}: ")
        )

    return Filter(action == "include", method == "none" and not header, matches)


def _comparison(method: str, value: str) -> Callable[[str], bool]:
    if method == "regex":
        found = _compiled(value)
        return lambda text: found.search(text) is not None
    if method == "exact":
        return lambda text: text == value
    if method == "starts_with":
        return lambda text: text.startswith(value)
    if method == "ends_with":
        return lambda text: text.endswith(value)
    return lambda text: value in text


class Sieve:
    """A session's filters together: includes alone drop the rest; excludes alone pass the rest; both, in that order."""

    __slots__ = ("_by_name", "_filters")

    def __init__(self) -> None:
        self._filters: list[Filter] = []
        self._by_name: dict[str, bool | None] = {}

    def add(self, new: Filter) -> None:
        self._filters.append(new)
        self._by_name.clear()

    def verdict(self, name: str) -> bool | None:
        """Whether every event of that name passes (or none does), or None when its text must be seen."""
        try:
            return self._by_name[name]
        except KeyError:
            found = self._by_name[name] = self._decide(name, None)
            return found

    def passes(self, name: str, event: str) -> bool:
        known = self.verdict(name)
        return bool(self._decide(name, event)) if known is None else known

    def _decide(self, name: str, event: str | None) -> bool | None:
        included: bool | None = not any(f.include for f in self._filters)
        for f in self._filters:
            if f.include and included is not True:
                if event is None and not f.by_name:
                    included = None
                elif f.matches(name, event or ""):
                    included = True
        if included is False:
            return False
        for f in self._filters:
            if not f.include:
                if event is None and not f.by_name:
                    included = None
                elif f.matches(name, event or ""):
                    return False
        return included
