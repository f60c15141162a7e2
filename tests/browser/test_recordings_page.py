"""The page of recordings in a real browser: a sealed one is listed, its length is known, and one may jump into it."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect
from sqlalchemy import Engine

from campaigns.key_file import KeyFile
from campaigns.records import AttemptConnected
from campaigns.sealed import seal
from tests.browser.test_accessibility import clean
from tests.campaigns.world import NOON, Campaign
from tests.cti.client import cookie
from tests.cti.running import SUPERVISOR, open_door, stored_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

LENGTH_S, RATE = 600, 8_000
JUMP = """audio => new Promise((done, failed) => {
    audio.onerror = () => failed(audio.error.message);
    audio.onseeked = () => done([audio.duration, audio.currentTime]);
    audio.onloadedmetadata = () => { audio.currentTime = 500; };
    audio.load();
    audio.preload = "metadata";
})"""


async def test_one_jumps_into_a_sealed_recording(browser: Browser, db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=1, name="demo")
    [call] = campaign.dial(campaign.lease(1))
    campaign.record(AttemptConnected(at=NOON, call_id=call, user_id=1))
    plain, keys = tmp_path / f"{call}.wav", KeyFile(tmp_path / "recording-keys")
    keys.make()
    with wave.open(str(plain), "wb") as sound:
        sound.setparams((1, 2, RATE, 0, "NONE", ""))
        sound.writeframes(bytes(2 * RATE * LENGTH_S))
    seal(plain, tmp_path / f"{call}.sealed", call, keys)
    stored = replace(stored_in(db, tmp_path), recordings=tmp_path, recording_keys=keys)
    async with open_door(stored=stored) as door:
        context = await browser.new_context(extra_http_headers=await cookie(door, SUPERVISOR))
        page = await context.new_page()
        await page.goto(f"{door.url}/recordings?from=2026-11-24&to=2026-11-24")
        audio = page.locator("audio")
        await expect(audio).to_have_count(1)
        await clean(page, "recordings")
        assert await audio.evaluate(JUMP) == [LENGTH_S, 500]
        await context.close()
