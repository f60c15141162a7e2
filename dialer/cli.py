"""The console command `dialer`. Exit codes: 0 done, 1 failed or a check did not hold, 2 a wrong input or config."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

import click

from dialer import __version__
from dialer.audit_commands import audit
from dialer.backup_commands import backup, restore
from dialer.campaign_commands import apply, diff, export
from dialer.console import Settings, as_json, common, fail, opened_database, say_steps
from dialer.doctor_commands import doctor
from dialer.history_commands import archive, files_of, history
from dialer.learning_commands import best_time, caller_ids
from dialer.list_commands import import_lists, lists
from dialer.message_commands import messages
from dialer.people_commands import keys, unit, user
from dialer.person_commands import hold, person
from dialer.recording_commands import recordings
from dialer.report_commands import report
from dialer.results_commands import evaluate, results
from dialer.rules_commands import consent, dnc, evidence, requeue, why
from dialer.schedule_commands import reports
from dialer.segment_commands import segment
from dialer.top_commands import top
from dialer.webhook_commands import webhooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.floor import Scenario
    from simulator.floor.summary import Summary


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="dialer")
def main() -> None:
    """Zhudong, a predictive dialer for Asterisk.

    `dialer demo` shows a call centre at work, nothing else needed. With your own Asterisk: write a dialer.toml, try it
    with `dialer check`, bring in people and customers with `dialer user`, `dialer apply` and `dialer import`, start
    with `dialer run`.
    """


for command in (
    import_lists, lists, why, requeue, dnc, consent, evidence, archive, history, person, hold, caller_ids, best_time,
    user, unit, keys, recordings, audit, webhooks, messages, segment, report, reports, results, evaluate, apply, diff,
    export, doctor, backup, restore, top,
):  # fmt: skip
    main.add_command(command)


@main.command()
@click.option("--duration", type=click.FloatRange(min=1), help="Seconds to run; without it until Ctrl-C.")
@click.option(
    "--json",
    "summary",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the summary to this file; no live view.",
)
@click.option("--seats", type=click.IntRange(1, 2000), default=20, show_default=True, help="Virtual seats.")
@click.option(
    "--leads",
    type=click.IntRange(1, 1_000_000),
    default=5_000,
    show_default=True,
    help="Customers on the list.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Chooses the customers' behaviour.")
@click.option(
    "--web-port", type=click.IntRange(0, 65535), default=0, help="Port of the pages; 0 takes a free one."
)
@click.option(
    "--config",
    "campaign_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A campaign file to try instead of the demo's own.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="New folder for database and log, kept; without it a temporary one.",
)
def demo(
    duration: float | None,
    summary: Path | None,
    seats: int,
    leads: int,
    seed: int,
    web_port: int,
    campaign_file: Path | None,
    data: Path | None,
) -> None:
    """Show a call centre at work in this terminal.

    Database, virtual switch, virtual seats, a list of customers, and the engine: nothing else is needed. Exits 0 only
    when every invariant held and every lead, call and seat is accounted for.
    """
    from dialer.demo import DemoOptions, run_demo

    options = DemoOptions(
        duration_s=duration,
        seats=seats,
        leads=leads,
        seed=seed,
        data=data,
        web_port=web_port,
        campaign_file=campaign_file,
    )
    sys.exit(run_demo(options, summary))


@main.command(name="demo-pair")
@click.option("--duration", type=click.FloatRange(min=1), help="Seconds to work; without it until Ctrl-C.")
@click.option(
    "--json",
    "summary",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the account to this file; no live view.",
)
@click.option("--seats", type=click.IntRange(2, 200), default=12, show_default=True, help="Agents, programs.")
@click.option(
    "--leads", type=click.IntRange(1, 500_000), default=5_000, show_default=True, help="Customers a switch."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="New folder for database, logs and configurations, kept; without it a temporary one.",
)
def demo_pair(
    duration: float | None, summary: Path | None, seats: int, leads: int, data: Path | None
) -> None:
    """Show two engines and two switches, to kill any of them.

    Each is a process of its own, whose `kill` stands beside it; it is started again after a while. Exits 0 only when
    every lead, call, seat and result is accounted for in the end, whatever was killed.
    """
    from dialer.pair import PairOptions, run_pair

    sys.exit(run_pair(PairOptions(duration, seats, leads, data), summary))


@main.command()
@click.option("--people", is_flag=True, help="Log readable lines instead of JSON.")
@common
def run(people: bool, config_file: Path | None, data: Path | None) -> None:
    """Run the daemon. SIGTERM drains: no new calls, those in progress finish. SIGHUP reads the config again."""
    import structlog

    from campaigns.config import CampaignsError
    from cti.server import CannotListen
    from dialer import garbage, logs, open_files
    from dialer.daemon import Addresses, AlreadyRunning, Daemon
    from dialer.service import END_LIMIT_S, end_within, notify, serve_signals, watched
    from dialer.tenure import Lost

    settings = Settings(config_file, data)
    config = settings.config()
    logs.configure(sys.stderr, people)
    open_files.take_allowed()
    log = structlog.get_logger(__name__)

    def ready(at: Addresses) -> None:
        garbage.set_aside()
        notify("READY=1")
        scheme = "https" if config.web.certificate else "http"
        # by the log, which nobody fails of: on a full disk a line more would be the end
        log.info("the seats' page is open", address=f"{scheme}://{config.web.host}:{at.web}/")

    async def running() -> None:
        daemon = Daemon(config, settings.data)
        watch = asyncio.create_task(watched())
        code = 1
        try:
            with serve_signals(daemon, settings.config_file):
                await daemon.run(ready=ready)
            code = 0
        finally:
            watch.cancel()
            end_within(END_LIMIT_S, code)

    try:
        new_loop(running())
    except Lost:  # what is in memory is another engine's: begin anew, as one that stands by
        os.execv(sys.executable, sys.orig_argv)
    except (CampaignsError, CannotListen, AlreadyRunning, OSError) as fault:
        fail(str(fault), 1)


@main.command()
@click.option("--switch", "switch_name", help="Only this switch.")
@click.option(
    "--dial", help="Place the test call to this dial string, such as PJSIP/100; without it inside the switch."
)
@as_json
@common
def check(
    switch_name: str | None, dial: str | None, json_out: bool, config_file: Path | None, data: Path | None
) -> None:
    """Verify each switch from end to end, and say how new the calendar is.

    Link, log-in, rights, version, dialplan, and a test call. Whatever is wrong is one line, and one with what to do.
    """
    from dialer.check import check_calendar, check_switch

    config = Settings(config_file, data).config()
    sections = [s for s in config.switch if switch_name in (None, s.name)]
    if not sections:
        fail(f"there is no switch {switch_name!r} in {config_file}")
    results = {s.name: asyncio.run(check_switch(s, dial)) for s in sections}
    calendar = check_calendar(datetime.now(UTC).year)
    if json_out:
        click.echo(
            json.dumps(
                {n: [asdict(step) for step in steps] for n, steps in results.items()}
                | {"calendar": [asdict(calendar)]},
                ensure_ascii=False,
            )
        )
    else:
        for name, steps in results.items():
            say_steps(f"switch {name}", steps)
        say_steps("calendar", [calendar], "OLD")
    sys.exit(0 if all(step.ok for steps in results.values() for step in steps) else 1)


@main.command()
@click.argument("scenarios", nargs=-1)
@click.option(
    "--policies",
    default="",
    help="Laws of dialing, with commas between; the usual ones when not given, `all` for all.",
)
@click.option("--seeds", type=click.IntRange(1, 10_000), default=5, show_default=True, help="Days of each.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes; one for each core when not given.")
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw a picture into this SVG file."
)
@click.option(
    "--from-history",
    "on_record",
    type=(str, click.DateTime(["%Y-%m-%d"])),
    metavar="CAMPAIGN DAY",
    help="The scenario is a day of this campaign as it is on record, such as spring 2026-11-24.",
)
@click.option(
    "--target",
    type=click.FloatRange(0, 1),
    help="And once more with this share of abandoned calls for a target.",
)
@click.option("--seats", type=int, default=0, help="And once more with so many seats more, or fewer (-3).")
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the recorded day, with what is changed of it, into this scenario file.",
)
@as_json
@common
def simulate(
    scenarios: tuple[str, ...],
    policies: str,
    seeds: int,
    jobs: int | None,
    plot: Path | None,
    on_record: tuple[str, datetime] | None,
    target: float | None,
    seats: int,
    save: Path | None,
    json_out: bool,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Compare laws of dialing on simulated days.

    Whole days of call centres in virtual time, each law on the same customers. SCENARIOS are names of those that come
    with the package, or TOML files; without any, all names are listed. With --from-history it is a day on record, whose
    own figures stand in the first line; --target and --seats ask what would have been.
    """
    from rich.console import Console

    from dialer import simulate as work
    from simulator.floor import ScenarioError, load, names
    from simulator.floor.writing import as_toml
    from simulator.policies import registry

    if on_record is None and (target is not None or seats or save is not None):
        fail("--target, --seats and --save change a day that --from-history names")
    if on_record is not None and scenarios:
        fail("with --from-history there is no other scenario")
    for file in (plot, save):
        if file is not None and not file.parent.is_dir():
            fail(f"{file}: there is no folder {file.parent}")
    if on_record is None and not scenarios:
        for name in names():
            click.echo(wrapped(load(name).story, f"{name:<18} "))
        click.echo("\n" + wrapped(", ".join(registry.names()), f"{'policies:':<18} "))
        return
    laws = (
        registry.names()
        if policies == "all"
        else [each.strip() for each in policies.split(",") if each.strip()]
    )
    lines: list[Summary] = []
    days: Sequence[str | Scenario] = scenarios
    if on_record is not None:
        lines, days, own = _recorded(*on_record, Settings(config_file, data), target, seats)
        laws = laws or [own, "predictive", "progressive"]
        if save is not None:
            save.write_text(as_toml(days[-1]), encoding="utf-8")
    try:
        plan = work.plan(days, laws, seeds, jobs)
    except (ScenarioError, registry.UnknownPolicy) as fault:
        fail(str(fault))
    summaries = work.simulate(plan, Console(stderr=True))
    if plot is not None:
        work.write_picture(summaries, plan, plot)
    lines += summaries
    if json_out:
        click.echo(json.dumps([each.row() for each in lines], ensure_ascii=False, indent=2))
    else:
        Console(width=None if sys.stdout.isatty() else work.WIDTH).print(work.tables(lines, plan))


