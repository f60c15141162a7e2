"""TLS to the switch, to the database and to the pages: who proves to be the one that is meant is spoken to."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import trustme
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from campaigns import database
from cti.server import serve
from dialer.certificates import SSL_REQUEST, Certificates, believed, in_use, remote
from dialer.check import Step, check_switch
from dialer.config import Config, ConfigError, DatabaseSection, SwitchSection, WebSection, parse
from dialer.doctor import _encryption, stored
from dialer.metrics import Metrics
from dialer.switch.asterisk import AsteriskSwitch
from dialer.switch.port import LinkUp
from simulator.scenario import TailsScenario
from simulator.switch.server import SECRET, USER, VirtualSwitch
from tests.cti.running import open_door
from tests.database import server
from tests.switch.scripted import Ear

NAME = "localhost"


class Authority:
    """An authority in memory, and the files that it makes."""

    def __init__(self, folder: Path) -> None:
        self.made = trustme.CA()
        self.folder = folder
        self.ca = folder / f"ca-{id(self)}.pem"
        self.made.cert_pem.write_to_path(self.ca)

    def files(self, name: str = NAME, days: int = 30) -> tuple[Path, Path]:
        """A certificate with its key, for a name and so many days."""
        issued = self.made.issue_cert(name, not_after=datetime.now(UTC) + timedelta(days=days))
        certificate, key = self.folder / f"{name}-{days}.pem", self.folder / f"{name}-{days}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return certificate, key

    def shown(self, name: str = NAME, days: int = 30) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files(name, days))
        return context


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    folder = Path(tempfile.mkdtemp(prefix="zhudong-tls-"))
    yield Authority(folder)
    shutil.rmtree(folder, ignore_errors=True)


def section(port: int, ca: Path | None, tls: bool = True) -> SwitchSection:
    return SwitchSection(
        name="main", host=NAME, port=port, user=USER, secret=SECRET, tls=tls, ca=str(ca or "")
    )


async def test_a_switch_is_spoken_to_over_tls_and_tells_until_when(authority: Authority) -> None:
    async with VirtualSwitch(TailsScenario(), host=NAME, tls=authority.shown(days=9)) as virtual:
        at = section(virtual.port, authority.ca)
        steps = await check_switch(at)
        assert all(step.ok for step in steps), steps
        assert steps[0].detail.endswith("TLS")
        switch, ear = AsteriskSwitch("main", at.host, at.port, at.user, at.secret, believed(at)), Ear()
        running = asyncio.create_task(switch.run(ear))
        await ear.hears(LinkUp)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        config = Config(switch=(at,))
        ((name, until),) = in_use(config)
        left = await asyncio.to_thread(until) - datetime.now(UTC)
        assert name == "switch main" and timedelta(days=8) < left < timedelta(days=9)
        metrics = Metrics()
        looking = asyncio.create_task(Certificates(config, metrics).run())
        async with asyncio.timeout(30):
            while not metrics.certificate_expires._metrics:
                await asyncio.sleep(0.01)
        looking.cancel()


async def test_another_name_another_authority_an_old_certificate_and_no_tls_are_refused(
    authority: Authority,
) -> None:
    another = Authority(authority.folder)
    tries = [
        (authority.shown("pbx.example"), authority.ca, True, "not believed (Hostname mismatch"),
        (authority.shown(), another.ca, True, "not believed (unable to get local issuer"),
        (authority.shown(), None, True, "not believed ("),
        (authority.shown(days=-1), authority.ca, True, "not believed (certificate has expired"),
        (None, authority.ca, True, "does not speak TLS"),
    ]
    for shown, ca, tls, said in tries:
        async with VirtualSwitch(TailsScenario(), host=NAME, tls=shown) as virtual:
            (step,) = await check_switch(section(virtual.port, ca, tls))
            assert not step.ok and said in step.detail, step


async def test_the_pages_are_served_over_https_and_show_a_renewed_certificate(authority: Authority) -> None:
    certificate, key = authority.files(days=20)
    web = WebSection(certificate=str(certificate), key=str(key))
    config = Config(switch=(section(1, None, tls=False),), web=web)
    certificates = Certificates(config, Metrics())
    ports: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with open_door() as door:
        served = asyncio.create_task(
            serve(door.app, "127.0.0.1", 0, ports.set_result, tls=certificates.pages)
        )
        port = await ports
        trust = ssl.create_default_context(cafile=str(authority.ca))
        async with httpx2.AsyncClient(verify=trust, base_url=f"https://{NAME}:{port}") as client:
            assert (await client.get("/healthz")).status_code == 200
        newer, newer_key = authority.files(days=90)
        newer.replace(certificate)
        newer_key.replace(key)
        certificates.renew()
        _, writer = await asyncio.open_connection(NAME, port, ssl=trust)
        until = ssl.cert_time_to_seconds(writer.get_extra_info("peercert")["notAfter"])
        assert until > (datetime.now(UTC) + timedelta(days=80)).timestamp()
        writer.close()
        certificate.write_text("no certificate")
        with capture_logs() as said:
            certificates.renew()
        assert [line["event"] for line in said] == ["the pages' certificate was not renewed"]
        _, writer = await asyncio.open_connection(NAME, port, ssl=trust)
        writer.close()
        served.cancel()
        await asyncio.gather(served, return_exceptions=True)


@pytest.fixture
async def encrypted(authority: Authority) -> AsyncIterator[int]:
    """The tests' PostgreSQL, which was built without TLS, behind one who speaks it for it; the port."""
    home = str(make_url(server()).query["host"])
    shown, lines = authority.shown(), set[asyncio.Task[None]]()

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while some := await source.read(65_536):
                sink.write(some)
        sink.close()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(8) != SSL_REQUEST:
            writer.close()
            return
        writer.write(b"S")
        with contextlib.suppress(OSError):
            await writer.start_tls(shown)
            theirs, ours = await asyncio.open_unix_connection(f"{home}/.s.PGSQL.5432")
            for pair in ((reader, ours), (theirs, writer)):
                lines.add(asyncio.create_task(carry(*pair)))

    listener = await asyncio.start_server(take, NAME, 0)
    yield listener.sockets[0].getsockname()[1]
    listener.close()
    for line in lines:
        line.cancel()
    await asyncio.gather(*lines, return_exceptions=True)


