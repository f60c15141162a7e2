"""What a real Asterisk writes of a call: sealed once the call is over, and played then; nothing of it is left plain."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from campaigns.key_file import KeyFile
from campaigns.people import People
from campaigns.recordings import QUIET
from campaigns.users import UserStore
from dialer.metrics import Metrics
from dialer.sealing import Sealing
from tests.contract.house import House
from tests.contract.switches import calls_over
from tests.loopback import http_client
from tests.rig.asterisk import AsteriskRig

LIMIT_S = 30.0
HEADER = 44  # of a WAV file as Asterisk writes it
SOME = 160  # bytes of sound, 10 ms

pytestmark = pytest.mark.asterisk


async def test_what_mixmonitor_writes_is_sealed_and_played_and_nothing_is_left(
    asterisk_rig: AsteriskRig, tmp_path: Path
) -> None:
    folder, keys = asterisk_rig.recordings, KeyFile(tmp_path / "recording-keys")
    keys.make()
    house = House(asterisk_rig, tmp_path)
    with (tmp_path / "dialer.toml").open("a") as file:
        file.write(f'[recordings]\nfolder = "{folder}"\nkeys = "{keys.path}"\n')
    house.campaign(["13"], "record = true")
    sealing = Sealing(house.db, folder, keys, Metrics())
    others = {*folder.parent.rglob("*")}  # other calls on this switch, in which the same is said

    def later() -> datetime:
        """As far as the last written byte tells, the call may be over."""
        return datetime.now(UTC) + QUIET + timedelta(seconds=5)

    try:
        await house.start()
        lina = await house.working("lina", "seat001")
        pop = await lina.connected()
        call = pop["call_id"]
        plain, sealed = folder / f"{call}.wav", folder / f"{call}.sealed"
        await until("it is written", lambda: plain.exists() and plain.stat().st_size > 16_000)
        assert await sealing.look(later()) == 0 and plain.exists() and not sealed.exists()
        await lina.do("record", call_id=call, on=False)
        await lina.until("paused", lambda: lina.call is not None and lina.call["recording"] == "paused")
        before = plain.stat().st_size
        await until("silence is written", lambda: plain.stat().st_size > before + 8_000)
        assert await sealing.look(later()) == 0 and plain.exists() and not sealed.exists()
        await lina.do("record", call_id=call, on=True)
        await lina.until("resumed", lambda: lina.call is not None and lina.call["recording"] == "on")
        await lina.do("hang_up", call_id=call)
        await house.recorded(1)
        await until("Asterisk has closed it", lambda: length_of(plain) == plain.stat().st_size - HEADER)
        sound = plain.read_bytes()
        assert loud(sound[HEADER:]), "nobody is heard"

        assert await sealing.look(later()) == 0
        assert sealed.exists() and not plain.exists()
        assert await played(house, call) == sound
        assert await played(house, call, "bytes=16000-") == sound[16_000:]
        said = next(
            sound[at : at + SOME] for at in range(HEADER, len(sound), SOME) if loud(sound[at : at + SOME])
        )
        for path in {*folder.parent.rglob("*")} - others:
            assert path.is_dir() or said not in path.read_bytes(), f"{path} has some of it"
    finally:
        await house.close()
        await calls_over(asterisk_rig)


async def played(house: House, call: str, part: str = "") -> bytes:
    """As who may hear recordings hears it, from the daemon."""
    known = {each.login: each.user_id for each in UserStore(house.db).all()}
    chief = known.get("chief") or People(house.db).add("", "chief", "Chief", "administrator", "")
    session = UserStore(house.db).open_session(chief, "test")
    async with http_client(base_url=house.door, cookies={"zd_session": session}) as http:
        answer = await http.get(f"/recordings/{call}", headers={"Range": part} if part else {})
    assert answer.status_code == (206 if part else 200), answer.text
    return answer.content


def length_of(path: Path) -> int:
    """The length of the sound that its header tells."""
    try:
        with wave.open(str(path)) as sound:
            return sound.getnframes() * sound.getsampwidth()
    except (EOFError, wave.Error):
        return -1


def loud(sound: bytes) -> bool:
    """Whether there is more than silence in it."""
    return any(
        abs(int.from_bytes(sound[n : n + 2], "little", signed=True)) > 1_000
        for n in range(0, len(sound) - 1, 2)
    )


async def until(what: str, so: Callable[[], bool]) -> None:
    """Wait for what no event tells of."""
    try:
        async with asyncio.timeout(LIMIT_S):
            while not so():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"waited {LIMIT_S} s for: {what}") from None
