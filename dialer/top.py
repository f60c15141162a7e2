"""`dialer top`: a running daemon in the terminal, from its metrics: what an operator looks at first."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import httpx2
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cti.language import catalogue
from dialer.live_view import LINE_STYLES, SEAT_STYLES, bar, legend

LIMIT_S = 5.0
MOST_BYTES = 16 << 20  # of one scrape: thousands of campaigns
LAG_S = 0.1  # of the event loop, as the alert has it

Labels = frozenset[tuple[str, str]]


class NotThere(Exception):
    """The metrics can't be had. The text says from where and why."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """One answer: the value of each series, by name and labels, and when it came (monotonic)."""

    at: float
    values: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)

    def one(self, name: str, **labels: str) -> float | None:
        return self.values.get(name, {}).get(frozenset(labels.items()))

    def total(self, name: str, **labels: str) -> float:
        """The sum of the series that have these labels, whatever others they have."""
        wanted = frozenset(labels.items())
        return sum(value for has, value in self.values.get(name, {}).items() if wanted <= has)

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """The series that have these labels, by the value of one more."""
        wanted, found = frozenset(labels.items()), dict[str, float]()
        for has, value in self.values.get(name, {}).items():
            if wanted <= has and (key := dict(has).get(label)) is not None:
                found[key] = found.get(key, 0.0) + value
        return found


def scrape(url: str) -> Scrape:
    """Ask the daemon. Raises :class:`NotThere`."""
    try:
        with httpx2.stream("GET", url, timeout=LIMIT_S) as answer:
            answer.raise_for_status()
            told = bytearray()
            for piece in answer.iter_bytes():
                told += piece
                if len(told) > MOST_BYTES:
                    raise NotThere(f"{url} does not end")
        return read(told.decode(), time.monotonic())
    except (httpx2.HTTPError, httpx2.InvalidURL) as fault:
        raise NotThere(
            f"{url} does not answer: {fault or type(fault).__name__}; is the daemon running?"
        ) from fault
    except ValueError as fault:
        raise NotThere(f"{url} tells no metrics: {fault}") from fault


def read(told: str, at: float) -> Scrape:
    """The metrics in Prometheus's text. Raises ValueError for what is none."""
    values: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(told):
        for sample in family.samples:
            values.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    if "zhudong_database_up" not in values:
        raise ValueError("there is no zhudong_database_up among them")
    return Scrape(at, values)


class Top:
    """Draws the newest scrape; rates are those since the one before."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._now: Scrape | None = None
        self._before: Scrape | None = None
        self._fault = ""

    def take(self, found: Scrape | NotThere) -> None:
        """Keep a scrape, or why there is none."""
        if isinstance(found, NotThere):
            self._fault = str(found)
        else:
            self._before, self._now, self._fault = self._now, found, ""

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._now is not None:
            parts = [self._engine(self._now), self._campaigns(self._now)]
        if self._fault:
            parts.append(Text(self._fault, style="bold red"))
        return Group(*parts) if parts else Text(f"waiting for {self._url} …", style="bright_black")

    def _engine(self, now: Scrape) -> Panel:
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(width=9, style="bold")
        grid.add_column(ratio=1)
        grid.add_row("health", Text("   ").join(self._health(now)))
        seats = {state: int(count) for state, count in now.by("zhudong_seats", "state").items()}
        lines = {stage: int(count) for stage, count in now.by("zhudong_lines", "stage").items()}
        for name, parts, styles in (("seats", seats, SEAT_STYLES), ("lines", lines, LINE_STYLES)):
            grid.add_row(name, bar(parts, styles))
            grid.add_row("", legend(parts, styles))
        return Panel(grid, title="[bold]Zhudong[/]", border_style="blue")

    def _health(self, now: Scrape) -> Iterator[Text]:
        yield _lamp("database", now.one("zhudong_database_up") == 1)
        for switch, up in sorted(now.by("zhudong_switch_up", "switch").items()):
            yield _lamp(switch, up == 1)
        breaches = int(now.total("zhudong_invariant_breaches_total"))
        yield Text(f"{breaches} promises broken", style="bold red" if breaches else "green")
        journal = int(now.total("zhudong_journal_depth"))
        yield Text(f"{journal:,} records wait", style="yellow" if journal else "green")
        lag = self._p99("zhudong_loop_lag_seconds")
        if lag is not None:
            words = f"loop late by < {lag * 1000:g} ms" if math.isfinite(lag) else "loop stands"
            yield Text(words, style="bold red" if lag > LAG_S else "green")

    def _campaigns(self, now: Scrape) -> Table:
        table = Table(expand=True, border_style="blue")
        table.add_column("campaign", style="bold")
        for name in ("dialed/s", "answered/s", "abandoned", "of at most", "lines", "leads left"):
            table.add_column(name, justify="right")
        table.add_column("held back by", ratio=1)
        texts = catalogue("en")
        for name in sorted(now.by("zhudong_dials_total", "campaign")):
            ratio = now.one("zhudong_abandon_ratio", campaign=name) or 0.0
            target = now.one("zhudong_abandon_target_ratio", campaign=name) or 0.0
            left = now.one("zhudong_leads_left", campaign=name)
            bounds = now.by("zhudong_pacing_bound", "bound", campaign=name)
            bound = next((each for each, on in bounds.items() if on), "")
            table.add_row(
                Text(name),  # no markup, whatever a campaign is called
                self._rate("zhudong_dials_total", name),
                self._rate("zhudong_answered_humans_total", name),
                Text(f"{ratio:.2%}", style="bold red" if target and ratio > target else "green"),
                f"{target:.2%}" if target else "-",
                f"{now.total('zhudong_lines', campaign=name):.0f}",
                "-" if left is None else f"{left:,.0f}",
                Text(texts.texts.get(f"bound.{bound}", bound)),
            )
        return table

    def _rate(self, counter: str, campaign: str) -> str:
        if self._now is None or self._before is None or self._now.at <= self._before.at:
            return "-"
        rise = self._now.total(counter, campaign=campaign) - self._before.total(counter, campaign=campaign)
        return f"{max(rise, 0.0) / (self._now.at - self._before.at):.1f}"  # below 0: it was started anew

    def _p99(self, histogram: str) -> float | None:
        """The bucket that 99 of 100 observations since the scrape before stayed in; None without any."""
        if self._now is None:
            return None
        earlier = self._before.by(f"{histogram}_bucket", "le") if self._before is not None else {}
        buckets = {
            float(le): count - earlier.get(le, 0.0)
            for le, count in self._now.by(f"{histogram}_bucket", "le").items()
        }
        total = buckets.get(math.inf, 0.0)
        return (
            min((le for le, n in buckets.items() if n >= 0.99 * total), default=None) if total > 0 else None
        )


def _lamp(what: str, up: bool) -> Text:
    return Text(f"● {what}", style="green") if up else Text(f"● {what} is away", style="bold red")
