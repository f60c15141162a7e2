"""The live view in the terminal: campaign, seats by state, lines by stage, abandon rate, idle time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cti.figures import CampaignSnapshot
from cti.language import catalogue

SEAT_STYLES = {
    "talking": "green",
    "connecting": "bright_green",
    "asked": "bright_blue",
    "wrap_up": "yellow",
    "ready": "cyan",
    "preview": "blue",
    "paused": "bright_black",
    "phone": "magenta",
    "no_phone": "red",
}
LINE_STYLES = {
    "reserved": "bright_black",
    "offered": "magenta",
    "dialing": "cyan",
    "ringing": "blue",
    "screening": "magenta",
    "waiting": "red",
    "connecting": "bright_green",
    "connected": "green",
    "held": "yellow",
    "consulting": "bright_yellow",
    "conference": "bright_blue",
    "sent": "bright_magenta",
    "outside": "bright_cyan",
    "harbour": "red",
    "closing": "bright_black",
}
BAR = 40  # columns
SPARKS = " ▁▂▃▄▅▆▇█"
HISTORY = 60  # seconds in the small curves
SHARES = ("risk", "risk_limit", "answer_share")  # of a decision's figures
SHOWN_ELSEWHERE = ("dial", "bound", "abandon_rate")
UNLIMITED = 1e9


class LiveView:
    """Draws the newest snapshot of each campaign, under `links`, the addresses.

    What is too tall for the terminal is cut off below.
    """

    def __init__(self, links: Sequence[tuple[str, str]]) -> None:
        self._links = links
        self._last: dict[str, CampaignSnapshot] = {}
        self._talking: dict[str, deque[int]] = {}

    def take(self, snapshot: CampaignSnapshot) -> None:
        """Keep a snapshot for the next drawing."""
        self._last[snapshot.campaign] = snapshot
        curve = self._talking.setdefault(snapshot.campaign, deque(maxlen=HISTORY))
        curve.append(snapshot.seats.get("talking", 0))

    def __rich__(self) -> RenderableType:
        panels: list[RenderableType] = [self._campaign(s) for s in self._last.values()]
        if not panels:
            panels = [Panel(Text("starting …", style="bright_black"), title="Zhudong")]
        links = Table.grid(padding=(0, 2))
        for label, address in self._links:
            links.add_row(Text(label, style="bold"), Text(address))
        return Group(links, *panels)

    def _campaign(self, s: CampaignSnapshot) -> Panel:
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(width=9, style="bold")
        grid.add_column(ratio=1)
        grid.add_row("seats", bar(s.seats, SEAT_STYLES))
        grid.add_row("", legend(s.seats, SEAT_STYLES))
        grid.add_row("lines", bar(s.lines, LINE_STYLES))
        grid.add_row("", legend(s.lines, LINE_STYLES))
        grid.add_row("talking", Text(_curve(self._talking[s.campaign], sum(s.seats.values())), style="green"))
        grid.add_row("", "")
        grid.add_row("calls", _figures(s))
        grid.add_row("abandoned", _abandon(s))
        grid.add_row("each seat", f"idle {s.idle_s_per_call:.1f} s per call   occupancy {s.occupancy:.0%}")
        grid.add_row("pacing", _decision(s))
        state = "running" if s.running else "stopped"
        left = "" if s.leads_left is None else f"   {s.leads_left:,} leads left"
        return Panel(grid, title=f"[bold]{s.campaign}[/]   {s.mode}, {state}{left}", border_style="blue")


def _figures(s: CampaignSnapshot) -> str:
    return f"{s.dials:,} dialed   {s.answered_humans:,} people answered   {s.connected:,} connected"


def _abandon(s: CampaignSnapshot) -> Text:
    style = "green" if s.abandon_rate <= s.target else "bold red"
    text = Text(f"{s.abandon_rate:.2%}", style=style)
    return text.append(f"   {s.abandoned} calls; at most {s.target:.0%} allowed", style="default")


def _decision(s: CampaignSnapshot) -> RenderableType:
    """What bound the last decision, in the words of the status page, and the figures behind it."""
    texts = catalogue("en")
    bound = str(s.decision.get("bound", "start"))
    words = texts.texts.get(f"bound.{bound}") or texts("bound.other", bound=bound)
    figures = [
        Text(f"{texts.texts.get(f'why.{name}', name).lower()} ", style="bright_black").append(
            _figure(name, value), style="default"
        )
        for name, value in s.decision.items()
        if name not in SHOWN_ELSEWHERE
    ]
    return Group(
        Text(words), Columns(figures, padding=(0, 3))
    )  # a Text is no markup, whatever a list is called


def _figure(name: str, value: object) -> str:
    if not isinstance(value, (int, float)):
        return str(value)
    if name in SHARES:
        return f"{value:.1%}"
    if value >= UNLIMITED:
        return "∞"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def bar(parts: Mapping[str, int], styles: Mapping[str, str]) -> Text:
    """A bar of one block a share, in the order of `styles`, as wide for any total."""
    total = sum(parts.values())
    text = Text()
    drawn, seen = 0, 0
    for name, style in styles.items():
        seen += parts.get(name, 0)
        width = round(BAR * seen / total) - drawn if total else 0
        text.append("█" * width, style=style)
        drawn += width
    text.append("·" * (BAR - drawn), style="bright_black")
    return text.append(f" {total}")


def legend(parts: Mapping[str, int], styles: Mapping[str, str]) -> Text:
    """What the colours of a bar mean, for those that are in it."""
    text = Text()
    for name, style in styles.items():
        if parts.get(name):
            text.append("■ ", style=style).append(f"{name.replace('_', ' ')} {parts[name]}  ")
    return text


def _curve(values: Sequence[int], top: int) -> str:
    return "".join(SPARKS[min(8, round(8 * value / top))] if top else " " for value in values)
