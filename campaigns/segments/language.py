"""The language of segments: what a text asks of customers, as a tree. Pure.

    city in ("兰州", "天水") and spend >= 60 and not plan contains "4G"
    calls < 3 within 30 days and connects = 0 within 60 days
    (orders >= 1 within 365 days or result = "interested" within 60 days) and answer "owns_car" = "yes"

A bare word is a customer's attribute, one in backquotes too, whatever is in it. Numbers, texts and dates are compared
as such; what a customer lacks fits no comparison, but fits `is empty`. The words of :data:`COUNTED` count what happened
to a customer over all campaigns of the segment's unit; `within N days` looks back so far, without it at all there is:
orders ever, calls as long as they are in the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import msgspec

from campaigns.config import CampaignsError

MOST_TEXT = 10_000  # characters
DEEPEST = 50  # parentheses within each other
MOST_CONDITIONS = 200
MOST_DAYS = 3_660
MOST_DIGITS = 18
COUNTED = ("calls", "connects", "orders", "revenue")
OWN = ("list", "campaign", "region")  # of a lead itself, as texts
COMPARED = ("=", "!=", "<", "<=", ">", ">=")
TEXTS_ONLY = ("contains", "begins")
WORDS = frozenset(
    (
        *COUNTED,
        *OWN,
        *TEXTS_ONLY,
        "and",
        "or",
        "not",
        "in",
        "is",
        "empty",
        "within",
        "days",
        "result",
        "answer",
    )
)
TOKEN = re.compile(
    r"""\s*(?:
    (?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}(?![\w.]))|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?![\w.]))|(?P<word>\w+)|
    `(?P<name>[^`\n]{1,200})`|"(?P<text>(?:[^"\\\n]|\\["\\])*)"|(?P<sign><=|>=|!=|[=<>(),])
    )""",
    re.VERBOSE,
)
COMMA = re.compile("[,，、]")

Value = str | Decimal | date


class SegmentError(CampaignsError):
    """A text that is no segment. It says what is wrong, and at which character."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A customer's attribute, or one of :data:`OWN`, beside a value; `is_own` tells which."""

    name: str
    sign: str
    value: Value
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """The same beside several values."""

    name: str
    values: tuple[Value, ...]
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Empty:
    """An attribute that a customer lacks."""

    name: str


@dataclass(frozen=True, slots=True)
class Count:
    """What happened to a customer, one of :data:`COUNTED`, in the last `days`, or ever."""

    what: str
    sign: str
    number: Decimal
    days: int | None


@dataclass(frozen=True, slots=True)
class Result:
    """A verdict of an agent's."""

    code: str
    days: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a customer said to a question of a script."""

    question: str
    value: str
    days: int | None


@dataclass(frozen=True, slots=True)
class Not:
    """Whom the rest does not fit."""

    inner: Condition


@dataclass(frozen=True, slots=True)
class Both:
    """Whom all of these fit, or any, as `word` says (`and`, `or`)."""

    word: str
    parts: tuple[Condition, ...]


Condition = Attribute | OneOf | Empty | Count | Result | Answer | Not | Both


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    at: int


def parse(text: str) -> Condition | None:
    """A text as a tree; None for an empty one, which everybody fits. Raises :class:`SegmentError`."""
    if len(text) > MOST_TEXT:
        raise SegmentError(f"a segment has at most {MOST_TEXT:,} characters")
    if not text.strip():
        return None
    return _Reader(_tokens(text), len(text)).whole()


class Line(msgspec.Struct, frozen=True):
    """A condition as a line of a form has it. `values` are as written in the language, without the quotes of texts."""

    what: str  # "attribute", one of COUNTED or OWN, "result" or "answer"
    name: str  # of the attribute or the question
    sign: str
    values: tuple[str, ...]
    quoted: bool  # whether the values are texts
    days: int | None


def lines(condition: Condition | None) -> tuple[str, tuple[Line, ...]] | None:
    """What joins the conditions (`and`, `or`) and these, if a form of lines can show them; None: it can't."""
    if condition is None:
        return "and", ()
    word, parts = (condition.word, condition.parts) if isinstance(condition, Both) else ("and", (condition,))
    found = [_line(part) for part in parts]
    shown = tuple(line for line in found if line is not None and _given_back(line))
    return (word, shown) if len(shown) == len(found) else None


def _line(condition: Condition) -> Line | None:
    match condition:
        case Attribute(name, sign, value, is_own):
            what = name if is_own else "attribute"
            return Line(what, "" if is_own else name, sign, (_written(value),), isinstance(value, str), None)
        case OneOf(name, values, is_own) if len({isinstance(value, str) for value in values}) == 1:
            what, told = (name, "") if is_own else ("attribute", name)
            return Line(what, told, "in", tuple(map(_written, values)), isinstance(values[0], str), None)
        case Empty(name):
            return Line("attribute", name, "is empty", (), False, None)
        case Not(Empty(name)):
            return Line("attribute", name, "is not empty", (), False, None)
        case Count(what, sign, number, days):
            return Line(what, "", sign, (_written(number),), False, days)
        case Result(code, days):
            return Line("result", "", "=", (code,), True, days)
        case Answer(question, value, days):
            return Line("answer", question, "=", (value,), True, days)
        case _:
            return None


def _written(value: Value) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _given_back(line: Line) -> bool:
    """Whether a form says the same values: it has them in one field, commas between several, and no blanks about."""
    several = line.sign == "in"
    return all(value == value.strip() and not (several and COMMA.search(value)) for value in line.values)


def _tokens(text: str) -> list[Token]:
    found, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise SegmentError(f"at character {at + 1}: {text[at]!r} is not understood here")
        found.append(Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return found


class _Reader:
    """Reads tokens from left to right: `or` binds least, then `and`, then `not`."""

    def __init__(self, tokens: list[Token], length: int) -> None:
        self._tokens = tokens
        self._at = 0
        self._end = Token("end", "the end", length)
        self._conditions = 0

    def whole(self) -> Condition:
        found = self._several("or", lambda depth: self._several("and", self._one, depth), 0)
        if self._next.kind != "end":
            raise self._wrong("'and', 'or' or the end")
        return found

    @property
    def _next(self) -> Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else self._end

    def _take(self) -> Token:
        token = self._next
        self._at += 1
        return token

    def _took(self, word: str) -> bool:
        there = self._next.kind in ("word", "sign") and self._next.text.lower() == word
        self._at += there
        return there

    def _must(self, word: str) -> None:
        if not self._took(word):
            raise self._wrong(repr(word))

    def _wrong(self, wanted: str) -> SegmentError:
        token = self._next
        there = token.text if token.kind == "end" else repr(token.text)
        return SegmentError(f"at character {token.at + 1}: {wanted} was expected, and there is {there}")

    def _several(self, word: str, part: Callable[[int], Condition], depth: int) -> Condition:
        parts = [part(depth)]
        while self._took(word):
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else Both(word, tuple(parts))

    def _one(self, depth: int) -> Condition:
        if depth > DEEPEST:
            raise SegmentError(f"more than {DEEPEST} parentheses within each other")
        if self._took("not"):
            return Not(self._one(depth + 1))
        if self._took("("):
            inner = self._several("or", lambda d: self._several("and", self._one, d), depth + 1)
            self._must(")")
            return inner
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise SegmentError(f"more than {MOST_CONDITIONS} conditions")
        return self._condition()

    def _condition(self) -> Condition:
        token = self._next
        word = token.text.lower() if token.kind == "word" else ""
        if token.kind not in ("word", "name") or (
            word in WORDS and word not in (*COUNTED, *OWN, "result", "answer")
        ):
            raise self._wrong("a condition")
        self._take()
        if word in COUNTED:
            return Count(word, self._sign(COMPARED), self._number(), self._within())
        if word == "result":
            self._must("=")
            return Result(self._text(), self._within())
        if word == "answer":
            question = self._text()
            self._must("=")
            return Answer(question, self._text(), self._within())
        return self._about(word if word in OWN else token.text, word in OWN)

    def _about(self, name: str, is_own: bool) -> Condition:
        if self._took("in"):
            self._must("(")
            values = [self._value()]
            while self._took(","):
                values.append(self._value())
            self._must(")")
            return OneOf(name, tuple(values), is_own)
        if not is_own and self._took("is"):
            full = self._took("not")
            self._must("empty")
            return Not(Empty(name)) if full else Empty(name)
        sign = self._sign((*COMPARED, *TEXTS_ONLY) if not is_own else ("=", "!=", *TEXTS_ONLY))
        if sign in TEXTS_ONLY or is_own:
            return Attribute(name, sign, self._text(), is_own)
        return Attribute(name, sign, self._value())

    def _sign(self, signs: tuple[str, ...]) -> str:
        for sign in signs:
            if self._took(sign):
                return sign
        raise self._wrong(f"one of {' '.join(signs)}")

    def _value(self) -> Value:
        token = self._next
        if token.kind == "number":
            return self._number()
        if token.kind == "date":
            try:
                found = date.fromisoformat(token.text)
            except ValueError:
                raise self._wrong("a date") from None
            self._take()
            return found
        return self._text()

    def _text(self) -> str:
        if self._next.kind != "text":
            raise self._wrong("a text in double quotes")
        return re.sub(r"\\(.)", r"\1", self._take().text)

    def _number(self) -> Decimal:
        if self._next.kind != "number" or len(self._next.text) > MOST_DIGITS:
            raise self._wrong(f"a number of at most {MOST_DIGITS} digits")
        return Decimal(self._take().text)

    def _within(self) -> int | None:
        if not self._took("within"):
            return None
        at = self._next
        days = self._number()
        if days != int(days) or not 1 <= days <= MOST_DAYS:
            raise SegmentError(f"at character {at.at + 1}: whole days from 1 to {MOST_DAYS:,} were expected")
        self._must("days")
        return int(days)
