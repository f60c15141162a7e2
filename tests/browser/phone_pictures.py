"""Pictures of the phone in the page, in both languages: `python -m tests.browser.phone_pictures [FOLDER]`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser

from tests.browser.chromium import launched
from tests.browser.screenshots import IMAGES, SIZE
from tests.browser.test_softphone import NO_MICROPHONE
from tests.contract.house import PASSWORD, House
from tests.rig.asterisk import AsteriskRig
from tests.rig.place import HOW, find

LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}


async def pictures(
    browser: Browser, house: House, language: str, folder: Path, scheme: str = "light"
) -> None:
    """The choice, the panel, muted in a call, and a browser that gives no microphone."""
    suffix = language if scheme == "light" else f"{language}-{scheme}"
    context = await browser.new_context(
        viewport={"width": SIZE[0], "height": SIZE[1]},
        locale=LANGUAGES[language],
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = await context.new_page()
    await page.goto(f"http://127.0.0.1:{house.web}/login")
    await page.click(f"button[value={language}]")
    await page.fill("[name=login]", "lina")
    await page.fill("[name=password]", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[data-state=offline]")
    await page.screenshot(path=folder / f"phone-choice-{suffix}.png")
    await page.keyboard.press("l")
    await page.wait_for_selector("[data-state=paused]")
    await page.wait_for_selector("#phone-open[data-word=good]")
    await page.click("#phone-open")
    await page.click("#echo")
    await page.wait_for_selector("#echo[aria-pressed=true]")
    await page.screenshot(path=folder / f"phone-panel-{suffix}.png")
    await page.keyboard.press("Escape")
    await page.keyboard.press("r")
    await page.wait_for_selector("[data-state=talking]")
    await page.keyboard.press("m")
    await page.wait_for_selector("#mute[aria-pressed=true]")
    await page.screenshot(path=folder / f"phone-muted-{suffix}.png")
    await page.click("#hang-up")
    await page.wait_for_selector("[data-state=wrap_up]")
    await page.keyboard.press("1")
    await page.wait_for_selector("[data-state=ready], [data-state=talking]")
    await page.click("#log-out button")
    await context.add_init_script(NO_MICROPHONE)
    await page.wait_for_selector("[name=login]")
    await page.fill("[name=login]", "lina")
    await page.fill("[name=password]", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[data-word=problem]")
    await page.screenshot(path=folder / f"phone-problem-{suffix}.png")
    await context.close()


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    installed = find()
    if installed is None:
        raise SystemExit(HOW)
    with AsteriskRig(installed) as rig, tempfile.TemporaryDirectory() as data:
        house = House(rig, Path(data))
        house.campaign(["13"] * 8)
        house.person("lina", "seat001")
        await house.start()
        async with launched() as browser:
            for language, scheme in (("en", "light"), ("zh", "light"), ("zh", "dark")):
                await pictures(browser, house, language, folder, scheme)
        await house.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES))
