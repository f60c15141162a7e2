"""The pages' languages: the catalogues in `locale/`, and which of them a request wants."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import msgspec

LOCALE = Path(__file__).parent / "locale"
LANGUAGES = ("zh", "en")
TAGS = MappingProxyType({"zh": "zh-CN", "en": "en"})  # for html's lang
COOKIE = "zd_language"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All texts of one language, by key. `json` is the same for the pages' scripts."""

    language: str
    texts: MappingProxyType[str, str]
    json: str

    @property
    def tag(self) -> str:
        return TAGS[self.language]

    def __call__(self, key: str, **values: object) -> str:
        """The text for `key`, with `{name}` filled in. A key without a text is shown as it is."""
        text = self.texts.get(key, key)
        for name, value in values.items():
            text = text.replace("{" + name + "}", str(value))
        return text


@cache
def catalogue(language: str) -> Catalogue:
    """The catalogue of `en` or `zh`."""
    texts = msgspec.json.decode((LOCALE / f"{language}.json").read_bytes(), type=dict[str, str])
    # `<` is escaped because the text is put into a script element of a page.
    plain = msgspec.json.encode(texts).decode().replace("<", "\\u003c")
    return Catalogue(language, MappingProxyType(texts), plain)


def choose(cookie: str | None, preferred: str, accept: str | None, default: str) -> str:
    """The language to show: what was chosen on the page, else the user's own, else the browser's, else the default."""
    for candidate in (cookie, preferred):
        if candidate in LANGUAGES:
            return candidate
    for candidate in _accepted(accept or ""):
        if candidate in LANGUAGES:
            return candidate
    return default


def _accepted(header: str) -> list[str]:
    """Primary language tags of an Accept-Language header, the most wanted first (RFC 9110, 12.5.4)."""
    wanted: list[tuple[float, int, str]] = []
    for place, item in enumerate(header.split(",")[:20]):
        tag, _, weight = item.strip().partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError:
            continue
        if quality > 0:
            wanted.append((-quality, place, tag.split("-")[0].lower()))
    return [tag for _, _, tag in sorted(wanted)]
