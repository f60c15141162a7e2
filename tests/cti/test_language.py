"""The catalogues: both complete, every key the pages use is there, none is left over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cti
from campaigns.rights import Right, Role
from campaigns.values import RefusalReason
from cti.language import LANGUAGES, catalogue

ROOT = Path(cti.__file__).parent
SOURCES = [*ROOT.glob("templates/*.html"), *ROOT.glob("static/*.js"), *ROOT.glob("*.py")]
# Keys that are put together from a word of the engine's (a state, a reason, a cause …) start with one of these.
FAMILIES = (
    "state.", "seat.", "next.", "nobody.", "line.", "reason.", "cause.", "problem.", "banner.", "mode.", "stage.",
    "refusal.", "bound.", "why.", "recording.", "needs.", "outcome.", "phone.", "role.",
    "account.done_", "account.password_", "token.bad_", "people.bad_", "right.",
    "segments.what.", "segments.sign.", "worth.split.", "best.day.", "best.kind.", "alarm.", "report.", "hangup.",
    "steer.", "effect.", "setting.", "oversight.",
    "edit.fault.", "made_in.", "schedule.bad_", "schedule.every.", "schedule.fault.", "schedule.when.",
    "unsubscribe.", "messages.", "plan.why.", "plan.went.",
)  # fmt: skip
STATES = (
    "offline",
    "phone",
    "no_phone",
    "paused",
    "ready",
    "preview",
    "connecting",
    "talking",
    "muted",
    "held",
    "asking",
    "consulting",
    "conference",
    "asked",
    "wrap_up",
)
# As the engine tells them, besides what came of a call that was not joined.
ENDS = ("customer", "agent", "engine", "transferred", "consulted", "gone")


def test_both_languages_have_the_same_keys() -> None:
    en, zh = (catalogue(language).texts for language in ("en", "zh"))
    assert set(en) == set(zh)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_where_it_is_not_meant_to_be(language: str) -> None:
    assert {key for key, text in catalogue(language).texts.items() if not text.strip()} <= {"nobody.starting"}


def test_every_right_and_role_has_a_name() -> None:
    keys = {f"right.{right}" for right in Right} | {f"role.{role}" for role in Role}
    assert keys <= set(catalogue("en").texts)


def test_both_languages_fill_in_the_same_values() -> None:
    en, zh = (catalogue(language).texts for language in ("en", "zh"))
    for key in en:
        assert set(re.findall(r"{\w+}", en[key])) == set(re.findall(r"{\w+}", zh[key])), key


def test_chinese_is_chinese() -> None:
    foreign = {key for key, text in catalogue("zh").texts.items() if text and not re.search(r"[一-鿿]", text)}
    assert not foreign


def used() -> set[str]:
    text = "\n".join(source.read_text() for source in SOURCES)
    return set(re.findall(r"""["'`]([a-z_]+\.[a-z_]+)["'`]""", text))


def test_every_key_the_pages_use_exists() -> None:
    keys = set(catalogue("en").texts)
    rooms = {key.split(".")[0] + "." for key in keys}
    missing = {key for key in used() if key.split(".")[0] + "." in rooms} - keys
    assert not {key for key in missing if not key.endswith((".js", ".py", ".html", ".dataset", ".label"))}


def test_no_key_is_left_over() -> None:
    assert (
        not {key for key in catalogue("en").texts if not key.startswith(FAMILIES)}
        - used()
        - {"brand", "language"}
    )


@pytest.mark.parametrize("state", STATES)
def test_every_state_of_a_seat_has_its_words(state: str) -> None:
    texts = catalogue("en").texts
    assert f"state.{state}" in texts
    assert f"next.{state}" in texts
    assert f"nobody.{state}" in texts


@pytest.mark.parametrize("end", ENDS)
def test_every_end_of_a_call_that_is_told_to_a_seat_has_its_words(end: str) -> None:
    assert f"cause.{end}" in catalogue("en").texts


def test_every_reason_not_to_call_has_its_words() -> None:
    reasons = {f"refusal.{reason}" for reason in (*RefusalReason, "database")}
    assert reasons <= set(catalogue("en").texts)


def test_no_words_are_hard_coded_in_the_templates() -> None:
    code = re.compile(
        r"{% block body_(class|data) %}.*?{% endblock %}|{%.*?%}|{{.*?}}|<[^>]*>", flags=re.DOTALL
    )
    known = {"Esc", "English", "中文"}  # a key's name, and the languages' own
    for template in ROOT.glob("templates/*.html"):
        words = set(re.findall(r"[A-Za-z]{3,}|[一-鿿]+", code.sub(" ", template.read_text())))
        assert not words - known, f"{template.name}: {words - known}"
