"""The abandon ledger: answered people and abandoned calls over a legal window, counted as a regulator counts them.

The rates and windows are those of 16 CFR 310.4(b)(4) and 47 CFR 64.1200(a)(7) (3 % of calls answered by a person, per
campaign, over 30 days), and of Ofcom's statement on persistent misuse (3 % over 24 hours, machines deducted by a
reasoned estimate). A profile says how one of them counts; a custom one is an :class:`AbandonRule` of one's own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

DAY_S = 86_400.0
BUCKETS = 720  # parts of a window: an hour each of 30 days, two minutes each of one


@dataclass(frozen=True, slots=True)
class AbandonRule:
    """How abandoned calls are counted. `window_s` None is the whole life of the campaign.

    `hung_up_counts`: a person who left while waiting, within the connect limit, counts as answered. `deduct_machines`:
    abandoned calls are reduced by the share of connected calls that agents reported as machines (Ofcom's reasoned
    estimate; only without machine detection). `clock` is where the connect limit begins: at the `answer`, or when a
    person was `detected`.
    """

    window_s: float | None = 30 * DAY_S
    hung_up_counts: bool = True
    deduct_machines: bool = False
    clock: str = "answer"

    def check(self) -> list[str]:
        """Return what is wrong, one sentence a fault."""
        faults = []
        if self.window_s is not None and not 60.0 <= self.window_s <= 366 * DAY_S:
            faults.append(f"window_s must be between a minute and a year, is {self.window_s}")
        if self.clock not in ("answer", "detected"):
            faults.append(f"clock must be answer or detected, is {self.clock!r}")
        return faults


PROFILES = {
    "us": AbandonRule(),  # FTC and FCC: per campaign, each successive 30 days
    "uk": AbandonRule(window_s=DAY_S, deduct_machines=True),  # Ofcom: 24 hours
    "cn": AbandonRule(
        window_s=DAY_S
    ),  # no figure in the law; a day is what an operator's complaints desk looks at
    "life": AbandonRule(window_s=None),
}


class AbandonLedger:
    """Answered people and abandoned calls of one campaign. Times are seconds on the caller's clock."""

    def __init__(self, rule: AbandonRule = PROFILES["us"]) -> None:
        self.rule = rule
        self._buckets: deque[list[float]] = deque()  # [begins, connected, hung up, abandoned, machines]
        self._connected = self._hung_up = self._abandoned = self._machines = 0.0
        self._ever = [0, 0, 0, 0]

    # --- in -------------------------------------------------------------------------------------------------------

    def connected(self, at: float) -> None:
        """A person got a seat in time."""
        self._connected += 1
        self._ever[0] += 1
        self._bucket(at)[1] += 1

    def hung_up(self, at: float) -> None:
        """A person left while waiting, within the limit."""
        self._hung_up += 1
        self._ever[1] += 1
        self._bucket(at)[2] += 1

    def abandoned(self, at: float) -> None:
        """A person got no seat in time."""
        self._abandoned += 1
        self._ever[2] += 1
        self._bucket(at)[3] += 1

    def machine(self, at: float) -> None:
        """An agent found a machine in a call that counted as answered by a person."""
        self._machines += 1
        self._ever[3] += 1
        self._bucket(at)[4] += 1

    def seed(self, at: float, connected: int, hung_up: int, abandoned: int, machines: int = 0) -> None:
        """Begin anew from what the books say of the window up to `at`."""
        self._connected, self._hung_up = float(connected), float(hung_up)
        self._abandoned, self._machines = float(abandoned), float(machines)
        self._buckets.clear()
        self._buckets.append([at, self._connected, self._hung_up, self._abandoned, self._machines])

    def take_rule(self, rule: AbandonRule) -> None:
        """Count by another rule from now on; what is known stays."""
        self.rule = rule

    # --- out ------------------------------------------------------------------------------------------------------

    @property
    def counted(self) -> tuple[int, int, int, int]:
        """All that came in ever: connected, hung up, abandoned, machines; what was seeded is not among it."""
        connected, hung_up, abandoned, machines = self._ever
        return connected, hung_up, abandoned, machines

    @property
    def answered(self) -> float:
        """People who answered, as the rule counts them."""
        waited = self._hung_up if self.rule.hung_up_counts else 0.0
        return self._connected * (1.0 - self._machine_share()) + waited + self.given_up

    @property
    def given_up(self) -> float:
        """Abandoned calls, as the rule counts them."""
        return self._abandoned * (1.0 - self._machine_share())

    @property
    def rate(self) -> float:
        """Abandoned of answered, 0 before the first answer."""
        answered = self.answered
        return self.given_up / answered if answered > 0 else 0.0

    def surplus(self, target: float) -> float:
        """How many more calls could all be abandoned with the rate still at or under `target`; negative when over.

        n more abandoned people keep (abandoned + n) / (answered + n) <= target when
        n <= (target * answered - abandoned) / (1 - target).
        """
        if target >= 1.0:
            return 1e9
        return (target * self.answered - self.given_up) / (1.0 - target)

    def expire(self, now: float) -> None:
        """Forget what has left the window."""
        if self.rule.window_s is None:
            return
        oldest = now - self.rule.window_s
        while self._buckets and self._buckets[0][0] < oldest:
            _, connected, hung_up, abandoned, machines = self._buckets.popleft()
            self._connected -= connected
            self._hung_up -= hung_up
            self._abandoned -= abandoned
            self._machines -= machines

    # --- within ---------------------------------------------------------------------------------------------------

    def _machine_share(self) -> float:
        if not self.rule.deduct_machines or self._connected <= 0:
            return 0.0
        return min(1.0, self._machines / self._connected)

    def _bucket(self, at: float) -> list[float]:
        """The bucket of this instant; an event from before the newest bucket counts into that one."""
        self.expire(at)
        length = (self.rule.window_s or DAY_S) / BUCKETS
        if not self._buckets or at >= self._buckets[-1][0] + length:
            self._buckets.append([at, 0.0, 0.0, 0.0, 0.0])
            if self.rule.window_s is None and len(self._buckets) > 2:
                self._merge()
        return self._buckets[-1]

    def _merge(self) -> None:
        """A window without end needs no old buckets apart."""
        first, second = self._buckets.popleft(), self._buckets.popleft()
        self._buckets.appendleft([first[0], *(a + b for a, b in zip(first[1:], second[1:], strict=True))])
