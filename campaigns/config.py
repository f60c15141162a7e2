"""A campaign's configuration: one TOML text, checked to the last value, refused with file, key and reason."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from urllib.parse import quote, urlsplit

import msgspec
from phonenumbers import SUPPORTED_REGIONS

from campaigns.best_time.keys import BestTime, check_best_time
from campaigns.caller_ids.keys import Pool, Use, check_caller_ids
from campaigns.codes import check_texts
from campaigns.dispositions import DEFAULT_DISPOSITIONS, Disposition, check_dispositions, given
from campaigns.messages.keys import Messages, check_messages
from campaigns.order import MOST_WEIGHT, Order
from campaigns.patterns import OUTSIDE
from campaigns.rules.calendar import known_zone as known_zone
from campaigns.rules.keys import DAY_S, LONGEST_S, Part, Rules
from campaigns.rules.profiles import PROFILES as LAWS
from campaigns.rules.terms import DELAY, Check, check_rules
from campaigns.script import Step, check_script, questions
from campaigns.trials.keys import Trial, check_trial, scripts_of
from campaigns.values import Lead

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
MOST_MONEY = 1e9
MOST_SWITCHES = 32  # each has an engine at the most
CALLED_NUMBER = re.compile(r"\+?[0-9]{1,20}")
MODES = ("preview", "progressive", "ratio", "predictive")


class CampaignsError(Exception):
    """Base of this room's errors."""


class ConfigError(CampaignsError):
    """A campaign's configuration that can't be used. The text names the file, the key and the reason."""


class SafeHarbour(Part, frozen=True):
    """What a customer hears when no seat is free: a sound of the switch, and the key that stops all further calls."""

    message: str = "zhudong/safe-harbour"
    opt_out_key: str = "9"


FIELD_TYPES = ("text", "integer", "decimal", "date", "boolean", "choice")


class Field(Part, frozen=True):
    """An attribute of customers: the column of the lists, what it holds, and how it is called on the agent's page.

    A row whose cell is not of the `type`, is none of the `choices`, or is empty though `required`, is rejected.
    """

    name: str
    type: str = "text"
    label: dict[str, str] = msgspec.field(default_factory=dict)
    required: bool = False
    choices: tuple[str, ...] = ()


PROFILES = ("us", "uk", "cn", "life")


class Abandon(Part, frozen=True):
    """How abandoned calls are counted against `target`: a regulator's profile, and what of it is different here.

    `us` counts over 30 days (16 CFR 310.4(b)(4)), `uk` over 24 hours with machines deducted (Ofcom), `cn` over 24
    hours, `life` over the campaign's whole life. `window_days` is the window, `hung_up_counts` whether people who left
    before the connect limit are answers, `deduct_machines` whether abandons are reduced by the share of machines that
    agents found, `clock` where the connect limit begins: at the `answer`, or when a person was `detected`.
    """

    profile: str = "us"
    window_days: float | None = None
    hung_up_counts: bool | None = None
    deduct_machines: bool | None = None
    clock: str | None = None


class Callbacks(Part, frozen=True):
    """What holds for callbacks. A personal one waits `personal_wait_s` for its person and `team_wait_s` for the others
    of that person's unit, then it goes to anyone.

    `expire_s` after it was due it is none any more, and the lead one like others. The person is reminded `remind_s`
    before it is due.
    """

    personal_wait_s: float = 1800.0
    team_wait_s: float = 900.0
    expire_s: float = 2 * DAY_S
    remind_s: float = 300.0


class Worth(Part, frozen=True):
    """What evaluations reckon with, in the company's currency: what a conversion is worth whose order is not on record,
    what an hour of a seat costs, and a call; and for how many days after a talk a purchase is its doing.
    """

    conversion: float = 0.0
    seat_hour: float = 0.0
    call: float = 0.0
    days: int = 30


class Shadow(Part, frozen=True):
    """What a second pacing, which looks on and dials nothing, has other than the campaign's own; None is the same."""

    mode: str | None = None
    ratio: float | None = None
    target: float | None = None


class Crm(Part, frozen=True):
    """Where the company's own system shows a customer: an address in which `{name}` is an attribute of theirs, or
    `{customer_id}`, `{number}`, `{call_id}`, `{campaign}`. `frame`: shown in the agent's page itself, where the
    daemon's `[web] frames` lets that host be.
    """

    url: str = ""
    frame: bool = False


class Manual(Part, frozen=True):
    """What agents may dial by hand: numbers that fit one of the patterns (as in `transfer_numbers`), none without any.

    A number without a country code is one of `country` (ISO 3166).
    """

    numbers: tuple[str, ...] = ()
    country: str = "CN"


