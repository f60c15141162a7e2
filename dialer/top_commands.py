"""The command that shows a running daemon in the terminal: `dialer top`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from dialer.console import Settings, common, fail


@click.command()
@click.option(
    "--url", default="", help="Where the metrics are; by default those of --config, or of this machine."
)
@click.option("--every", type=click.FloatRange(0.2, 60.0), default=1.0, show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="Print it once, with the rates of that time, and end.")
@common
def top(url: str, every: float, once: bool, config_file: Path | None, data: Path | None) -> None:
    """Show a running daemon: health, seats, lines, campaigns. From its metrics; Ctrl-C ends it."""
    from rich.console import Console
    from rich.live import Live

    from dialer.config import MetricsSection
    from dialer.top import NotThere, Top, scrape

    settings = Settings(config_file, data)
    section = settings.config().metrics if config_file is not None else MetricsSection()
    host = "127.0.0.1" if section.host in ("", "0.0.0.0") else section.host
    at = url or f"http://{host}:{section.port}/metrics"
    view, console = Top(at), Console()

    if once:
        try:
            view.take(scrape(at))
            time.sleep(every)
            view.take(scrape(at))
        except NotThere as fault:
            fail(str(fault), 1)
        console.print(view)
        return
    try:
        with Live(view, console=console, refresh_per_second=4, screen=console.is_terminal):
            while True:
                try:
                    view.take(scrape(at))
                except NotThere as fault:  # it may come back
                    view.take(fault)
                time.sleep(every)
    except KeyboardInterrupt:
        return
