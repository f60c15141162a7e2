"""A running door on a free port of the loopback, for tests and screenshots, and waiting with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from starlette.applications import Starlette

from campaigns.users import UserStore
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
    return Stored(db, folder, folder, Vault(folder / KEYS))


@asynccontextmanager
async def open_door(
    settings: WebSettings | None = None,
    wrap_up_s: float = 30.0,
    stored: Stored | None = None,
) -> AsyncIterator[Door]:
    """Run the app with three accounts and a scripted engine."""
    bus = Bus()
    accounts = MemoryAccounts((user, PASSWORD) for user in (AGENT, OTHER, SUPERVISOR, MANAGER, ADMIN))
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