class Outside(Part, frozen=True):
    """How many calls and minutes an agent has, within 24 hours and over all campaigns, to numbers of their own choice:
    by hand, and where they send customers outside. More than honest work needs, so that fraud has an end.
    """

    calls: int = 500
    minutes: float = 600.0


class Inbound(Part, frozen=True):
    """The company's numbers whose callers the campaign's seats take, before the customers that it dials: each as the
    switch's dialplan has it. A caller waits for a seat for `wait_limit_s`; one whose number comes without a country
    code is of `country` (ISO 3166).
    """

    numbers: tuple[str, ...] = ()
    wait_limit_s: float = 300.0
    country: str = "CN"


class CampaignConfig(Part, frozen=True):
    """One campaign. Durations in seconds. `unit` is the path of the unit that it belongs to, empty for the company.

    `switch` is one name or several: on each of them the campaign has a part, with seats and calls of its own.

    `ratio` is lines for each idle seat (mode ratio); `target` the share of answered humans that may be abandoned over
    the window (0.03 is the legal limit in the US and the UK). `ring_limit_s` is at least 15 (47 CFR 64.1200(a)(6)
    lets nobody hang up earlier). `trunk` overrides the switch's own dial string. `caller_ids` are shown to customers
    whom no pool is for. Wrap-up lasts `wrap_up_s`, and as long again when its agent asks, `wrap_up_extensions` times at
    most. `record`: what customer and seat say is recorded on the switch.
    `amd`: on a machine is hung up. Where the connect limit begins at the answer, whom the detection has not judged
    shortly before that is over goes to a seat as a person.
    `transfer_campaigns` are those to whose seats customers may be sent beside this one's own; `transfer_numbers`
    patterns of outside numbers, in which `?` is a digit and `*` at the end any digits.
    """

    name: str
    switch: str | tuple[str, ...]
    unit: str = ""
    running: bool = False
    priority: int = 0
    mode: str = "progressive"
    ratio: float = 1.5
    target: float = 0.03
    trunk: str = ""
    max_lines: int = 1_000
    caller_ids: tuple[str, ...] = ()
    caller_id_pools: tuple[Pool, ...] = ()
    caller_id: Use = Use()
    ring_limit_s: float = 25.0
    connect_limit_s: float = 2.0
    amd: bool = False
    record: bool = False
    transfer_campaigns: tuple[str, ...] = ()
    transfer_numbers: tuple[str, ...] = ()
    wrap_up_s: float = 30.0
    wrap_up_extensions: int = 0
    safe_harbour: SafeHarbour = SafeHarbour()
    abandon: Abandon = Abandon()
    shadow: Shadow | None = None
    dispositions: tuple[Disposition, ...] = DEFAULT_DISPOSITIONS
    script: tuple[Step, ...] = ()
    trial: Trial = Trial()
    crm: Crm = Crm()
    manual: Manual = Manual()
    outside: Outside = Outside()
    inbound: Inbound = Inbound()
    fields: tuple[Field, ...] = ()
    rules: Rules = msgspec.field(default_factory=Rules)
    order: Order = Order()
    best_time: BestTime = BestTime()
    callbacks: Callbacks = Callbacks()
    worth: Worth = Worth()
    messages: Messages = msgspec.field(default_factory=Messages)

    @property
    def switches(self) -> tuple[str, ...]:
        """Those that it is on, one at least."""
        return (self.switch,) if isinstance(self.switch, str) else self.switch


def crm_url(config: CampaignConfig, lead: Lead) -> str:
    """The address at which the company's own system shows this customer; what is not known of them is empty."""
    values = {name: str(value) for name, value in lead.attributes.items() if value is not None}
    values |= {
        "customer_id": lead.customer_id,
        "number": lead.number,
        "call_id": lead.call_id,
        "campaign": config.name,
    }
    parts = Formatter().parse(config.crm.url)
    return "".join(before + quote(values.get(name or "", ""), safe="") for before, name, _, _ in parts)


def load(path: Path) -> CampaignConfig:
    """Read and check a file. Raises :class:`ConfigError`."""
    try:
        text = path.read_text("utf-8")
    except OSError as fault:
        raise ConfigError(f"{path}: can't be read: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{path}: is not UTF-8 at byte {fault.start}") from fault
    return parse(text, str(path))


