"""The daemon as operations knows it: signals, a watched folder, one data folder, a switch that talks nonsense."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from campaigns.journal_store import JournalStore
from campaigns.records import AttemptAnswered, SeatChanged
from campaigns.values import Ask
from dialer import daemon as daemon_module
from dialer.config import Config, RecordingsSection
from dialer.daemon import AlreadyRunning, Daemon, Ended
from dialer.journal import SPOOL, Spool
from dialer.live_campaigns import LiveCampaigns
from dialer.messages import Messages
from dialer.service import notify, serve_signals, watched
from simulator.scenario import Behaviour, TailsScenario
from simulator.switch.faults import GARBAGE
from simulator.switch.server import VirtualSwitch
from tests.dialer.running import CAMPAIGN, LIMIT_S, SEAT, Running, config, running
from tests.switch.scripted import ODD_EVENTS, Peer, ScriptedPeer, block

SHORT, LONG = "+8613800138001", "+8613800138008"  # leaves after 0.6 s; stays
NEWER_VERSION = """
WITH v AS (
    INSERT INTO campaign_version (campaign_id, version, text, applied_by, applied_at)
    SELECT campaign_id, 2, 'colour = 1' || chr(10) || text, 'newer', now() FROM campaign_version RETURNING version
) UPDATE campaign SET version = v.version FROM v
"""
PEOPLE = {
    "01": Behaviour(answers_after_s=0.05, leaves_after_s=0.6),
    "08": Behaviour(answers_after_s=0.05, leaves_after_s=120.0),
}


@pytest.fixture
async def switch() -> AsyncIterator[VirtualSwitch]:
    async with VirtualSwitch(TailsScenario(tails=dict(PEOPLE))) as virtual:
        yield virtual


def of(switch: VirtualSwitch, folder: str = "") -> Config:
    return config(switch.host, switch.port, switch.user, switch.secret, folder=folder)


def write(path: Path, config: Config) -> None:
    """The configuration as a dialer.toml."""
    values = msgspec.to_builtins(config)
    sections = "".join(
        f"[{name}]\n"
        + "".join(f"{key} = {toml(value)}\n" for key, value in section.items() if value is not None)
        for name, section in values.items()
        if isinstance(section, dict)  # of what may stand several times there are the switches alone
    )
    switches = "".join(
        "[[switch]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in section.items())
        for section in values["switch"]
    )
    path.write_text(sections + switches, "utf-8")


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
    return msgspec.json.encode(value).decode()


async def complaints(
    here: Running, said: list[MutableMapping[str, Any]], count: int
) -> list[MutableMapping[str, Any]]:
    """Wait until a new config was refused so often; what was logged of it."""

    def found() -> list[MutableMapping[str, Any]]:
        return [line for line in said if line["event"].startswith("the new config was refused")]

    await here.until(lambda: len(found()) == count)
    return found()


# --- signals -----------------------------------------------------------------------------------------------------


async def test_sighup_takes_new_limits_at_once_and_says_what_needs_a_restart(
    switch: VirtualSwitch, tmp_path: Path
) -> None:
    given, file = of(switch), tmp_path / "dialer.toml"
    async with running(given, tmp_path / "data") as here:
        with serve_signals(here.daemon, file), capture_logs() as said:
            section = msgspec.structs.replace(
                given.switch[0], max_lines=7, calls_per_s=3.0, trunk="PJSIP/{number}@other"
            )
            engine = msgspec.structs.replace(given.engine, drain_limit_s=5.0, name="engine-2")
            web = msgspec.structs.replace(given.web, default_language="en")
            sounds = RecordingsSection(folder=str(tmp_path))
            wanted = msgspec.structs.replace(
                given, switch=(section,), engine=engine, web=web, recordings=sounds
            )
            write(file, wanted)
            signal.raise_signal(signal.SIGHUP)
            lines = here.engine.core.switches["main"]
            await here.until(lambda: lines.max_lines == 7)
            assert (lines.calls_per_s, lines.trunk) == (3.0, "PJSIP/{number}@other")
            [told] = [line for line in said if line["event"] == "the config was read again"]
            assert told["needs_restart"] == ["engine.name", "web", "recordings"]


async def test_sighup_with_a_wrong_file_leaves_the_last_good_one(
    switch: VirtualSwitch, tmp_path: Path
) -> None:
    given, file = of(switch), tmp_path / "dialer.toml"
    async with running(given, tmp_path / "data") as here:
        with serve_signals(here.daemon, file), capture_logs() as said:
            write(file, given)
            file.write_text(file.read_text("utf-8").replace("max_lines = 100", "max_lines = 0"), "utf-8")
            signal.raise_signal(signal.SIGHUP)
            refused = await complaints(here, said, 1)
            assert refused[0]["log_level"] == "error" and str(file) in refused[0]["reason"]
            assert "max_lines: must be at least 1" in refused[0]["reason"]
            assert here.engine.core.switches["main"].max_lines == given.switch[0].max_lines
            file.unlink()
            signal.raise_signal(signal.SIGHUP)
            refused = await complaints(here, said, 2)
            assert "can't be read" in refused[1]["reason"] and not here.task.done()


async def test_sigterm_without_calls_ends_at_once_and_leaves_nothing_leased(
    switch: VirtualSwitch, tmp_path: Path
) -> None:
    async with running(of(switch), tmp_path / "data") as here:
        here.campaign(CAMPAIGN)
        with serve_signals(here.daemon, None):
            signal.raise_signal(signal.SIGTERM)
            began = monotonic()
            await here.ended()
            assert monotonic() - began < 5.0
        assert here.rows("SELECT count(*) FROM lead WHERE lease IS NOT NULL") == [(0,)]


async def test_sigterm_lets_the_call_finish_and_dials_no_other(switch: VirtualSwitch, tmp_path: Path) -> None:
    async with running(of(switch), tmp_path / "data") as here:
        here.campaign(CAMPAIGN, SHORT, LONG)
        with serve_signals(here.daemon, None):
            await here.seat()
            await here.connected()
            signal.raise_signal(signal.SIGTERM)
            await here.ended()
        assert here.rows("SELECT outcome, ended_at > connected_at + interval '0.3 s' FROM attempt") == [
            ("connected", True)
        ]
        assert here.rows("SELECT count(*) FROM lead WHERE lease IS NOT NULL") == [(0,)]
        assert [call.ended_by for call in switch.log.calls if call.uid.startswith("zdc-")] == ["far_end"]


async def test_a_second_sigterm_cuts_the_call_short_and_it_is_on_record(
    switch: VirtualSwitch, tmp_path: Path
) -> None:
    async with running(of(switch), tmp_path / "data") as here:
        here.campaign(CAMPAIGN, LONG)
        with serve_signals(here.daemon, None):
            await here.seat()
            await here.connected()
            signal.raise_signal(signal.SIGTERM)
            await here.until(lambda: here.engine.core.draining)
            signal.raise_signal(signal.SIGTERM)
            await here.ended()
        assert here.rows("SELECT outcome, ended_at IS NOT NULL FROM attempt") == [("connected", True)]
        assert not switch.exchange.by_uid


async def test_a_message_that_is_on_its_way_keeps_no_other_engine_from_the_switches(
    switch: VirtualSwitch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = asyncio.Event()

    async def run(messages: Messages) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await answered.wait()  # as for a mail server that is slow

    monkeypatch.setattr(Messages, "run", run)
    async with running(of(switch), tmp_path / "data") as here:
        held = "SELECT count(*) FROM switch_lease WHERE until > '-infinity'"  # it would run out by itself
        assert here.rows(held) == [(1,)]
        here.daemon.stop()
        try:
            await here.until(lambda: here.rows(held) == [(0,)])
        finally:
            answered.set()
        await here.ended()


def test_a_thread_that_waits_for_a_database_that_hangs_keeps_no_process_from_its_end() -> None:
    """All is on record by then; systemd would wait for as long as calls may take to end, and so would a restart."""
    program = """
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from dialer.service import end_within
ThreadPoolExecutor(1).submit(Event().wait)
end_within(0.2, 3)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], check=False, timeout=LIMIT_S, capture_output=True, text=True
    )
    assert ended.returncode == 3 and "the database does not answer" in ended.stdout + ended.stderr


