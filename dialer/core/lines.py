"""A switch's limits as the core sees them: lines, calls per second, dial strings, and whether it is up."""

from __future__ import annotations

from dataclasses import dataclass

BURST_S = 0.2  # carriers count calls per second strictly; pacing is asked at least twice in this time
# So much of the rate may wait for the rules, which answer within tens of ms: it leaves all at once.
ASKED_S = 0.5


@dataclass(slots=True)
class SwitchLines:
    """One named switch. Calls per second are a token bucket, spent as soon as a call is decided on."""

    name: str
    max_lines: int
    calls_per_s: float
    trunk: str  # e.g. PJSIP/{number}@carrier
    phone: str  # e.g. PJSIP/{endpoint}
    softphone: str = (
        ""  # where the phone in a page registers, e.g. wss://pbx.example:8089/ws; empty: there are none
    )
    softphone_endpoint: str = ""  # e.g. {phone}-web
    ours: bool = True  # else another engine has it, and its campaigns
    up: bool = False
    _tokens: float = 0.0
    _filled_at: float = 0.0

    def in_page(self, phone: str) -> bool:
        """Whether this endpoint is a phone in a page."""
        before, _, after = self.softphone_endpoint.partition("{phone}")
        return bool(self.softphone) and phone.startswith(before) and phone.endswith(after)

    def allowance(self, now: float, waiting: int = 0) -> int:
        """Whole calls that may be placed now, while so many wait for the rules."""
        if now > self._filled_at:
            burst = max(1.0, self.calls_per_s * BURST_S)
            self._tokens = min(burst, self._tokens + (now - self._filled_at) * self.calls_per_s)
            self._filled_at = now
        most = int(max(1.0, self.calls_per_s * ASKED_S)) - waiting
        return max(0, min(int(self._tokens), most))

    def wait_s(self, now: float) -> float:
        """How long a call that is decided on now waits for its turn. What pacing decides on never does."""
        self.allowance(now)
        return max(0.0, (1.0 - self._tokens) / self.calls_per_s)

    def spend(self, calls: int, now: float) -> None:
        """So many calls will be placed."""
        self.allowance(now)
        self._tokens -= calls

    def give_back(self) -> None:
        """A call that was decided on will not be placed after all."""
        self._tokens += 1.0
