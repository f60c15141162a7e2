"""What customers and seats' phones do: a behaviour per call, drawn by number and attempt, never by who came first."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

LONGEST_STAY_S: Final = 120.0  # the carrier's own limit in the test rig


@dataclass(frozen=True, slots=True)
class Amd:
    """What AMD() finds, and how long it listens; the values are those a real Asterisk gave for such greetings."""

    status: str
    cause: str
    after_s: float


AMD_HUMAN: Final = Amd("HUMAN", "HUMAN-800-800", 1.6)
AMD_MACHINE: Final = Amd("MACHINE", "MAXWORDS-3-2", 1.4)
AMD_NOTSURE: Final = Amd("NOTSURE", "TOOLONG-4900", 5.0)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the far end of one call does. Seconds; `None` is never.

    Before the answer: it rings after `rings_after_s`; it answers `answers_after_s` or refuses with the SIP status
    `refuses_with` `refuses_after_s` after the call was placed. After the answer: it leaves `leaves_after_s` after
    the answer whatever happens, `patience_s` after the answer unless it is in a bridge, `hold_patience_s` after it
    was put on hold, and `talk_s` after it was bridged. `keys` are (seconds after the answer, key), `harbour_keys` the
    same after the safe-harbour message began.
    """

    rings_after_s: float | None = 0.01
    progress_after_s: float | None = None
    answers_after_s: float | None = None
    refuses_with: int = 0
    refuses_after_s: float = 0.005
    leaves_after_s: float | None = None
    patience_s: float | None = None
    hold_patience_s: float | None = None
    talk_s: float | None = None
    goes_silent_after_s: float | None = None  # no BYE: the switch ends it after its rtp time-out, cause 44
    keys: tuple[tuple[float, str], ...] = ()
    harbour_keys: tuple[tuple[float, str], ...] = ()
    amd: Amd = AMD_NOTSURE
    order: int = 0  # which of the orders a real switch was seen to use; see the exchange


class Scenario(Protocol):
    """Decides what each call meets. The same arguments give the same behaviour, in any order of calls."""

    sound_s: float

    def customer(self, number: str, attempt: int) -> Behaviour: ...

    def phone(self, endpoint: str, attempt: int) -> Behaviour | None:
        """A seat's phone, or None when the switch knows no such endpoint."""
        ...

    def knows_trunk(self, trunk: str) -> bool: ...


def draw(seed: int, *what: object) -> random.Random:
    """A generator of its own for one call, so that the order of calls changes nothing."""
    return random.Random(":".join(map(str, (seed, *what))))


@dataclass(slots=True)
class Phones:
    """Seats' phones: at once there and staying; a name that ends in `x` leaves after 3 s, in `n` never answers."""

    answers_after_s: float = 0.004
    leaves_after_s: float = 3.0
    unknown: frozenset[str] = frozenset({"nobody"})

    def phone(self, endpoint: str) -> Behaviour | None:
        if not endpoint or endpoint in self.unknown:
            return None
        if endpoint.endswith("n"):
            return Behaviour()
        stays = None if not endpoint.endswith("x") else self.leaves_after_s
        return Behaviour(rings_after_s=None, answers_after_s=self.answers_after_s, leaves_after_s=stays)


def _stays(answers_after_s: float, amd: Amd = AMD_NOTSURE) -> Behaviour:
    return Behaviour(answers_after_s=answers_after_s, leaves_after_s=LONGEST_STAY_S, amd=amd)


# The test numbers: their last two digits say what the customer does. The SIPp carrier of the rig does the same.
TAILS: Final[dict[str, Behaviour]] = {
    "01": Behaviour(answers_after_s=1.0, leaves_after_s=5.0, amd=AMD_HUMAN),
    "02": Behaviour(rings_after_s=None, refuses_with=486),
    "03": Behaviour(),
    "04": Behaviour(rings_after_s=None, refuses_with=503),
    "05": Behaviour(rings_after_s=None, refuses_with=404),
    "06": Behaviour(answers_after_s=0.5, leaves_after_s=0.5, amd=AMD_HUMAN),
    "07": replace(_stays(0.3), keys=tuple((3.0 + n, "9") for n in range(int(LONGEST_STAY_S) - 3))),
    "08": _stays(0.3),
    "09": _stays(0.5, AMD_MACHINE),
    "10": Behaviour(rings_after_s=None, refuses_with=480),
    "11": Behaviour(rings_after_s=None, refuses_with=603),
    "12": Behaviour(refuses_with=486, refuses_after_s=1.0),
    "13": _stays(0.3, AMD_HUMAN),
}


@dataclass(slots=True)
class TailsScenario:
    """Test numbers; a tail without a meaning is unallocated (404)."""

    sound_s: float = 2.0
    seed: int = 1
    phones: Phones = field(default_factory=Phones)
    tails: dict[str, Behaviour] = field(default_factory=lambda: dict(TAILS))

    def customer(self, number: str, attempt: int) -> Behaviour:
        found = self.tails.get(number[-2:])
        if found is None:
            return Behaviour(rings_after_s=None, refuses_with=404)
        return replace(found, order=draw(self.seed, number, attempt).randrange(100))

    def phone(self, endpoint: str, attempt: int) -> Behaviour | None:
        found = self.phones.phone(endpoint)
        return found and replace(found, order=draw(self.seed, endpoint, attempt).randrange(100))

    def knows_trunk(self, trunk: str) -> bool:
        return trunk not in self.phones.unknown