def test_systemd_is_told_where_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")  # nobody listens
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("STOPPING=1")
        assert sock.recv(100) == b"STOPPING=1"


async def test_sigterm_is_heard_and_the_watchdog_told_again_where_systemd_can_not_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    asked = asyncio.Event()
    daemon: Any = SimpleNamespace(stop=lambda limit_s: asked.set())
    watch = asyncio.create_task(watched())
    with capture_logs() as said, serve_signals(daemon, None):
        signal.raise_signal(signal.SIGTERM)
        async with asyncio.timeout(LIMIT_S):
            await asked.wait()
            while sum(line.get("state") == "WATCHDOG=1" for line in said) < 2:
                await asyncio.sleep(0.001)
    assert not watch.done() and any(line.get("state") == "STOPPING=1" for line in said)
    watch.cancel()


async def test_an_engine_that_is_stopped_together_with_its_heir_drains_for_its_limit_in_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr(daemon_module, "monotonic", lambda: now)
    here = Daemon(config("127.0.0.1", 1, "z", "s", url="none"), tmp_path)
    heirs = [SimpleNamespace(name="b"), None]
    here.stop(120.0)

    class Ringing:
        """Of a call that rings for as long as it may."""

        async def hand_over(self, limit_s: Callable[[], float]) -> None:
            nonlocal now
            assert limit_s() == 120.0
            now += 100.0

        async def drain(self, limit_s: Callable[[], float]) -> None:
            assert limit_s() == 20.0
            here.stop(0.0)  # a second SIGTERM
            assert limit_s() <= 0.0

    class Leases:
        async def heir(self) -> SimpleNamespace | None:
            return heirs.pop(0)

    engine: Any = Ringing()
    tenure: Any = Leases()
    await here._wind_down(engine, tenure)
    assert not heirs


