"""The agent's page in a real browser: `python -m benchmarks.desktop [--scale S] [--json FILE]`.

Three runs. A whole shift, as `benchmarks.engine` runs it, with 200 seats of which some are pages in Chromium: from the
instant the switch's own log says that a customer answered to the instant the customer's card is painted, by the
page's own clock on the same machine. Then one page by itself against a door: what it weighs on its way, how long its
first load takes in a browser that has nothing of it, and what 500 calls leave in its memory. Then 2,000 pages, light
ones, on one door: from the instant a pop is due to the instant it is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page

from benchmarks import push, report
from benchmarks.engine import Load, shift
from benchmarks.engine import Page as LightPage
from benchmarks.report import Options, Result, percentile
from cti.app import create_app
from cti.bus import Bus
from cti.messages import CallStatus, Command, Dispose, LogIn, Ready, Reply, SeatStatus
from cti.pages import SESSION_COOKIE
from cti.server import serve
from cti.settings import WebSettings
from dialer import garbage, open_files
from tests.browser.chromium import launched

SEATS = 200
BROWSERS = 8  # of them pages in Chromium: what two cores draw beside everything else
CALLS_PER_S = 20
WARM_UP_S, MEASURED_S = (
    15.0,
    900.0,
)  # some 250 customers on the eight pages: of fewer the 99th percentile is the slowest
CALLS = 500
PAGES = 2_000
LOADS = 10
PAINTED_MS, WEIGHT_KB, LOAD_MS = 100.0, 500.0, 1_000.0
MEMORY_KB = 500.0  # that 500 calls may leave: 1 kB a call would be a leak of a day's work
SETTLED_CALLS = 50  # before memory is measured first: code and caches are there

READY = "body[data-state=ready]"

# In the page, before its own scripts: notes when its first state was on the screen and, from the pops on its socket,
# when each customer's card was. A frame is over, and what is in it drawn, when the message after its callback arrives.
WATCH = """
(() => {
  window.painted = {};
  const now = () => (performance.timeOrigin + performance.now()) / 1000;
  const after = (frame) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = frame;
    port2.postMessage(0);
  });
  const Real = window.WebSocket;
  window.WebSocket = class extends Real {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.event?.type === "screen_pop") after(() => look(frame.event));
      });
    }
  };
  function look(pop) {
    const name = document.getElementById("customer-name");
    if (name.offsetParent === null || name.textContent !== pop.customer) return after(() => look(pop));
    window.painted[pop.call_id] = now();
  }
  window.loaded = new Promise((told) => {
    function started() {
      if (!document.body || document.body.dataset.state === "starting") return after(started);
      told(performance.now());
    }
    started();
  });
})();
"""
# An agent at that page: by clicks, as soon as the page shows what to click.
WORK = """
(wrapS) => {
  let due = 0;
  setInterval(() => {
    const state = document.body.dataset.state;
    const result = document.querySelector("#results button");
    if (state === "paused") document.getElementById("ready").click();
    if (state !== "wrap_up") due = 0;
    else if (!due) due = Date.now() + wrapS * 1000 * (0.5 + Math.random());
    else if (Date.now() > due && result && !result.disabled) result.click();
  }, 100);
}
"""


# --- a whole shift ------------------------------------------------------------------------------------------


async def hold_pages(port: int, tokens: list[str], browsers: int, wrap_s: float, pipe: Connection) -> None:
    """The agents: the first ones' pages in Chromium, the others' light. Gives back when each card was painted."""
    readies = [asyncio.Event() for _ in tokens]
    read: dict[str, float] = {}

    async def light(token: str, ready: asyncio.Event) -> None:
        from websockets.asyncio.client import connect

        socket = await connect(
            f"ws://127.0.0.1:{port}/ws",
            additional_headers={"Cookie": f"{SESSION_COOKIE}={token}"},
            compression=None,
            ping_interval=None,
        )
        with contextlib.suppress(Exception):  # the daemon closes it at the end
            await LightPage(socket, read, ready).run()

    async with launched() as browser:
        pages = []
        for token in tokens[:browsers]:
            context = await with_session(browser, port, token)
            page = await context.new_page()
            await page.add_init_script(WATCH)
            await page.goto(f"http://127.0.0.1:{port}/")
            await page.evaluate(WORK, wrap_s)
            pages.append(page)
        rest = list(zip(tokens, readies, strict=True))[browsers:]
        tasks = [asyncio.create_task(light(token, ready)) for token, ready in rest]
        await asyncio.gather(*(ready.wait() for _, ready in rest))
        for page in pages:
            await page.wait_for_selector(f"{READY}, body[data-state=talking]")
        pipe.send("ready")
        while not pipe.poll():
            await asyncio.sleep(0.05)
        painted: dict[str, float] = {}
        for page in pages:
            painted |= await page.evaluate("window.painted")
        pipe.send(painted)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def pages_process(port: int, tokens: list[str], browsers: int, wrap_s: float, pipe: Connection) -> None:
    garbage.set_aside()  # agents have machines of their own: no page waits for the garbage of others
    report.run_async(lambda: hold_pages(port, tokens, browsers, wrap_s, pipe))


def painted_after(load: Load, browsers: int, folder: Path) -> list[float]:
    """From the answer to the painted card, in milliseconds, of all customers whom Chromium's pages got."""
    from simulator.switch.log import read_log

    had = shift(load, folder, pages_process, browsers, 2.0)
    answered = {r.uid.removeprefix("zdc-"): r.answered for r in read_log(had.log) if r.answered is not None}
    return sorted(
        (at - answered[call]) * 1000 for call, at in had.pages.items() if answered.get(call, 0) >= had.began
    )


