"""How many files this process may have open: each page, switch and session of the database is one."""

from __future__ import annotations

import resource

NEEDED = 4_096  # 2,000 pages, the database, the switches, and as many again
TAKEN = 65_536  # as the service has it; there are programs that walk through all that they may have open


def allowed() -> float:
    """As many as the system lets this process take, infinity where it does not mind."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return float("inf") if hard == resource.RLIM_INFINITY else hard


def take_allowed() -> None:
    """Take what the system allows, for this process and its children: of it a shell gives out only 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (more := int(min(allowed(), TAKEN))) > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