async def test_a_part_that_returns_by_itself_ends_the_daemon_by_its_name(
    switch: VirtualSwitch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What started the daemon starts it anew after a fault, and only then."""
    over = asyncio.Event()

    async def returns(self: LiveCampaigns) -> None:
        await over.wait()

    monkeypatch.setattr(LiveCampaigns, "run", returns)
    with pytest.raises(Ended, match="campaigns"):
        async with running(of(switch), tmp_path / "data") as here:
            over.set()
            await here.ended()


async def test_the_watchdog_hears_that_the_loop_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    await watched()  # there is none
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    await watched()  # it is another's
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        watch = asyncio.create_task(watched())
        loop = asyncio.get_running_loop()
        said = [await loop.sock_recv(sock, 100) for _ in range(3)]
        watch.cancel()
    assert said == [b"WATCHDOG=1"] * 3


# --- one data folder ---------------------------------------------------------------------------------------------


async def test_a_second_daemon_on_a_data_folder_is_refused_and_the_first_goes_on(
    switch: VirtualSwitch, tmp_path: Path
) -> None:
    async with running(of(switch), tmp_path / "data") as here:
        assert (tmp_path / "data" / "daemon.lock").read_text() == str(os.getpid())
        with pytest.raises(
            AlreadyRunning, match=r"another dialer runs on .*data; give --data another folder"
        ):
            await Daemon(of(switch), tmp_path / "data").run()
        assert not here.task.done()
        here.daemon.stop(0.0)
        await here.ended()
    async with running(of(switch), tmp_path / "data"):
        pass  # the folder is free again


async def test_what_the_last_run_had_in_its_spool_is_known_of_its_calls_before_they_are_judged(
    switch: VirtualSwitch, tmp_path: Path
) -> None:
    """The database went away, then the engine: that the customer had answered is in the spool alone."""
    given = of(switch)
    async with running(given, tmp_path / "data") as here:
        here.campaign(CAMPAIGN, LONG)
        await here.until(lambda: "spring" in here.engine.core.campaigns)
        source, now = here.engine.hopper.source, datetime.now(UTC)
        (lead,) = source.lease(here.engine.core.campaigns["spring"].id, 1, now)
        source.authorize([Ask(lead.call_id, "main")], now)
        last = JournalStore(here.db, given.engine.name).last_serial()
    answered = AttemptAnswered(at=now, call_id=lead.call_id)
    Spool(tmp_path / "data" / "spool" / given.engine.name / SPOOL).append([(last + 1_000, answered)])
    async with running(given, tmp_path / "data") as here:
        await here.until(lambda: here.rows("SELECT FROM attempt WHERE outcome IS NOT NULL"))
        assert here.rows("SELECT outcome FROM attempt") == [("abandoned",)]


async def test_the_seats_of_the_last_run_are_at_work_no_longer(switch: VirtualSwitch, tmp_path: Path) -> None:
    """It died, and its agents went home: no report may have them ready all night."""
    given = of(switch)
    async with running(given, tmp_path / "data") as here:
        last = JournalStore(here.db, given.engine.name).last_serial()
    ready = SeatChanged(at=datetime.now(UTC), user_id=SEAT, session_id="s", state="ready")
    Spool(tmp_path / "data" / "spool" / given.engine.name / SPOOL).append([(last + 1_000, ready)])
    async with running(given, tmp_path / "data") as here:
        await here.until(lambda: len(here.rows("SELECT FROM seat_log")) == 2)
        assert here.rows("SELECT state FROM seat_log ORDER BY at, id") == [("ready",), ("offline",)]


# --- the watched folder ------------------------------------------------------------------------------------------


async def test_a_campaigns_changed_file_takes_effect_within_two_seconds(
    switch: VirtualSwitch, tmp_path: Path
) -> None:
    folder = tmp_path / "campaigns"
    folder.mkdir()
    async with running(of(switch, str(folder)), tmp_path / "data") as here:
        campaigns = here.engine.core.campaigns
        file = folder / "spring.toml"
        for ratio in (2.0, 3.0):
            written = monotonic()
            file.write_text(f'mode = "ratio"\nratio = {ratio}\n{CAMPAIGN}', "utf-8")
            await here.until(
                lambda ratio=ratio: "spring" in campaigns and campaigns["spring"].config.ratio == ratio
            )
            assert monotonic() - written < 2.0
        rows = here.rows("SELECT version, applied_by FROM campaign_version ORDER BY version")
        assert rows == [(1, "folder"), (2, "folder")]


async def test_a_shadow_comes_and_goes_with_its_table_within_two_seconds(
    switch: VirtualSwitch, tmp_path: Path
) -> None:
    folder = tmp_path / "campaigns"
    folder.mkdir()
    async with running(of(switch, str(folder)), tmp_path / "data") as here:
        campaigns = here.engine.core.campaigns
        file, bound = folder / "spring.toml", 'zhudong_shadow_bound{bound="no_seats",campaign="spring"}'
        for table, shadowed in (('[shadow]\nmode = "predictive"\n', True), ("", False)):
            written = monotonic()
            file.write_text(f"{CAMPAIGN}\n{table}", "utf-8")
            await here.until(
                lambda shadowed=shadowed: (
                    "spring" in campaigns and (campaigns["spring"].config.shadow is not None) == shadowed
                )
            )
            assert monotonic() - written < 2.0
            await here.until_metrics(lambda found, shadowed=shadowed: (bound in found) == shadowed)


async def test_an_invalid_file_leaves_the_last_good_version_and_shows_in_the_metric(
    switch: VirtualSwitch, tmp_path: Path
) -> None:
    folder = tmp_path / "campaigns"
    folder.mkdir()
    file, odd = folder / "spring.toml", folder / "odd.toml"
    valid = 'zhudong_config_valid{file="spring.toml"}'
    file.write_text(CAMPAIGN, "utf-8")
    async with running(of(switch, str(folder)), tmp_path / "data") as here:
        await here.until_metrics(lambda m: m.get(valid) == 1)
        with capture_logs() as said:
            file.write_text(CAMPAIGN.replace('name = "spring"', 'name = "spring"\nratio = 99.0'), "utf-8")
            odd.write_bytes(b"\xff\xfe")
            found = await here.until_metrics(lambda m: m.get(valid) == 0)
            assert here.engine.core.campaigns["spring"].config.ratio == 1.5
            assert here.engine.core.campaigns["spring"].config.running
            await here.until_metrics(lambda m: m.get('zhudong_config_valid{file="odd.toml"}') == 0)
            # A file that is new after that: once it is taken, there was another look at the others as well.
            (folder / "zz.toml").write_text(CAMPAIGN.replace('name = "spring"', 'name = "summer"'), "utf-8")
            await here.until_metrics(lambda m: m.get('zhudong_config_valid{file="zz.toml"}') == 1)
        told = [line for line in said if line["event"].startswith("a campaign file was refused")]
        assert sorted(Path(line["file"]).name for line in told) == ["odd.toml", "spring.toml"]  # once each
        assert any("ratio: must be between 1 and 15" in line["reason"] for line in told)
        assert found["zhudong_database_up"] == 1
        file.write_text(CAMPAIGN + "\n", "utf-8")
        await here.until_metrics(lambda m: m.get(valid) == 1)
        odd.unlink()  # what is not there any more is not wrong any more
        await here.until_metrics(lambda m: 'zhudong_config_valid{file="odd.toml"}' not in m)


async def test_a_version_that_this_program_can_not_read_stops_its_campaign_and_not_the_daemon(
    switch: VirtualSwitch, tmp_path: Path
) -> None:
    """A newer program may have applied it: the others go on, it is told once, and a good version mends it."""
    valid = 'zhudong_config_valid{file="spring"}'
    async with running(of(switch), tmp_path / "data") as here:
        with capture_logs() as said:
            here.campaign(CAMPAIGN, LONG)
            campaigns = here.engine.core.campaigns
            await here.until(lambda: "spring" in campaigns)
            with here.db.begin() as connection:
                connection.execute(text(NEWER_VERSION))
            await here.until_metrics(lambda m: m.get(valid) == 0)
            assert not campaigns["spring"].config.running
            here.campaign(CAMPAIGN.replace("spring", "autumn"))
            await here.until(lambda: "autumn" in campaigns)
            [told] = [line for line in said if line["event"].startswith("a campaign's version can't be read")]
            assert told["campaign"] == "spring" and told["log_level"] == "error"
            assert told["reason"] == "campaign spring, version 2: Object contains unknown field `colour`"
            here.campaign(CAMPAIGN.replace("running", "ratio = 2.0\nrunning"))
            await here.until(lambda: campaigns["spring"].config.ratio == 2.0)
            assert campaigns["spring"].config.running
            await here.until_metrics(lambda m: m.get(valid) == 1)


async def test_a_version_that_can_not_be_read_at_the_start_stops_its_campaign_and_not_the_daemon(
    switch: VirtualSwitch, tmp_path: Path
) -> None:
    given = of(switch)
    async with running(given, tmp_path / "data") as here:
        here.campaign(CAMPAIGN)
        here.campaign(CAMPAIGN.replace("spring", "autumn"))
        with here.db.begin() as connection:
            connection.execute(text(NEWER_VERSION + " WHERE name = 'spring'"))
    with capture_logs() as said:
        async with running(given, tmp_path / "data") as here:
            await here.until(lambda: set(here.engine.core.campaigns) == {"autumn"})
            await here.until_metrics(lambda m: m.get('zhudong_config_valid{file="spring"}') == 0)
    [told] = [line for line in said if line["event"].startswith("a campaign's version can't be read")]
    assert told["campaign"] == "spring" and "unknown field `colour`" in told["reason"]


# --- a switch that talks nonsense --------------------------------------------------------------------------------


async def test_a_hostile_stream_costs_a_counter_and_not_the_daemon(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def hostile(peer: Peer) -> None:
        await peer.resync()
        for garbage in GARBAGE.values():
            peer.say(garbage)
        for headers in ODD_EVENTS:
            peer.say(block(headers))
        for n in range(200):
            peer.event("Newchannel", Uniqueid=f"zdc-{n:032x}", Channel="PJSIP/stranger")
        serving = asyncio.create_task(peer.serve())
        await go_on.wait()
        serving.cancel()

    async with (
        ScriptedPeer(hostile) as peer,
        running(config("127.0.0.1", peer.port, "dialer", "s"), tmp_path / "d") as here,
    ):
        bad = 'zhudong_ami_faults_total{fault="%s",switch="main"}'
        faults = [bad % fault for fault in ("too_long", "undecodable", "garbled")]
        await here.until_metrics(lambda m: all(m.get(fault, 0) >= 1 for fault in faults))
        found = await here.until_metrics(lambda m: m.get('zhudong_switch_up{switch="main"}') == 1)
        found = await here.until_metrics(
            lambda m: m.get('zhudong_anomalies_total{anomaly="unknown_channel"}') == 200
        )
        assert not any(
            value for name, value in found.items() if name.startswith("zhudong_invariant_breaches_total")
        )
        assert len(peer.peers) == 1 and not here.task.done()
        async with asyncio.timeout(LIMIT_S):
            while (
                peer.peers[0].names.count("Hangup") < 200
            ):  # channels of ours that nobody asked for are hung up
                await asyncio.sleep(0.02)
        go_on.set()


async def test_one_switch_of_two_is_away_and_calls_go_on_over_the_other(
    switch: VirtualSwitch, tmp_path: Path
) -> None:
    given = of(switch)
    away = msgspec.structs.replace(given.switch[0], name="away", port=1)
    async with running(
        msgspec.structs.replace(given, switch=(away, *given.switch)), tmp_path / "data"
    ) as here:
        here.campaign(CAMPAIGN, LONG)
        await here.until_metrics(lambda m: m.get('zhudong_switch_up{switch="main"}') == 1)
        await here.seat()
        await here.connected()
        assert (await here.metrics())['zhudong_switch_up{switch="away"}'] == 0
