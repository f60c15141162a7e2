"""Fetches the SIP library of the agent's page and bundles it: `python -m scripts.vendor_jssip`.

Needs node and npm, on a developer's machine and never on a user's. What is fetched is held against the checksums that
stand here, and so is what comes out of it; to take a newer version, change them and say why in the commit.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "cti" / "static" / "vendor"
ESBUILD = "0.27.2"
# npm's own `dist.integrity` of each package that goes into the bundle
PACKAGES = {
    "jssip": (
        "3.13.8",
        "sha512-ErxEdy13vXR5izGo42fpXOU64UmC2VF7Shg4oYG7R2NzZF0FTPeYikffkIIQa9w+/11YvTlgezG1nSaycWYXPA==",
    ),
    "debug": (
        "4.4.3",
        "sha512-RGwwWnwQvkVfavKVt22FGLw+xYSdzARwm0ru6DhTVA3umU5hZc28V3kO4stgYryrTlLpuvgI9GiijltAjNbcqA==",
    ),
    "ms": (
        "2.1.3",
        "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==",
    ),
    "events": (
        "3.3.0",
        "sha512-mQw+2fkQbALzQ7V0MY0IqdnXNOeTtP4r0lN9z7AAawCXgqea7bDii20AYrIBrFd/Hx0M2Ocz6S111CaFkUcb0Q==",
    ),
    "sdp-transform": (
        "2.15.0",
        "sha512-KrOH82c/W+GYQ0LHqtr3caRpM3ITglq3ljGUIb8LTki7ByacJZ9z+piSGiwZDsRyhQbYBOBJgr2k6X4BZXi3Kw==",
    ),
}
ENTRY = 'export { UA, WebSocketInterface } from "jssip";\n'
BUNDLE = "68fade71966532ade0496e766c8582b7dfc080c08aad8a4b3aa2681ad6fb48d0"  # sha256


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        bundled, licences = bundle(Path(folder))
    found = hashlib.sha256(bundled).hexdigest()
    if found != BUNDLE:
        print(f"the bundle's sha256 is {found}, expected is {BUNDLE}: nothing was written", file=sys.stderr)
        return 1
    VENDOR.mkdir(exist_ok=True)
    (VENDOR / "jssip.js").write_bytes(bundled)
    (VENDOR / "jssip.LICENSE.txt").write_text(licences, "utf-8")
    return 0


def bundle(folder: Path) -> tuple[bytes, str]:
    """One ES module of the library with what it needs, and the licences of all of it."""
    wanted = {name: version for name, (version, _) in PACKAGES.items()} | {"esbuild": ESBUILD}
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": wanted}), "utf-8")
    (folder / "entry.mjs").write_text(ENTRY, "utf-8")
    install = ("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    subprocess.run(install, cwd=folder, check=True)
    locked = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    licences = []
    for name, (version, integrity) in PACKAGES.items():
        entry = locked[f"node_modules/{name}"]
        if (entry["version"], entry["integrity"]) != (version, integrity):
            raise SystemExit(f"{name}: npm gave {entry['version']} {entry['integrity']}")
        home = folder / "node_modules" / name
        text = next((file.read_text("utf-8") for file in sorted(home.glob("[Ll][Ii][Cc][Ee][Nn]*"))), "")
        licence = json.loads((home / "package.json").read_text("utf-8"))["license"]
        licences.append(f"{name} {version} ({licence})\n\n{text.strip()}\n")
    command = (
        "node_modules/.bin/esbuild",
        "entry.mjs",
        "--bundle",
        "--minify",
        "--format=esm",
        "--platform=browser",
    )
    said = subprocess.run((*command, "--legal-comments=none"), cwd=folder, check=True, stdout=subprocess.PIPE)
    header = "// " + ", ".join(f"{name} {version}" for name, (version, _) in PACKAGES.items())
    return f"{header}; licences in jssip.LICENSE.txt\n".encode() + said.stdout, "\n---\n\n".join(licences)


if __name__ == "__main__":
    sys.exit(main())
