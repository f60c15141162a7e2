"""Why a call ends: SIP answers, Q.850 causes and their texts, as Asterisk 22 with PJSIP reports them."""

from __future__ import annotations

from typing import Final

NORMAL_CLEARING: Final = 16
NO_ANSWER: Final = 19
NO_ANSWER_TECH: Final = 480  # reported when the ring limit ends a call, though nobody sent it

CAUSE_TEXT: Final[dict[int, str]] = {
    0: "Unknown",
    1: "Unallocated (unassigned) number",
    3: "No route to destination",
    16: "Normal Clearing",
    17: "User busy",
    18: "No user responding",
    19: "User alerting, no answer",
    20: "Subscriber absent",
    21: "Call Rejected",
    22: "Number changed",
    27: "Destination out of order",
    28: "Invalid number format",
    31: "Normal, unspecified",
    34: "Circuit/channel congestion",
    38: "Network out of order",
    41: "Temporary failure",
    42: "Switching equipment congestion",
    44: "Requested channel not available",
    127: "Interworking, unspecified",
}

# SIP answer to (Q.850 cause, DialStatus of the DialEnd event)
SIP_FAILURE: Final[dict[int, tuple[int, str]]] = {
    403: (21, "NOANSWER"),
    404: (1, "NOANSWER"),
    408: (18, "NOANSWER"),
    410: (22, "NOANSWER"),
    480: (19, "NOANSWER"),
    484: (28, "NOANSWER"),
    486: (17, "BUSY"),
    500: (38, "NOANSWER"),
    502: (27, "NOANSWER"),
    503: (34, "CONGESTION"),
    603: (21, "NOANSWER"),
}

# A cause given to the Hangup action of an answered call comes back with the SIP answer PJSIP would send for it.
TECH_CAUSE_OF_HANGUP: Final[dict[int, int]] = {
    1: 404,
    17: 486,
    18: 408,
    19: 480,
    21: 403,
    22: 410,
    27: 502,
    34: 503,
}


def cause_text(cause: int) -> str:
    """Asterisk's text for a cause; `Unknown` for those it has none for."""
    return CAUSE_TEXT.get(cause, "Unknown")
