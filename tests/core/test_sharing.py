"""Parts of one campaign on several switches spend together what one could, whatever they hear of each other."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.parts import Figures, Told
from dialer.core.sharing import Offer, Sharing
from pacing.ledger import AbandonLedger

TARGET = 0.03
IN_AIR_S = 45.0  # no call is in the air for longer
BOOKS = Figures(connected=970, abandoned=10)  # before the story begins: 20.2 more may be abandoned
NONE = Figures()
PARTS = ("a", "b", "c")


@dataclass
class Row:
    """A part in the database."""

    seats: int = 0
    held: float = 0.0
    told: Figures = NONE
    recorded: Figures = NONE


class Part:
    """One engine with one part: places calls only as long as all of them could be abandoned by what it holds."""

    def __init__(self, switch: str, seats: int) -> None:
        self.switch, self.seats = switch, seats
        self.sharing = Sharing(AbandonLedger(), TARGET)
        self.ledger = self.sharing.ledger_of(switch)
        self.air: list[float] = []  # when each call was placed
        self.unrecorded = Figures()
        self.found = 0  # abandoned with the engine before it, and not counted yet
        self.offers: list[tuple[Offer, Sequence[Told]]] = []  # in the database, and not heard of yet

    @property
    def may_place(self) -> bool:
        return self.ledger.surplus(TARGET) >= len(self.air) + 1


@dataclass
class World:
    """Everything that happens; `left` is the truth."""

    count: int
    now: float = 1_000.0
    rows: dict[str, Row] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    counted: Figures = BOOKS

    def __post_init__(self) -> None:
        self.rows = {switch: Row() for switch in PARTS[: self.count]}
        for at, switch in enumerate(self.rows):
            self.parts.append(self.begun(switch, 10 * (at + 1)))

    def begun(self, switch: str, seats: int) -> Part:
        """An engine reads the books."""
        part = Part(switch, seats)
        recorded = {name: row.recorded for name, row in self.rows.items()}
        window = BOOKS
        for figures in recorded.values():
            window += figures
        part.sharing.seed(self.now, window, recorded, {})
        return part

    @property
    def left(self) -> float:
        answered = self.counted.connected + self.counted.hung_up + self.counted.abandoned
        return (TARGET * answered - self.counted.abandoned) / (1.0 - TARGET)

    # --- what may happen ----------------------------------------------------------------------------------------

    def place(self, part: Part, many: int) -> None:
        for _ in range(many):
            if part.may_place:
                part.air.append(self.now)

    def answer(self, part: Part, abandoned: bool) -> None:
        """A person answers one of the calls; of calls that find a seat there are far more."""
        if abandoned and part.air:
            part.air.pop(0)
            part.ledger.abandoned(self.now)
            more = Figures(abandoned=1)
        else:
            part.ledger.connected(self.now)
            more = Figures(connected=1)
        part.unrecorded += more
        self.counted += more

    def record(self, part: Part) -> None:
        """The journal, and before it what an engine that takes over finds on the switch."""
        for _ in range(part.found):
            part.ledger.abandoned(self.now)
            part.unrecorded += Figures(abandoned=1)
        part.found = 0
        self.rows[part.switch].recorded += part.unrecorded
        part.unrecorded = Figures()

    def tell(self, part: Part) -> None:
        """The transaction; its reply is on its way."""
        if part.offers:
            return
        offer = part.sharing.offer(self.now, {part.switch: part.seats}, {part.switch: len(part.air)})
        told = [
            Told(name, "", True, r.seats, r.held, r.told, r.recorded, None) for name, r in self.rows.items()
        ]
        row = self.rows[part.switch]
        row.held, row.told = offer.agree(told)[part.switch]
        row.seats = part.seats
        part.offers.append((offer, told))

    def hear(self, part: Part) -> None:
        """The reply."""
        while part.offers:
            offer, told = part.offers.pop()
            part.sharing.heard(self.now, told, (part.switch,))
            part.sharing.take(self.now, offer, (part.switch,), IN_AIR_S)

    def wait(self, seconds: float) -> None:
        """Calls that would be in the air for too long are answered by nobody."""
        self.now += seconds
        for part in self.parts:
            self.record(part)
            part.air = [at for at in part.air if at > self.now - IN_AIR_S]

    def die(self, part: Part) -> None:
        """Its engine is killed: the one that has the switch then finds who was abandoned a while later."""
        self.parts.remove(part)
        self.counted += Figures(abandoned=len(part.air))
        after = self.begun(part.switch, part.seats)
        after.unrecorded = part.unrecorded._replace(abandoned=0)
        after.found = part.found + len(part.air) + part.unrecorded.abandoned
        self.parts.append(after)


STEPS = 60
WHAT = (
    ["tell"] * 6 + ["hear"] * 6 + ["place"] * 6 + ["abandon"] * 4 + ["earn"] * 2 + ["record", "wait", "seats"]
)


@given(st.integers(0, 2**32), st.integers(2, 3))
@settings(max_examples=300)
def test_no_order_of_events_lets_the_parts_together_overspend(seed: int, count: int) -> None:
    """Everybody places all the calls that they may, and most of them are abandoned."""
    chance = random.Random(seed)
    world = World(count)
    for _ in range(STEPS):
        part = chance.choice(world.parts)
        what = chance.choice(WHAT)
        if what == "tell":
            world.tell(part)
        elif what == "hear":
            world.hear(part)
        elif what == "place":
            world.place(part, 100)
        elif what == "abandon":
            for _ in range(chance.choice((1, 5, 100))):
                if part.air:
                    world.answer(part, abandoned=True)
        elif what == "earn":
            for _ in range(100):
                world.answer(part, abandoned=False)
        elif what == "record":
            world.record(part)
        elif what == "wait":
            world.wait(chance.choice((1.0, 10.0, IN_AIR_S)))
        else:
            part.seats = chance.choice((0, 10, 100))
            if chance.random() < 0.3:
                world.die(part)
        assert world.left >= -1e-6


def _exchange(world: World, *parts: Part) -> None:
    for part in parts or world.parts:
        world.tell(part)
        world.hear(part)


def test_what_is_left_is_shared_out_by_seats() -> None:
    world = World(2)
    one, two = world.parts  # 10 seats, and 20
    _exchange(world, one)  # the first to ask has it all
    world.place(one, 15)
    _exchange(world, two, one, one, two)
    assert two.ledger.surplus(TARGET) == pytest.approx(world.left - 15)  # that may still be abandoned
    world.wait(IN_AIR_S)
    _exchange(world, one, two)
    assert one.ledger.surplus(TARGET) == pytest.approx(world.left / 3)
    assert two.ledger.surplus(TARGET) == pytest.approx(world.left * 2 / 3)


def test_what_one_counts_the_other_hears_with_the_next_exchange() -> None:
    world = World(2)
    one, two = world.parts
    _exchange(world)
    world.place(one, 3)
    for _ in range(3):
        world.answer(one, abandoned=True)
    assert two.sharing.ledger.given_up == 10
    _exchange(world)  # nothing of it is on record yet
    assert two.sharing.ledger.given_up == one.sharing.ledger.given_up == 13
    world.record(one)
    _exchange(world)
    assert two.sharing.ledger.given_up == one.sharing.ledger.given_up == 13


def test_one_that_is_not_heard_of_keeps_what_it_holds() -> None:
    world = World(2)
    one, two = world.parts
    _exchange(world)
    held = world.rows["a"].held
    assert held > 0.0
    for _ in range(100):
        world.wait(1.0)
        _exchange(world, two)
    assert two.ledger.surplus(TARGET) <= world.left - held
    world.place(one, 100)
    world.place(two, 100)
    for part in world.parts:
        for _ in list(part.air):
            world.answer(part, abandoned=True)
    assert world.left >= 0.0
