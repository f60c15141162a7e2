"""A campaign on several switches: one ledger over all its parts, and what each may spend of the abandons that are left.

Theory of operation. Each part counts its own people at once, and tells the others every second (:mod:`dialer.sharing`).
Counts only grow, so of what is told of a part in several ways, by itself and by the tables, the largest is true. What
is left under the target is held in escrow (Barbará and Garcia-Molina's demarcation protocol): a part may let as many
calls go abandoned as it holds, it takes more only of what the others do not hold, and others may take what it gives
back only when the calls that were placed meanwhile are over. So however late a part hears of the others, or when it
hears nothing at all, together they spend no more than was left. What it earns by answers is shared out with the next
exchange.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType

from campaigns.parts import Figures, Told
from pacing.ledger import AbandonLedger, AbandonRule

NOTHING: Mapping[str, Figures] = MappingProxyType({})


class Allowance:
    """What a part holds: how many of its own calls may yet be abandoned."""

    def __init__(self) -> None:
        self.spent = 0
        self.share = 0.0  # of the campaign
        self.begun = False  # it was agreed on once
        self._owed = self._owed_until = 0.0
        self._ceiling = 0.0  # what may be spent since the beginning
        self._before: deque[tuple[float, float]] = (
            deque()
        )  # earlier ceilings: until when calls may spend by them

    @property
    def left(self) -> float:
        """What calls may be placed by now."""
        return max(0.0, self._ceiling - self.spent)

    def held(self, now: float, calls: int) -> float:
        """What others must leave to it: its `calls` that were placed by an earlier ceiling may still be abandoned."""
        while self._before and self._before[0][0] <= now:
            self._before.popleft()
        ceilings = (ceiling for _, ceiling in self._before)
        return max(0.0, min(calls, max(ceilings, default=0.0) - self.spent), self.left)

    def owed(self, now: float) -> float:
        """What the engine before this one held, as long as its calls may still have spent it unheard."""
        return self._owed if now < self._owed_until else 0.0

    def take(self, now: float, left: float, spent: int, in_air_s: float) -> None:
        """From now on `left` is what it holds, agreed on when it had spent `spent`; calls are over in `in_air_s`."""
        if self._ceiling > self.spent:
            self._before.append((now + in_air_s, self._ceiling))
        self._ceiling = spent + left
        self.begun = True

    def inherit(self, now: float, held: float, in_air_s: float) -> None:
        """The engine before this one held so much: what its calls come to is on record within that time."""
        self._owed, self._owed_until = held, now + in_air_s


class PartLedger(AbandonLedger):
    """The campaign's ledger as one of its parts goes by it: all that is counted is common, what is left is not."""

    def __init__(self, sharing: Sharing, switch: str) -> None:
        super().__init__(sharing.ledger.rule)
        self._sharing = sharing
        self._switch = switch
        self._counted = Figures()
        self.allowance = Allowance()

    def connected(self, at: float) -> None:
        self._sharing.ledger.connected(at)
        self._note(Figures(connected=1))

    def hung_up(self, at: float) -> None:
        self._sharing.ledger.hung_up(at)
        self._note(Figures(hung_up=1))

    def abandoned(self, at: float) -> None:
        self._sharing.ledger.abandoned(at)
        self._note(Figures(abandoned=1))
        self.allowance.spent += 1

    def machine(self, at: float) -> None:
        self._sharing.ledger.machine(at)
        self._note(Figures(machines=1))

    def take_rule(self, rule: AbandonRule) -> None:
        self._sharing.ledger.take_rule(rule)
        self.rule = rule

    @property
    def counted(self) -> Figures:
        """All that this part counted ever."""
        return self._counted

    @property
    def answered(self) -> float:
        return self._sharing.ledger.answered

    @property
    def given_up(self) -> float:
        return self._sharing.ledger.given_up

    def surplus(self, target: float) -> float:
        """What this part may spend; by another target than the campaign's, as a shadow has, its share of the rest."""
        whole = self._sharing.ledger.surplus(target)
        if target != self._sharing.target:
            return min(whole, whole * self.allowance.share)
        return min(whole, self.allowance.left)

    def expire(self, now: float) -> None:
        self._sharing.ledger.expire(now)

    def _note(self, more: Figures) -> None:
        self._sharing.note(self._switch, more)
        self._counted += more


