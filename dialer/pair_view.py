"""What a terminal shows of two engines and two switches: who is alive, how to kill it, the calls; the account."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dialer.accounting import KINDS, Balance
from dialer.live_view import SEAT_STYLES, bar, legend
from dialer.page_agents import PageAgent
from dialer.parts import Part

TELL_EVERY_S = 10.0  # without a terminal
EVENTS = 4  # shown: with them all of it is in a terminal's 24 lines
SHOWN = 5  # differences of each kind


@dataclass(frozen=True, slots=True)
class EngineSeen:
    """The switches that an engine has, and those of them that it is connected to."""

    has: tuple[str, ...]
    up: tuple[str, ...]


class PairView:
    """Draws what was taken last; with a `console` it is told there in lines instead. `links` are addresses."""

    def __init__(self, links: Sequence[tuple[str, str]], console: Console | None) -> None:
        self._links = links
        self._plain = console
        self._began = self._told = monotonic()
        self._events: deque[tuple[float, str]] = deque(maxlen=EVENTS)
        self._agents: Sequence[PageAgent] = ()
        self._engines: Mapping[str, Part] = {}
        self._switches: Mapping[str, Part] = {}
        self._seen: Mapping[str, EngineSeen] = {}
        self._outcomes: Mapping[tuple[str, str | None], int] = {}
        if console is not None:
            for label, address in links:
                console.print(f"{label}: {address}", soft_wrap=True, highlight=False)

    def plain(self, console: Console) -> None:
        """The drawing is over: lines from now on."""
        self._plain = console

    def begins(self, agents: Sequence[PageAgent]) -> None:
        """These agents work."""
        self._agents = agents

    def tell(self, what: str) -> None:
        """Something happened."""
        self._events.append((monotonic() - self._began, what))
        if self._plain is not None:
            self._plain.print(f"{self._events[-1][0]:4.0f} s  {what}", soft_wrap=True, highlight=False)

    def take(
        self,
        engines: Mapping[str, Part],
        switches: Mapping[str, Part],
        seen: Mapping[str, EngineSeen],
        outcomes: Mapping[tuple[str, str | None], int],
    ) -> None:
        """What is alive, and the calls by campaign and outcome."""
        self._engines, self._switches, self._seen, self._outcomes = engines, switches, dict(seen), outcomes
        if self._plain is not None and self._agents and monotonic() - self._told >= TELL_EVERY_S:
            self._told = monotonic()
            counts = Counter[str]()
            for (_, outcome), calls in outcomes.items():
                counts["dialed"] += calls
                counts[outcome or "now on"] += calls
            words = "  ".join(
                f"{counts[word]} {word}" for word in ("dialed", "now on", "connected", "abandoned", "lost")
            )
            self.tell(words)

    def __rich__(self) -> RenderableType:
        links = Table.grid(padding=(0, 2))
        for label, address in self._links:
            links.add_row(Text(label, style="bold"), Text(address))
        return Group(links, self._processes(), self._calls(), self._happened())

    def _processes(self) -> Panel:
        grid = Table.grid(padding=(0, 3), expand=True)
        for _ in range(2):
            grid.add_column(no_wrap=True)
        grid.add_column(ratio=1, no_wrap=True)
        for name, part in self._engines.items():
            seen = self._seen.get(name)
            if seen is None:
                state = Text("starts", style="yellow")
            elif seen.has:
                state = Text(f"has {' and '.join(seen.has)}", style="green")
            else:
                state = Text("stands by", style="cyan")
            grid.add_row(*_row(part, state))
        up = {switch for seen in self._seen.values() for switch in seen.up}
        for name, part in self._switches.items():
            state = Text("connected", style="green") if name in up else Text("no engine", style="yellow")
            grid.add_row(*_row(part, state))
        return Panel(grid, title="[bold]kill any of them[/]", border_style="blue")

    def _calls(self) -> Panel:
        table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="bold")
        for head in ("campaign", "dialed", "now on", "connected", "abandoned", "no person", "lost"):
            table.add_column(head, justify="left" if head == "campaign" else "right")
        for name in self._switches:
            counts = {
                outcome: calls for (campaign, outcome), calls in self._outcomes.items() if campaign == name
            }
            shown = [counts.get(None, 0), *(counts.get(key, 0) for key in ("connected", "abandoned"))]
            lost, dialed = counts.get("lost", 0), sum(counts.values())
            row = (dialed, *shown, dialed - sum(shown) - lost, lost)
            table.add_row(name, *(f"{count:,}" for count in row))
        states = Counter(agent.state or "offline" for agent in self._agents)
        seats = Table.grid(padding=(0, 2))
        seats.add_row(Text("seats", style="bold"), bar(states, SEAT_STYLES))
        seats.add_row("", legend(states, SEAT_STYLES))
        saved = sum(len(agent.promised) for agent in self._agents)
        seats.add_row("", f"{saved:,} results that agents were told are saved")
        return Panel(Group(table, seats), title="[bold]calls and seats[/]", border_style="blue")

    def _happened(self) -> Panel:
        lines = [Text(f"{at:4.0f} s  {what}") for at, what in self._events]
        lines += [Text()] * (EVENTS - len(lines))
        return Panel(Group(*lines), title="[bold]what happened[/]", border_style="blue")


def _row(part: Part, state: Text) -> tuple[RenderableType, ...]:
    if part.runs:
        return Text(part.name, style="bold"), Text(f"kill -9 {part.pid}"), state
    left = max(0.0, (part.back_at or monotonic()) - monotonic())
    return (
        Text(part.name, style="bold"),
        Text(""),
        Text(f"gone; started again in {left:.0f} s", style="bold red"),
    )


def report(console: Console, told: Mapping[str, Any], found: Balance) -> None:
    """The account, in words: what there was, and what of it does not add up."""
    killed = ", ".join(f"{name} {times} ×" for name, times in told["killed"].items() if times) or "nothing"
    counts, wrong = told["outcomes"], told["unaccounted"]
    talks, answered = counts.get("connected", 0), counts.get("connected", 0) + counts.get("abandoned", 0)
    share = counts.get("abandoned", 0) / answered if answered else 0.0
    table = Table(title=f"The account. Killed: {killed}", title_justify="left", box=None, padding=(0, 2))
    for head, justify in (("", "left"), ("", "left"), ("not accounted for", "right")):
        table.add_column(head, justify=justify)  # type: ignore[arg-type]
    rows = (
        ("leads", f"{told['leads']:,} called, each with its last call and in nobody's hands", wrong["leads"]),
        (
            "calls",
            f"{told['calls']:,} on record, {told['calls_on_switches']:,} on the switches' own logs; "
            f"{talks:,} talks; {told['unheard']} ended while nobody could hear it",
            wrong["calls"],
        ),
        (
            "abandoned",
            f"{counts.get('abandoned', 0)} ({share:.1%} of answered), and how long people waited",
            wrong["waits"],
        ),
        ("seats", f"{told['seats']}, never with two customers at once, and home in the end", wrong["seats"]),
        ("results", f"{told['verdicts']:,} that agents were told are saved, word for word", wrong["journal"]),
        ("promises", "that the engines count themselves when they break them", told["invariant_breaches"]),
    )
    for name, what, odd in rows:
        table.add_row(Text(name, style="bold"), what, Text(str(odd), style="bold red" if odd else "green"))
    console.print(table)
    console.print(f"ended with: {told['ended_with']}", highlight=False)
    for kind in KINDS:
        for difference in getattr(found, kind)[:SHOWN]:
            console.print(f"unaccounted: {difference}", style="red", highlight=False)