SHARES_OF_CALLS: Final = ("answers", "busy", "congestion", "invalid", "unavailable", "rejects")
SHARES: Final = (*SHARES_OF_CALLS, "machines", "hangs_up_early", "opts_out", "phone_lost")
MEANS: Final = ("ring_s", "talk_s", "greeting_s", "patience_s", "hold_patience_s", "phone_lost_after_s")


@dataclass(frozen=True, slots=True)
class Population:
    """Who answers a statistical scenario's calls. Shares are of all calls and of answers; times are means, in seconds.

    Talk times are log-normal with `talk_spread` as sigma, which is how call lengths lie in the literature (Brown et
    al. 2005, "Statistical Analysis of a Telephone Call Center"); ring times are a normal round the mean, patience is
    exponential.
    """

    answers: float = 0.35
    busy: float = 0.08
    congestion: float = 0.03
    invalid: float = 0.04
    unavailable: float = 0.05
    rejects: float = 0.03
    machines: float = 0.15  # of the answers
    hangs_up_early: float = 0.03  # of the answered people: leaves within the first seconds of the talk
    ring_s: float = 9.0
    ring_spread_s: float = 4.0
    talk_s: float = 90.0
    talk_spread: float = 0.6
    greeting_s: float = 19.0  # of a machine, which then hangs up
    patience_s: float = 12.0
    hold_patience_s: float = 60.0
    opts_out: float = 0.2  # of those who hear the safe-harbour message
    opt_out_key: str = "9"
    phone_lost: float = 0.0  # of the seats' legs: the phone hangs up by itself
    phone_lost_after_s: float = 600.0

    def __post_init__(self) -> None:
        for name in SHARES:
            if not 0 <= (share := getattr(self, name)) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {share:g}")
        if (all_calls := sum(getattr(self, name) for name in SHARES_OF_CALLS)) > 1 + 1e-9:
            raise ValueError(f"{' + '.join(SHARES_OF_CALLS)} is {all_calls:g}, more than all calls")
        for name in MEANS:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is a time above 0 s, not {getattr(self, name):g}")

    def shorter(self, factor: float) -> Population:
        """The same people with all their times multiplied, for a demonstration that shall not take all day."""
        return replace(
            self,
            ring_s=self.ring_s * factor,
            ring_spread_s=self.ring_spread_s * factor,
            talk_s=self.talk_s * factor,
            greeting_s=self.greeting_s * factor,
            patience_s=self.patience_s * factor,
            hold_patience_s=self.hold_patience_s * factor,
        )


@dataclass(slots=True)
class StatisticalScenario:
    """A population that is drawn call by call: the same seed, number and attempt meet the same person."""

    people: Population = field(default_factory=Population)
    seed: int = 1
    sound_s: float = 6.0
    phones: Phones = field(default_factory=Phones)

    def customer(self, number: str, attempt: int) -> Behaviour:
        chance = draw(self.seed, number, attempt)
        people = self.people
        order = chance.randrange(100)
        ring = max(0.3, chance.gauss(people.ring_s, people.ring_spread_s))
        kind = chance.random()
        if (kind := kind - people.answers) < 0:
            return self._answers(chance, ring, order)
        for share, status in (
            (people.busy, 486),
            (people.congestion, 503),
            (people.invalid, 404),
            (people.unavailable, 480),
        ):
            if (kind := kind - share) < 0:
                return Behaviour(
                    rings_after_s=None,
                    refuses_with=status,
                    refuses_after_s=chance.uniform(0.005, 0.6),
                    order=order,
                )
        if kind - people.rejects < 0:
            return Behaviour(refuses_with=603, refuses_after_s=ring, order=order)
        return Behaviour(order=order)

    def _answers(self, chance: random.Random, ring: float, order: int) -> Behaviour:
        people = self.people
        if chance.random() < people.machines:
            greeting_s = chance.uniform(0.4, 1.6) * people.greeting_s
            return Behaviour(answers_after_s=ring, leaves_after_s=greeting_s, amd=AMD_MACHINE, order=order)
        talk = (
            chance.lognormvariate(0.0, people.talk_spread)
            * people.talk_s
            / 2.718281828 ** (people.talk_spread**2 / 2)
        )
        if chance.random() < people.hangs_up_early:
            talk = chance.uniform(0.1, 4.0)
        keys = (
            ((chance.uniform(0.5, self.sound_s), people.opt_out_key),)
            if chance.random() < people.opts_out
            else ()
        )
        return Behaviour(
            answers_after_s=ring,
            patience_s=max(0.3, chance.expovariate(1 / people.patience_s)),
            hold_patience_s=max(1.0, chance.expovariate(1 / people.hold_patience_s)),
            talk_s=max(0.1, talk),
            harbour_keys=keys,
            amd=AMD_HUMAN if chance.random() < 0.95 else AMD_NOTSURE,
            order=order,
        )

    def phone(self, endpoint: str, attempt: int) -> Behaviour | None:
        found = self.phones.phone(endpoint)
        if found is None:
            return None
        chance = draw(self.seed, endpoint, attempt)
        found = replace(found, order=chance.randrange(100))
        if found.answers_after_s is not None and chance.random() < self.people.phone_lost:
            return replace(found, leaves_after_s=chance.expovariate(1 / self.people.phone_lost_after_s))
        return found

    def knows_trunk(self, trunk: str) -> bool:
        return trunk not in self.phones.unknown
