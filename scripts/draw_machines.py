"""Draws the call's and the seat's state machines into docs/reference/machines.md, from the tables that run."""

from __future__ import annotations

from pathlib import Path

from dialer.core.call import CALL
from dialer.core.seat import SEAT

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "machines.md"

TEXT = """# The machines

Drawn from the tables in `dialer/core/call.py` and `dialer/core/seat.py` by `make docs`; a test compares
this page with them.
A pair of state and event that has neither an arrow here nor a place in the table's `ignored` set is counted in
`zhudong_anomalies_total` and changes nothing.

## A call

```mermaid
{call}
```

## A seat

```mermaid
{seat}
```
"""


def draw() -> str:
    """The page's text."""
    return TEXT.format(call=CALL.mermaid(), seat=SEAT.mermaid())


if __name__ == "__main__":
    PAGE.write_text(draw(), encoding="utf-8")
    print(f"wrote {PAGE}")
