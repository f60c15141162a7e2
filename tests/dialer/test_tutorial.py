"""The tutorial, line by line in a shell as it stands, with an agent at the page where its reader is one."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dialer.pair import free_ports
from tests.contract.agent import Agent

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
PASSWORD = "tutorial-of-zhudong"
DONE = "the block is done:"
LONGEST_S = 120.0


class Shell:
    """A reader's terminal: blocks go in, what they say comes out."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def does(self, block: str) -> str:
        """Run a block; returns what it said. Each of its lines must do."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{block}\necho '{DONE}' $?\n".encode())
        said = ""
        async with asyncio.timeout(LONGEST_S):
            while not said.rpartition("\n")[2].startswith(DONE):
                line = (await self._process.stdout.readline()).decode()
                assert line, f"the shell ended at:\n{block}\n{said}"
                said += line.rstrip("\n") if line.startswith(DONE) else line
        assert said.endswith(" 0"), f"{block}\n{said}"
        return said.rpartition(DONE)[0]


@pytest.fixture
def home() -> Iterator[Path]:
    """Where the database's own user may go, too; pytest shuts others out of its folders."""
    found = Path(tempfile.mkdtemp(prefix="zhudong-tutorial-"))
    yield found
    shutil.rmtree(found, ignore_errors=True)


def with_free_ports(page: str) -> tuple[str, int]:
    """The page with ports that nobody has here, and that of the web."""
    free = free_ports(
        random.randrange(10_000, 19_000)
    )  # not the first free ones: another test may be starting
    web = next(free)
    for port, instead in (("8080", web), ("9464", next(free)), ("4573", next(free)), ("5038", next(free))):
        page = re.sub(rf"\b{port}\b", str(instead), page)
    return page.replace("dialer top --once", "dialer top --once --url http://127.0.0.1:$METRICS/metrics"), web


@pytest.mark.slow
@pytest.mark.timeout(600)  # none of what it waits for takes long, but the machine may do other things
async def test_the_tutorial_works_as_it_stands(home: Path) -> None:
    page, web = with_free_ports(PAGE)
    [metrics] = re.findall(r"\[metrics\]\nport = (\d+)", page)
    before, _, after = page.partition("## 7. Take calls")
    assert after
    process = await asyncio.create_subprocess_exec(
        "bash", cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=STDOUT, start_new_session=True,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "METRICS": metrics},
    )  # fmt: skip
    shell = Shell(process)
    try:
        await shell.does("set -em; trap 'kill -9 $(jobs -p) 2>/dev/null' EXIT")
        first, *blocks = BLOCK.findall(before)
        assert first.startswith("make setup\n. .venv/bin/activate\n")  # which made what this test runs in
        await shell.does(first.replace("make setup\n. .venv", f". {Path(sys.executable).parents[1]}"))
        said = [await shell.does(block) for block in blocks]
        assert "FAILED" not in said[1] and said[1].count("  ok  ") > 5
        assert any("100" in each and "rejected" in each for each in said)
        async with Agent(f"http://127.0.0.1:{web}", "lina", PASSWORD) as lina:
            await lina.work()
            pop = await lina.connected(LONGEST_S)
            assert pop["customer"].startswith("Customer ")
            with suppress(AssertionError):  # the customer may have hung up
                await lina.do("hang_up", call_id=pop["call_id"])
            await lina.until("wrap-up", lambda: lina.state == "wrap_up", LONGEST_S)
            await lina.dispose("sold", "the tutorial's first")
            await lina.do("pause")
        *lines, doctor = BLOCK.findall(after)[0].splitlines()
        top, calls, _ = [await shell.does(line) for line in lines]
        assert "spring" in top and "sold" in calls
        found = await shell.does(f"{doctor} || true")  # root's data folder is open, as the page says
        assert "ok      spring: version 1, running, on switch virtual" in found, found
        await shell.does(BLOCK.findall(after)[1])
    finally:
        with suppress(ConnectionError, RuntimeError):
            assert process.stdin is not None
            process.stdin.write(b"set +e; kill -9 $(jobs -p); exit\n")
            process.stdin.close()
        await process.wait()