def parse(text: str, where: str) -> CampaignConfig:
    """Check a text; `where` names it in errors. Raises :class:`ConfigError`."""
    try:
        raw = tomllib.loads(text)
    except RecursionError as fault:
        raise ConfigError(f"{where}: is nested too deep") from fault
    except ValueError as fault:  # TOMLDecodeError is one, and so is a number of ten thousand digits
        raise ConfigError(f"{where}: {fault}") from fault
    for key, number in _numbers(raw):
        if not math.isfinite(number):
            raise ConfigError(f"{where}: {key}: must be a finite number, is {number}")
    try:
        config = msgspec.convert(raw, CampaignConfig)
    except msgspec.ValidationError as fault:
        raise ConfigError(f"{where}: {fault}".replace("`$.", "`")) from fault
    for key, reason in faults(config):
        raise ConfigError(f"{where}: {key}: {reason}")
    return config


def _numbers(value: object, key: str = "") -> Iterator[tuple[str, float]]:
    """All numbers with a point that stand in a TOML value, as (key, number)."""
    if isinstance(value, float):
        yield key, value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _numbers(each, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _numbers(each, f"{key}[{index}]")


def faults(config: CampaignConfig) -> list[tuple[str, str]]:
    """What has the right type and makes no sense, as (key, reason)."""
    found: list[tuple[str, str]] = []

    def check(right: bool, key: str, reason: str) -> None:
        if not right:
            found.append((key, reason))

    check(bool(NAME.fullmatch(config.name)), "name", "must be 1 to 64 letters, digits, dots, - or _")
    check(bool(config.switches) and all(config.switches), "switch", "must name a switch")
    check(
        len(config.switches) <= MOST_SWITCHES,
        "switch",
        f"must name {MOST_SWITCHES} at most, names {len(config.switches)}",
    )
    check(len({*config.switches}) == len(config.switches), "switch", "names one of them twice")
    check(config.mode in MODES, "mode", f"must be one of {', '.join(MODES)}, is {config.mode!r}")
    for within, part in (("", config), ("shadow.", config.shadow or Shadow())):
        ratio, target = part.ratio, part.target
        check(
            ratio is None or 1.0 <= ratio <= 15.0, f"{within}ratio", f"must be between 1 and 15, is {ratio}"
        )
        check(
            target is None or 0.0 <= target <= 1.0,
            f"{within}target",
            f"must be a share between 0 and 1, is {target}",
        )
    shadowed = config.shadow.mode if config.shadow is not None else None
    check(
        shadowed is None or shadowed in MODES[1:],
        "shadow.mode",
        f"must be one of {', '.join(MODES[1:])}, is {shadowed!r}",
    )
    check(
        config.trunk == "" or (not fault_of_dial(config.trunk, "number") and config.trunk.isprintable()),
        "trunk",
        "must hold {number}, and nothing else in braces, as in PJSIP/{number}@carrier",
    )
    check(1 <= config.max_lines <= 100_000, "max_lines", "must be between 1 and 100000")
    check(
        15.0 <= config.ring_limit_s <= 120.0, "ring_limit_s", "must be between 15 (the legal minimum) and 120"
    )
    check(
        0.0 < config.connect_limit_s <= 2.0,
        "connect_limit_s",
        "must be above 0 and at most 2 (the legal limit)",
    )
    check(0.0 <= config.wrap_up_s <= 3600.0, "wrap_up_s", "must be between 0 and 3600")
    check(0 <= config.wrap_up_extensions <= 10, "wrap_up_extensions", "must be between 0 and 10")
    check_caller_ids(config.caller_ids, config.caller_id_pools, config.caller_id, check)
    for index, name in enumerate(config.transfer_campaigns):
        check(bool(NAME.fullmatch(name)), f"transfer_campaigns[{index}]", f"{name!r} is no campaign's name")
    listed = {"transfer_numbers": config.transfer_numbers, "manual.numbers": config.manual.numbers}
    for name, index, pattern in [(k, i, p) for k, patterns in listed.items() for i, p in enumerate(patterns)]:
        check(
            bool(OUTSIDE.fullmatch(pattern)),
            f"{name}[{index}]",
            f"{pattern!r} must be 3 digits or more, then digits, `?` and at the end `*`, as in +8610*: a pattern that "
            "lets everything through would let toll fraud through",
        )
    key = config.safe_harbour.opt_out_key
    check(len(key) == 1 and key in "0123456789*#", "safe_harbour.opt_out_key", f"{key!r} is no telephone key")
    message = config.safe_harbour.message
    check(
        bool(message) and message.isprintable() and not set(message) & set(",&;|\"'"),
        "safe_harbour.message",
        "must name a sound of the switch, without its extension",
    )
    abandon = config.abandon
    check(abandon.profile in PROFILES, "abandon.profile", f"must be one of {', '.join(PROFILES)}")
    check(
        abandon.window_days is None or 1 / 24 <= abandon.window_days <= 366,
        "abandon.window_days",
        "must be between an hour (0.042) and 366",
    )
    check(abandon.clock in (None, "answer", "detected"), "abandon.clock", "must be answer or detected")
    check_script(config.script, check)
    check_trial(config.trial, check)
    for script in scripts_of(
        config.script, config.trial
    ).values():  # what a result asks for, each of them asks
        check_dispositions(config.dispositions, questions(script), check)
    _check_crm(config.crm, check)
    _check_fields(config, check)
    check(
        config.manual.country in SUPPORTED_REGIONS,
        "manual.country",
        f"{config.manual.country!r} is no region with telephone numbers (ISO 3166, as in CN)",
    )
    check(0 <= config.outside.calls <= 10_000, "outside.calls", "must be between 0 and 10000")
    check(0.0 <= config.outside.minutes <= 10_000.0, "outside.minutes", "must be between 0 and 10000")
    _check_inbound(config.inbound, check)
    check_rules(config.rules, check)
    if config.rules.profile in LAWS:
        check_messages(config.messages, config.rules, given(config.dispositions), check)
    _check_order(config.order, check)
    check_best_time(config.best_time, config.order.score, check)
    for name in ("conversion", "seat_hour", "call"):
        check(
            0 <= getattr(config.worth, name) <= MOST_MONEY,
            f"worth.{name}",
            f"must be between 0 and {MOST_MONEY:,.0f}",
        )
    check(1 <= config.worth.days <= 366, "worth.days", f"must be between 1 and 366, is {config.worth.days}")
    for name in Callbacks.__struct_fields__:
        value = getattr(config.callbacks, name)
        check(0 <= value <= LONGEST_S, f"callbacks.{name}", DELAY)
    return found


def fault_of_dial(text: str, field: str) -> str:
    """What is wrong with a dial string in which `field` stands in braces; empty when nothing is."""
    try:
        found = {part[1:] for part in Formatter().parse(text) if part[1] is not None}
    except ValueError:  # a brace without its other
        return f"knows only {{{field}}}"
    if not found:
        return f"must hold {{{field}}}"
    return "" if found == {(field, "", None)} else f"knows only {{{field}}}"


def _check_crm(crm: Crm, check: Check) -> None:
    host = urlsplit(crm.url.partition("{")[0])
    check(
        not crm.url or (host.scheme in ("https", "http") and bool(host.netloc) and host.path[:1] == "/"),
        "crm.url",
        "must be an address such as https://crm.example/customers/{customer_id}, its host without braces",
    )
    try:
        names = [part[1] for part in Formatter().parse(crm.url) if part[1] is not None]
    except ValueError:
        names = [""]
    check(all(names), "crm.url", "has a brace without its other")
    check(not crm.frame or bool(crm.url), "crm.frame", "needs an address")


def _check_inbound(inbound: Inbound, check: Check) -> None:
    for index, number in enumerate(inbound.numbers):
        at = f"inbound.numbers[{index}]"
        check(
            bool(CALLED_NUMBER.fullmatch(number)),
            at,
            f"{number!r} must be the digits of a number, + before them or not",
        )
        check(number not in inbound.numbers[:index], at, f"{number!r} stands twice")
    check(5.0 <= inbound.wait_limit_s <= 1800.0, "inbound.wait_limit_s", "must be between 5 and 1800")
    check(
        inbound.country in SUPPORTED_REGIONS,
        "inbound.country",
        f"{inbound.country!r} is no region with telephone numbers (ISO 3166, as in CN)",
    )


def _check_order(order: Order, check: Check) -> None:
    names = set[str]()
    for index, each in enumerate(order.lists):
        at = f"order.lists[{index}]"
        check(bool(each.name), f"{at}.name", "must name a list")
        check(each.name not in names, f"{at}.name", f"{each.name!r} stands twice")
        check(
            0.0 < each.weight <= MOST_WEIGHT, f"{at}.weight", f"must be above 0 and at most {MOST_WEIGHT:.0f}"
        )
        names.add(each.name)


def _check_fields(config: CampaignConfig, check: Check) -> None:
    names: set[str] = set()
    for index, each in enumerate(config.fields):
        at = f"fields[{index}]"
        check(bool(each.name.strip()) and each.name.isprintable(), f"{at}.name", "must name a column")
        check(each.name not in names, f"{at}.name", f"{each.name!r} stands twice")
        check(each.type in FIELD_TYPES, f"{at}.type", f"must be one of {', '.join(FIELD_TYPES)}")
        if each.label:
            check_texts(each.label, f"{at}.label", check)
        check((each.type == "choice") is bool(each.choices), f"{at}.choices", "belong to the type choice")
        names.add(each.name)
