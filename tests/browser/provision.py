"""Gets the browser that the tests need: `python -m tests.browser.provision`. Root on Debian or Ubuntu only.

Ubuntu has Chromium as a snap only, which not every machine can run, so there it is Playwright's own.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.browser.chromium import find
from tests.rig.provision import Failed, distribution, install, run

FONTS = "fonts-noto-cjk"  # without them every Chinese character is the same empty box
CJK_FONTS = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")


def main() -> int:
    """Install what is missing. 0 when it is there in the end, or when this machine can't have it (said why)."""
    if find() and CJK_FONTS.exists():
        print(f"browser: {find()} is there")
        return 0
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        print(f"browser: install Chromium and {FONTS} to run the browser tests; they are skipped without")
        return 0
    try:
        if distribution() == "ubuntu":
            install(FONTS)
            run([sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"])
        else:
            install("chromium", FONTS)
    except Failed as fault:
        print(f"browser: {fault}", file=sys.stderr)
        return 1
    print(f"browser: installed {find()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
