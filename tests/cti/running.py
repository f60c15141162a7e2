"""A running door on a free port of the loopback, for tests and screenshots, and waiting with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, text
from starlette.applications import Starlette

from campaigns import database
from campaigns.reach import WEB, as_role, held
from campaigns.users import User, UserStore
from campaigns.vault import KEYS, Vault
from cti.accounts import StoredAccounts
from cti.app import create_app
from cti.bus import Bus
from cti.desk import Stored
from cti.gateway import Gateway
from cti.server import serve
from cti.settings import WebSettings
from tests.cti.fakes import MemoryAccounts, ScriptedEngine, identity

DEADLINE_S = 5.0
AGENT = identity()
OTHER = identity(8, "zhang", name="张伟")
SUPERVISOR = identity(9, "chen", "supervisor", name="陈静", language="en")
MANAGER = identity(11, "meng", "branch_manager", name="孟洁", campaigns=(), language="en", of_unit=None)
ADMIN = identity(10, "root", "administrator", name="Root", campaigns=(), language="zh")
PASSWORD = "correct horse"


@dataclass(slots=True)
class Door:
    """Everything around one running app."""

    app: Starlette
    bus: Bus
    engine: ScriptedEngine
    accounts: MemoryAccounts
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def gateway(self) -> Gateway:
        return self.app.state.gateway


def stored_in(db: Engine, folder: Path) -> Stored:
    """A real database, with everything else in one folder."""
    return Stored(db, folder, folder, Vault(folder / KEYS), by_pages(db))


def by_pages(db: Engine) -> Engine:
    """The same database as the pages have it."""
    url = db.url.render_as_string(hide_password=False)
    return held(database.connect(as_role(url, WEB), pool_size=2), WEB)


ENROL = text("""
INSERT INTO app_user (id, login, name, role, password_hash, campaigns, unit_id) OVERRIDING SYSTEM VALUE
SELECT :id, :login, :name, :role, '', :campaigns, id FROM unit WHERE parent_id IS NULL
ON CONFLICT DO NOTHING
""")


def enrol(db: Engine, users: Iterable[User]) -> None:
    """Have the database know those who are logged in without it."""
    with db.begin() as connection:
        for user in users:
            values = {name: getattr(user, name) for name in ("login", "name", "role")}
            values |= {"id": user.user_id, "campaigns": list(user.campaigns)}
            connection.execute(ENROL, values)


@asynccontextmanager
async def open_door(
    settings: WebSettings | None = None,
    wrap_up_s: float = 30.0,
    stored: Stored | None = None,
) -> AsyncIterator[Door]:
    """Run the app with three accounts and a scripted engine."""
    bus = Bus()
    users = (AGENT, OTHER, SUPERVISOR, MANAGER, ADMIN)
    accounts = MemoryAccounts((user, PASSWORD) for user in users)
    if stored is not None:
        enrol(stored.engine, users)
    engine = ScriptedEngine(bus, wrap_up_s)
    app = create_app(bus, accounts, settings, stored)
    async with serving(app) as port:
        yield Door(app, bus, engine, accounts, port)


@asynccontextmanager
async def open_stored(
    db: Engine, folder: Path, settings: WebSettings | None = None
) -> AsyncIterator[tuple[str, UserStore]]:
    """Run the app over the accounts of a real database; its URL, and these."""
    bus, users = Bus(), UserStore(db)
    ScriptedEngine(bus)
    accounts = StoredAccounts(users)
    try:
        async with serving(create_app(bus, accounts, settings, stored_in(db, folder))) as port:
            yield f"http://127.0.0.1:{port}", users
    finally:
        accounts.close()


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[int]:
    """Serve an app on a free port, which is given."""
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(app, "127.0.0.1", 0, port.set_result))
    try:
        await asyncio.wait({server, port}, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
        yield port.result()
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)


async def until(true: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(deadline_s):
        while not true():
            await asyncio.sleep(0.005)