# --- one page by itself -------------------------------------------------------------------------------------


class QuickEngine:
    """A seat whose customers are there, heard and gone as fast as the page takes them."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.disposed = asyncio.Event()
        bus.serve(self.answer)

    async def answer(self, command: Command) -> Reply:
        if isinstance(command, LogIn):
            self.tell(command.user_id, "paused")
        elif isinstance(command, Ready):
            self.tell(command.user_id, "ready")
        elif isinstance(command, Dispose):
            self.tell(command.user_id, "ready")
            self.disposed.set()
        return Reply(ok=True)

    def tell(self, user: int, state: str, call: str = "") -> None:
        until = time.time() + 30 if state == "wrap_up" else None
        self._bus.to_seat(SeatStatus(user_id=user, state=state, since=time.time(), call_id=call, until=until))

    async def call(self, user: int, number: int) -> None:
        """One call, from the pop to its result."""
        self.disposed.clear()
        pop = push.pop(user, number)
        self.tell(user, "connecting", pop.call_id)
        self._bus.to_seat(pop)
        self.tell(user, "talking", pop.call_id)
        for state in ("connected", "ended"):
            self._bus.to_seat(CallStatus(user_id=user, call_id=pop.call_id, state=state, at=time.time()))
        self.tell(user, "wrap_up", pop.call_id)
        async with asyncio.timeout(30):
            await self.disposed.wait()


async def with_session(browser: Browser, port: int, token: str) -> BrowserContext:
    """A browser in which this session is logged in, and of which nothing is kept."""
    context = await browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 760})
    address = f"http://127.0.0.1:{port}"
    await context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": address}])
    return context


async def loads(browser: Browser, port: int, times: int) -> tuple[list[float], float]:
    """First loads in milliseconds, from navigation to the page drawn in its state; and the heaviest, in kB."""
    took, heaviest = [], 0.0
    for _ in range(times):
        context = await with_session(browser, port, "1")
        page = await context.new_page()
        await page.add_init_script(WATCH)
        devtools = await context.new_cdp_session(page)
        sizes: list[float] = []
        devtools.on("Network.loadingFinished", lambda told: sizes.append(told["encodedDataLength"]))  # noqa: B023
        await devtools.send("Network.enable")
        await page.goto(f"http://127.0.0.1:{port}/")
        took.append(await page.evaluate("window.loaded"))
        heaviest = max(heaviest, sum(sizes) / 1000)
        await context.close()
    return sorted(took), heaviest


async def memory(browser: Browser, port: int, engine: QuickEngine, calls: int) -> tuple[float, float]:
    """What so many calls leave in a page, after its garbage is collected: kB of its heap, and nodes."""
    context = await with_session(browser, port, "1")
    page = await context.new_page()
    await page.goto(f"http://127.0.0.1:{port}/")
    await page.evaluate(WORK, 0.0)
    await page.wait_for_selector(READY)
    devtools = await context.new_cdp_session(page)
    for number in range(SETTLED_CALLS):
        await engine.call(1, number)
    before = await _in_use(page, devtools)
    for number in range(SETTLED_CALLS, SETTLED_CALLS + calls):
        await engine.call(1, number)
    after = await _in_use(page, devtools)
    await context.close()
    return (after[0] - before[0]) / 1000, after[1] - before[1]


async def _in_use(page: Page, devtools: Any) -> tuple[float, float]:
    await page.wait_for_selector(READY)
    await devtools.send("HeapProfiler.enable")
    for _ in range(3):  # what finalizers let go of goes in the next one
        await devtools.send("HeapProfiler.collectGarbage")
    heap = await devtools.send("Runtime.getHeapUsage")
    counted = await devtools.send("Memory.getDOMCounters")
    return heap["usedSize"], counted["nodes"]


async def by_itself(times: int, calls: int) -> list[Result]:
    bus = Bus()
    engine = QuickEngine(bus)
    app = create_app(bus, push.OpenAccounts(), WebSettings())
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(app, "127.0.0.1", 0, port.set_result))
    try:
        at = await port
        async with launched() as browser:
            took, weight = await loads(browser, at, times)
            heap, nodes = await memory(browser, at, engine, calls)
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)
    return [
        Result("page weight, compressed, with its first state", weight, "kB", WEIGHT_KB),
        Result("first load, p50", percentile(took, 0.5), "ms"),
        Result("first load, slowest", took[-1], "ms", LOAD_MS),
        Result(f"heap that {calls} calls leave", heap, "kB", MEMORY_KB),
        Result(f"nodes that {calls} calls leave", nodes, "", 50),
    ]


# --- many pages ---------------------------------------------------------------------------------------------


async def many(pages: int) -> list[Result]:
    bus = Bus()
    app = create_app(bus, push.OpenAccounts(), WebSettings())
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(app, "127.0.0.1", 0, port.set_result))
    try:
        found = await push.phase("", await port, bus, pages, 0, None)
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)
    return [
        Result("pages on one door, each pinging every 3 s", pages, ""),
        Result("their pop read, p50", found["p50"], "ms"),
        Result("their pop read, p99", found["p99"], "ms", push.BUDGET_MS),
        Result("their pops lost", found["lost"], "pops", 0),
        Result("door, share of a core", found["cpu"] * 100, "%"),
    ]


def measure(chosen: Options) -> list[Result]:
    """All figures at this scale."""
    scale = chosen.scale
    load = Load(
        seats=max(3, round(SEATS * scale)),
        calls_per_s=max(2, round(CALLS_PER_S * scale)),
        warm_up_s=WARM_UP_S if scale >= 1 else 2.0,
        measured_s=MEASURED_S if scale >= 1 else max(20.0, MEASURED_S * scale),
    )
    browsers = max(1, round(BROWSERS * min(1.0, scale)))
    with report.scratch("desktop") as folder:
        painted = painted_after(load, browsers, folder)
    return [
        Result("seats connected", load.seats, ""),
        Result("of them pages in Chromium", browsers, ""),
        Result("cards painted there", len(painted), "calls", 1, "at_least"),
        Result("answer to card painted, p50", percentile(painted, 0.5), "ms"),
        Result("answer to card painted, p99", percentile(painted, 0.99), "ms", PAINTED_MS),
        *report.run_async(lambda: by_itself(max(1, round(LOADS * scale)), max(20, round(CALLS * scale)))),
        *report.run_async(lambda: many(max(10, round(PAGES * scale)))),
    ]


def main() -> int:
    chosen = report.options("The agent's page in a real browser: pop to picture, weight, first load, memory.")
    open_files.take_allowed()
    return report.report("desktop", chosen, measure(chosen))


if __name__ == "__main__":
    sys.exit(main())