class Sharing:
    """The parts of one campaign: what is known of each, here or with another engine. `ledger` is the campaign's."""

    def __init__(self, ledger: AbandonLedger, target: float) -> None:
        self.ledger = ledger
        self.target = target
        self.known: dict[str, Figures] = {}  # counted ever, by switch
        self.others: tuple[Told, ...] = ()  # parts that are not ours, as told the last time
        self._told: dict[str, Figures] = {}  # the last that others told of theirs
        self._ledgers: dict[str, PartLedger] = {}

    def ledger_of(self, switch: str) -> PartLedger:
        """The ledger for its part on this switch."""
        if switch not in self._ledgers:
            self._ledgers[switch] = PartLedger(self, switch)
        return self._ledgers[switch]

    def note(self, switch: str, more: Figures) -> None:
        """A part has counted this, and the ledger as well."""
        self.known[switch] = self.known.get(switch, Figures()) + more

    def seed(
        self,
        now: float,
        window: Figures,
        recorded: Mapping[str, Figures],
        unrecorded: Mapping[str, Figures],
    ) -> None:
        """The books were read: what they say of the window, and what was on record of each part by then.

        `unrecorded`: of our own parts, what they have counted and nobody has put on record yet, where that is known.
        """
        total = window
        for switch in {*recorded, *self.known, *self._told}:
            by_then = recorded.get(switch, Figures())
            if switch in unrecorded:
                self.known[switch] = by_then + unrecorded[switch]
            elif switch in self._told:
                self.known[switch] = by_then.at_least(self._told[switch])
            else:
                self.known[switch] = by_then.at_least(self.known.get(switch, by_then))
            total += self.known[switch] - by_then
        self.ledger.seed(now, *total)

    def heard(self, now: float, told: Iterable[Told], own: Container[str]) -> None:
        """Take what is told of parts; what is not known yet goes to the ledger. Of our own we know more."""
        for each in told:
            before = self.known.get(each.switch, Figures())
            figures = before.at_least(each.recorded)
            if each.switch in own and self.ledger_of(each.switch).allowance.begun:
                self._told.pop(each.switch, None)
            else:
                self._told[each.switch] = each.told
                figures = figures.at_least(each.told)
            self.known[each.switch] = figures
            self._enter(now, figures - before)

    def offer(self, now: float, seats: Mapping[str, int], calls: Mapping[str, int]) -> Offer:
        """Begin an exchange of our parts, each with its seats at work, and its calls that may yet be abandoned."""
        allowances = {switch: self.ledger_of(switch).allowance for switch in seats}
        return Offer(
            self.ledger.surplus(self.target),
            dict(self.known),
            seats,
            {switch: each.held(now, calls.get(switch, 0)) for switch, each in allowances.items()},
            {switch: each.owed(now) for switch, each in allowances.items()},
            {switch: each.spent for switch, each in allowances.items()},
            frozenset(switch for switch, each in allowances.items() if each.begun),
        )

    def take(self, now: float, offer: Offer, told: Container[str], in_air_s: float) -> None:
        """What was agreed on and told is durable: it holds from now on. A call is over `in_air_s` after its placing."""
        for switch, left in offer.left.items():
            if switch not in told:
                continue
            allowance = self.ledger_of(switch).allowance
            if switch in offer.found:
                allowance.inherit(now, offer.found[switch], in_air_s)
            allowance.share = offer.shares[switch]
            allowance.take(now, left, offer.spent[switch], in_air_s)

    # --- within ---------------------------------------------------------------------------------------------------

    def _enter(self, now: float, more: Figures) -> None:
        ledger = self.ledger
        enters = (ledger.connected, ledger.hung_up, ledger.abandoned, ledger.machine)
        for count, enter in zip(more, enters, strict=True):
            for _ in range(count):
                enter(now)


class Offer:
    """What our parts are about to tell, and what they may hold by what the others told: one exchange.

    `surplus` is what is left in all by what is known here; what others let go abandoned since, and what they hold, is
    told in the transaction. What others have earned since counts the next time.
    """

    def __init__(
        self,
        surplus: float,
        known: Mapping[str, Figures],
        seats: Mapping[str, int],
        held: Mapping[str, float],
        owed: Mapping[str, float],
        spent: Mapping[str, int],
        begun: Container[str],
    ) -> None:
        self.spent = spent
        self.left: dict[str, float] = {}  # what each of ours may spend from now on
        self.shares: dict[str, float] = {}
        self.found: dict[str, float] = {}  # what the engine before this one held of a part that is new here
        self._surplus = surplus
        self._known = known
        self._seats = seats
        self._held = held
        self._owed = owed
        self._begun = begun

    def agree(self, parts: Iterable[Told]) -> Mapping[str, tuple[float, Figures]]:
        """Of each of ours what others must leave to it from now on, and what it has counted.

        Nobody else tells of this campaign meanwhile. Of a part that is new here more may have happened than we know.
        """
        surplus, at_work, others = self._surplus, sum(self._seats.values()), 0.0
        holds, owed, counted = dict(self._held), dict(self._owed), {}
        for each in parts:
            before = self._known.get(each.switch, Figures())
            after = before.at_least(each.recorded)
            if each.switch not in self._begun:
                after = after.at_least(each.told)
            surplus -= after.abandoned - before.abandoned
            if each.switch not in self._seats:
                others += each.held
                at_work += each.seats if each.alive else 0
                continue
            counted[each.switch] = after
            if each.switch not in self._begun:
                self.found[each.switch] = owed[each.switch] = each.held
        for switch, seats in self._seats.items():
            share = seats / at_work if at_work else 0.0
            beside = others + sum(owed.values()) + sum(held for name, held in holds.items() if name != switch)
            left = max(0.0, min(max(0.0, surplus) * share, surplus - beside))
            self.left[switch], self.shares[switch] = left, share
            holds[switch] = max(holds[switch], left)
        return {
            switch: (held + owed[switch], counted.get(switch, self._known.get(switch, Figures())))
            for switch, held in holds.items()
        }
