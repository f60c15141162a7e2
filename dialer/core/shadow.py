"""A second configuration that runs on a campaign's events and dials nothing: what it would do, beside what is done.

Theory of operation. Whatever the campaign's pacer is told or asked is noted in order, which costs the call path a place
in a list; :meth:`Watch.follow` works it off after the live decision has been carried out. So the shadow hears the same
events, and answers the same questions with the same room, a moment later. Its faults stay here: the first one puts it
to rest until the campaign's next version.

What is compared is the lines each wants in the air, over time. Calls wanted would not do: what the shadow wants and the
campaign does not dial it would want again at the next question. And of the calls in the air the shadow has those that
it wanted, too: of a call that it would not have placed it is not told, or it would never seem to want fewer.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import structlog

from dialer.core.budget import held
from pacing.contract import CallEvent, CallStage, Decision, Event, Mode, PacingConfig, Room
from pacing.ledger import AbandonLedger
from pacing.pacer import SETTLED, CampaignPacer
from pacing.predictive import Others
from pacing.shadow import Shadow

log = structlog.get_logger(__name__)

LONGEST_GAP_S = 1.0  # the engine asks ten times a second; after more than this it was not dialing
FAILED = "the shadow failed and rests until the campaign's next version"
MOST_PENDING = 10_000  # noted and not followed; past this they are worked off where they come in


@dataclass(frozen=True, slots=True)
class Question:
    """What the campaign was asked, with what room and whom beside it, and its answer with `in_air` calls in the air."""

    now: float
    room: Room
    others: Others
    said: Decision
    in_air: int


class Watch:
    """One campaign's shadow, and how far it is from what is dialed. The sums only grow."""

    def __init__(self, campaign: str) -> None:
        self.live_line_s = self.line_s = 0.0  # lines each wanted in the air, times seconds
        self.more_s = self.fewer_s = (
            0.0  # how long it wanted more lines in the air than the campaign, and fewer
        )
        self.faults = 0
        self.decision: Decision | None = None  # its last one; None while there is no shadow, or it rests
        self._campaign = campaign
        self._config = PacingConfig()
        self._pacer: Shadow | None = None
        self._pending: list[Event | Question] = []
        self._wanted = 0  # calls of its last answer that the campaign has not placed so far
        self._not_its: set[Hashable] = set()  # calls in progress that it would not have placed
        self._asked_at: float | None = None
        self.live_lines = self._lines = 0  # that the campaign wanted in the air at the last question, and it

    @property
    def lines(self) -> int | None:
        """Calls it would have in the air now; None while there is no shadow, or it rests."""
        return None if self.decision is None else self._lines

    def begin(self, live: CampaignPacer, config: PacingConfig | None) -> None:
        """Begin anew as a copy of the pacer that dials; without a configuration there is no shadow."""
        self._rest()
        if config is None:
            return
        try:
            self._pacer, self._config = Shadow(live, config), config
        except Exception:  # the campaign dials whether its pacer can be copied or not
            log.exception(FAILED, campaign=self._campaign)
            self._fail()

    def note(self, what: Event | Question) -> None:
        """The campaign's pacer was told, or asked, this."""
        if self._pacer is not None:
            self._pending.append(what)
            if len(self._pending) >= MOST_PENDING:
                self.follow()

    def counted(self, ledger: AbandonLedger) -> None:
        """The campaign's ledger was read from the books."""
        self.follow()  # what was noted before is in the books
        if self._pacer is not None:
            self._pacer.take_ledger(ledger)

    def follow(self) -> bool:
        """Hear and answer what was noted. False when there was nothing to do."""
        pending, self._pending = self._pending, []
        pacer = self._pacer
        if pacer is None or not pending:
            return False
        try:
            for each in pending:
                if isinstance(each, Question):
                    self._answer(pacer, each)
                elif not isinstance(each, CallEvent) or self._its(pacer, each):
                    pacer.observe(each)
        except Exception:  # a fault of what only looks on must not reach what dials
            log.exception(FAILED, campaign=self._campaign)
            self._fail()
        return True

    # --- within ---------------------------------------------------------------------------------------------------

    def _answer(self, pacer: Shadow, question: Question) -> None:
        now = question.now
        decision = pacer.decide(now, question.room, question.others)
        idle, in_air = int(decision.why["idle_seats"]), int(decision.why["in_air"])
        if self._config.mode is not Mode.PREDICTIVE:
            free = idle - question.others.claims
            decision = held(decision, pacer.ledger, self._config.target, free, in_air)
        if self._asked_at is not None and (gone := now - self._asked_at) <= LONGEST_GAP_S:
            self.live_line_s += gone * self.live_lines
            self.line_s += gone * self._lines
            self.more_s += gone * (self._lines > self.live_lines)
            self.fewer_s += gone * (self._lines < self.live_lines)
        self._asked_at = now
        self.live_lines = question.in_air + question.said.dial
        self._lines = in_air + decision.dial
        self._wanted, self.decision = decision.dial, decision

    def _its(self, pacer: Shadow, event: CallEvent) -> bool:
        """Whether the shadow is told: of a call that it would not have placed it only hears that it is over.

        The books, which are the campaign's, count the call in any case.
        """
        call = event.call
        if event.stage is CallStage.DIALED:
            if self._wanted > 0:
                self._wanted -= 1
            else:
                self._not_its.add(call)
        if call not in self._not_its:
            return True
        if event.stage not in SETTLED:
            return False
        self._not_its.discard(call)
        return True

    def _fail(self) -> None:
        self.faults += 1
        self._rest()

    def _rest(self) -> None:
        self._pacer = self.decision = self._asked_at = None
        self._wanted = 0
        self._pending.clear()
        self._not_its.clear()