def _recorded(
    campaign: str, day: datetime, settings: Settings, target: float | None, seats: int
) -> tuple[list[Summary], list[Scenario], str]:
    """A recorded day's own line, the day as a scenario, and as changed if it is; and the law it was dialed by."""
    from campaigns.history.files import FileGone
    from dialer import recorded

    with opened_database(settings) as engine:
        try:
            found = recorded.read(engine, files_of(settings), campaign, day.date())
            switches = settings.config().switch if settings.config_file is not None else ()
            days = [recorded.scenario(found, switches)]
            if target is not None or seats:
                days.append(recorded.changed(days[0], target, seats))
        except (recorded.NoSuchDay, FileGone) as fault:
            fail(str(fault))
    return [recorded.recorded(found, days[0])], days, found.law


@main.command(
    name="virtual-switch", context_settings={"ignore_unknown_options": True, "help_option_names": []}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def virtual_switch(arguments: tuple[str, ...]) -> None:
    """Run the virtual switch by itself, to point a daemon at. `dialer virtual-switch --help` has its options."""
    from simulator.__main__ import main as simulator_main

    sys.exit(simulator_main(list(arguments)))


@main.command()
@click.option(
    "--target",
    type=click.FloatRange(0, 1),
    help="Share of answered people that may be abandoned; 0.03 by default.",
)
@click.option(
    "--mode",
    type=click.Choice(["predictive", "progressive", "ratio"]),
    help="How to dial; predictive by default.",
)
@click.option(
    "--config",
    "campaign_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A campaign file whose pacing settings hold; --target and --mode overrule it.",
)
def pace(target: float | None, mode: str | None, campaign_file: Path | None) -> None:
    """Pace another dialer: events in, decisions out.

    A filter over JSON lines, from stdin to stdout. A line each: {"t": 12.3, "seat": 7, "state": "idle"}, {"t": 12.3,
    "call": 991, "event": "dialed"}, and the question {"t": 12.3, "decide": true, "free_lines": 30}, answered at once by
    {"dial": 3, "why": {...}}.
    """
    import msgspec

    from campaigns.config import CampaignConfig
    from campaigns.config import ConfigError as CampaignError
    from campaigns.config import load as load_campaign
    from dialer.core.terms import pacing_config
    from dialer.pace import serve

    try:
        campaign = (
            load_campaign(campaign_file)
            if campaign_file is not None
            else CampaignConfig(name="filter", switch="none", mode="predictive")
        )
    except CampaignError as fault:
        fail(str(fault))
    changes = {"target": target, "mode": mode}
    campaign = msgspec.structs.replace(campaign, **{k: v for k, v in changes.items() if v is not None})
    serve(pacing_config(campaign), sys.stdin.buffer, sys.stdout.buffer)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a shell's completion script.

    Use it with eval "$(dialer completion bash)".
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        fail(f"no completion for {shell}")
    click.echo(found(main, {}, "dialer", "_DIALER_COMPLETE").source())


def wrapped(words: str, begin: str) -> str:
    """Words in lines as wide as the terminal, all as far in as `begin` is wide; one line where there is none."""
    width = get_terminal_size().columns if sys.stdout.isatty() else len(begin) + len(words) + 1
    return click.wrap_text(words, width, begin, " " * len(begin))


def new_loop(work: Any) -> Any:
    """Run a coroutine in a fresh event loop: uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
