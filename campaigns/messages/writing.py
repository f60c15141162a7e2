"""A message's words: a template and what is known of a customer become the text that is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter

MAIL_ADDRESS = re.compile(
    r"(?=.{3,254}\Z)[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+"
)  # a header's: nothing that ends a line


class NoValue(Exception):
    """A field that the text has, and of which nothing is known for this customer. The text names it."""


def fields_of(template: str) -> set[str]:
    """The fields that a template has. Raises ValueError where a brace has no other."""
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def fault_of_text(template: str) -> str:
    """What is wrong with a template; empty when nothing is."""
    try:
        parts = [part for part in Formatter().parse(template) if part[1] is not None]
    except ValueError:
        return "has a brace without its other"
    if any(not name or spec or conversion for _, name, spec, conversion in parts):
        return "must have names alone between its braces, as in {name}"
    return ""


def written(template: str, values: Mapping[str, str]) -> str:
    """The template with the values in it, each on one line. Raises :class:`NoValue`.

    What a list says of a customer can't become a line of a header, nor a field of its own.
    """
    made = []
    for before, name, _, _ in Formatter().parse(template):
        made.append(before)
        if name is not None:
            value = plain(values.get(name, ""))
            if not value:
                raise NoValue(f"nothing is known of {name!r}")
            made.append(value)
    return "".join(made)


def plain(value: str) -> str:
    """The value on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())


def language_of(wanted: str, texts: Mapping[str, str]) -> str:
    """The language of the texts that somebody is written to in: theirs, if there is one, else the first."""
    short = wanted.strip().lower().replace("_", "-").partition("-")[0]
    return short if short in texts else next(iter(texts))
