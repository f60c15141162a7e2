"""Texts by SMPP 3.4: one session with the provider's SMSC, which is bound again whenever it is lost.

Where a text is refused because there were too many, all wait a moment. What comes back by the session, receipts and
what customers answer, is on record before the next is taken. The library acknowledges it when it hands it over: what
the process had in hand when it was killed is lost, one receipt or answer at most.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from campaigns import database
from campaigns.messages.outbox import Letter
from campaigns.messages.receipts import Receipts
from dialer.channel import NotTaken
from dialer.config import ConfigError, SmppSection
from dialer.sms import KIND, RECEIPT, parts_of, receipt_of, text_of

if TYPE_CHECKING:
    import smpp34

log = structlog.get_logger(__name__)
T = TypeVar("T")

BOUND_S = 15.0  # that a text waits for a session
FIRST_S, LONGEST_S = 1.0, 60.0  # between two tries to bind, doubling
REST_S, LONGEST_REST_S = 0.5, 8.0  # of all texts after "too many", doubling
TRIES = 6  # of one text that is too many
AGAIN_S = 5.0  # after which a receipt is looked at again that came before its text was on record
MOST_AGAIN = 1_000
AWAY_S = 2.0  # between two tries of a database that is away
END_S = 5.0
LONGEST_ADDRESS = 20
UNKNOWN, INTERNATIONAL, ALPHANUMERIC = (0, 0), (1, 1), (5, 0)  # type of number, and numbering plan
# SMPP 3.4, 5.1.3
TOO_MANY = frozenset({0x14, 0x58})  # ESME_RMSGQFUL, ESME_RTHROTTLED
RECEIPTED_ID, PAYLOAD, MESSAGE_STATE = 0x001E, 0x0424, 0x0427  # optional parameters, 5.3.2
FOR_GOOD = frozenset({0x01, 0x0A, 0x0B, 0x48, 0x49, 0x50, 0x51})  # length, addresses and their types


def _now() -> datetime:
    return datetime.now(UTC)


class Smpp:
    """Sends by SMPP. Raises :class:`dialer.config.ConfigError` where the library is not there."""

    def __init__(
        self, section: SmppSection, receipts: Receipts, clock: Callable[[], datetime] = _now
    ) -> None:
        try:
            import smpp34
        except ImportError as fault:
            raise ConfigError(
                f"messages.smpp: needs the extra `smpp`: pip install 'zhudong[smpp]' ({fault})"
            ) from fault
        self._library = smpp34
        self._section = section
        self._receipts = receipts
        self._clock = clock
        self._name = f"{section.host}:{section.port}/{section.system_id}"
        self._session: smpp34.Smsc | None = None
        self._bound = asyncio.Event()
        self._fault = ""
        self._window = asyncio.Semaphore(section.window)
        self._references = count(random.randrange(256))
        self._rest_s, self._rested_at = REST_S, 0.0
        self._again: asyncio.Queue[tuple[float, tuple[str, bool, str]]] = asyncio.Queue(MOST_AGAIN)

    async def send(self, letter: Letter) -> tuple[str, ...]:
        """Have the SMSC take it, part by part. Raises :class:`NotTaken`; then all parts are sent again."""
        try:
            parts = parts_of(letter.body, next(self._references) % 256)
        except ValueError as fault:
            raise NotTaken(str(fault), for_good=True) from fault
        source, (ton, npi) = _sender(letter.sender or self._section.sender)
        ids = []
        for part in parts:
            taken = await self._submit(
                destination_addr=letter.address.removeprefix("+"),
                dest_addr_ton=INTERNATIONAL[0],
                dest_addr_npi=INTERNATIONAL[1],
                source_addr=source,
                source_addr_ton=ton,
                source_addr_npi=npi,
                short_message=part.octets,
                data_coding=part.data_coding,
                esm_class=part.esm_class,
                registered_delivery=1,
            )
            ids.append(f"{self._name} {taken}")
        return tuple(ids)

    async def run(self) -> None:
        """Hold the session, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look_again())
            pause_s = FIRST_S
            while True:
                client = self._client()
                try:
                    session = await client.connect()
                except self._library.SmppError as fault:
                    self._fault = str(fault)
                    log.warning("no session for texts", smsc=self._name, reason=self._fault)
                    await asyncio.sleep(pause_s)
                    pause_s = min(LONGEST_S, 2 * pause_s)
                    continue
                log.info("texts go out", smsc=self._name)
                bound_at = asyncio.get_running_loop().time()
                await self._held(client, session)
                self._fault = "the session was lost"
                log.warning("no session for texts", smsc=self._name, reason=self._fault)
                if asyncio.get_running_loop().time() - bound_at > LONGEST_S:
                    pause_s = FIRST_S  # else it is one that binds, and is thrown out at once
                await asyncio.sleep(pause_s)
                pause_s = min(LONGEST_S, 2 * pause_s)

    async def close(self) -> None:
        """Nothing: the session ends with :meth:`run`."""

    # --- within ---------------------------------------------------------------------------------------------------

    def _client(self) -> smpp34.Client:
        section = self._section
        return self._library.Client(
            section.host,
            section.port,
            section.system_id,
            section.password,
            bind_type="TRX",
            system_type=section.system_type,
            tls=section.tls,
            window_size=section.window,
        )

    async def _held(self, client: smpp34.Client, session: smpp34.Smsc) -> None:
        self._session = session
        self._bound.set()
        try:
            while isinstance(event := await session.next(), self._library.DeliverSmEvent):
                await self._hear(event)
        finally:
            self._session = None
            self._bound.clear()
            try:
                async with asyncio.timeout(END_S):
                    await session.unbind()
                    await client.stop()
            except (TimeoutError, self._library.SmppError):
                pass  # it was lost already

    async def _submit(self, **fields: object) -> str:
        """The id under which the SMSC has it. Raises :class:`NotTaken`."""
        for _ in range(TRIES):
            async with self._window:
                await self._rested()
                session = await self._ready()
                try:
                    answer = await session.submit_sm(**fields)  # type: ignore[arg-type]
                except self._library.SmppError as fault:
                    raise NotTaken(f"SMPP: {fault}") from fault
            if answer.is_success:
                self._rest_s = REST_S
                return answer.message_id or ""
            if answer.command_status not in TOO_MANY:
                status = answer.command_status
                raise NotTaken(f"SMPP status 0x{status:02X}", for_good=status in FOR_GOOD)
            self._rested_at = asyncio.get_running_loop().time() + self._rest_s
            self._rest_s = min(LONGEST_REST_S, 2 * self._rest_s)
        raise NotTaken("SMPP: too many texts, says the other end")

    async def _rested(self) -> None:
        while (left := self._rested_at - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)

    async def _ready(self) -> smpp34.Smsc:
        try:
            async with asyncio.timeout(BOUND_S):
                await self._bound.wait()
        except TimeoutError:
            raise NotTaken(f"SMPP: no session: {self._fault or 'it is not bound yet'}") from None
        if self._session is None:
            raise NotTaken("SMPP: the session was lost")
        return self._session

    async def _hear(self, event: smpp34.DeliverSmEvent) -> None:
        tlvs = {tlv.tag: tlv for tlv in event.tlvs}
        payload = tlvs.get(PAYLOAD)
        octets = event.short_message or (payload.value if payload is not None else b"")
        if event.esm_class & KIND == RECEIPT:
            whose, state = (
                tlvs.get(RECEIPTED_ID),
                tlvs.get(MESSAGE_STATE),
            )
            receipt = receipt_of(
                octets, (whose.as_string() or "") if whose else "", state.as_int() if state else None
            )
            if receipt is not None and not await self._record(*receipt) and not self._again.full():
                self._again.put_nowait((asyncio.get_running_loop().time() + AGAIN_S, receipt))
        elif not event.esm_class & KIND:
            plus = "+" if event.source_addr_ton == INTERNATIONAL[0] else ""
            sender, said = plus + event.source_addr, text_of(octets, event.data_coding, event.esm_class)
            await self._kept(lambda: self._receipts.reply(sender, said, self._clock()))

    async def _record(self, whose: str, delivered: bool, why: str) -> bool:
        remote = f"{self._name} {whose}"
        return await self._kept(lambda: self._receipts.receipt(remote, delivered, why, self._clock()))

    async def _look_again(self) -> None:
        while True:
            at, receipt = await self._again.get()
            await asyncio.sleep(at - asyncio.get_running_loop().time())
            if not await self._record(*receipt):
                log.info("a receipt is of no text of ours", smsc=self._name, id=receipt[0])

    async def _kept(self, work: Callable[[], T]) -> T:
        """The work done, however long the database is away: meanwhile the SMSC keeps what it has for us."""
        while True:
            try:
                return await asyncio.to_thread(work)
            except SQLAlchemyError as fault:
                log.warning("what came back of texts waits for the database", reason=database.reason(fault))
                await asyncio.sleep(AWAY_S)


def _sender(named: str) -> tuple[str, tuple[int, int]]:
    """The address that a text is from, with its type of number and plan. Raises :class:`NotTaken`."""
    address = named.removeprefix("+")
    if not address.isascii() or len(address) > LONGEST_ADDRESS:
        raise NotTaken(f"{named!r} can't be a text's sender", for_good=True)
    if named.startswith("+"):
        return address, INTERNATIONAL
    return address, UNKNOWN if not address or address.isdigit() else ALPHANUMERIC
