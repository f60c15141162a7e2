"""Coverage-guided fuzzing of one target: `python -m tests.fuzz TARGET SECONDS [FOLDER]`; `make fuzz` does all.

The inputs that reach something new are kept in the folder, and so is one that breaks it, as `crash-…`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["campaigns", "cti", "dialer"]):  # type: ignore[missing-attribute]
    from tests.fuzz.targets import SEEDS, TARGETS


def main(target: str, seconds: str, kept: str = "") -> None:
    """Does not come back: the fuzzer ends the process, with another exit code than 0 when something broke."""
    folder = Path(kept or f"build/fuzz/{target}")
    folder.mkdir(parents=True, exist_ok=True)
    for at, seed in enumerate(SEEDS[target]):
        (folder / f"seed-{at}").write_bytes(seed)
    bounds = [f"-max_total_time={int(seconds)}", "-rss_limit_mb=2048", "-timeout=30", "-max_len=65536"]
    atheris.Setup([sys.argv[0], *bounds, f"-artifact_prefix={folder}/", str(folder)], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