async def test_the_database_is_the_one_that_is_meant(
    authority: Authority, encrypted: int, tmp_path: Path
) -> None:
    another = Authority(authority.folder)

    def config(mode: str, ca: Path) -> Config:
        url = f"postgresql://postgres@{NAME}:{encrypted}/postgres?sslmode={mode}&sslrootcert={ca}"
        return Config(switch=(section(1, None, tls=False),), database=DatabaseSection(url=url))

    def connection(mode: str, ca: Path) -> Step:
        return stored(config(mode, ca), tmp_path)["database"][0]

    def encryption(mode: str) -> Step:
        engine = database.connect(config(mode, authority.ca).database.url, pool_size=1)
        try:
            return _encryption(engine, mode)
        finally:
            engine.dispose()

    refused = await asyncio.to_thread(connection, "verify-full", another.ca)
    assert not refused.ok and "certificate verify failed" in refused.detail
    assert (await asyncio.to_thread(connection, "verify-full", authority.ca)).ok
    assert (await asyncio.to_thread(encryption, "verify-full")).ok
    believes_anybody = await asyncio.to_thread(encryption, "require")
    assert not believes_anybody.ok and "TLS" in believes_anybody.detail
    ((name, until),) = in_use(config("verify-full", authority.ca))
    assert name == "database" and await asyncio.to_thread(until) > datetime.now(UTC)
    away = "postgresql://zhudong@db.example/zhudong"
    assert remote(DatabaseSection(url=away)) and not remote(config("require", authority.ca).database)
    two = "postgresql://zhudong@/zhudong?host=db1.example:5433&host=db2.example&sslmode=require"
    assert remote(DatabaseSection(url=two))
    both = Config(switch=(section(1, None, tls=False),), database=DatabaseSection(url=two))
    assert [name for name, _ in in_use(both)] == ["database db1.example", "database db2.example"]
    assert not remote(DatabaseSection(url="postgresql://zhudong@/zhudong?host=/run/one&host=/run/two"))


def test_what_makes_no_sense_is_refused() -> None:
    base = '[[switch]]\nname = "main"\nhost = "h"\nuser = "u"\nsecret = "s"\n'
    with pytest.raises(ConfigError, match=r"switch\[0\].ca: says nothing without tls"):
        parse(base + 'ca = "x.pem"\n', "x")
    with pytest.raises(ConfigError, match=r"web.certificate: needs a key"):
        parse(base + '[web]\ncertificate = "x.pem"\n', "x")
