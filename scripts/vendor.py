"""Fetches the libraries of the pages and bundles each: `python -m scripts.vendor`.

Needs node and npm, on a developer's machine and never on a user's. What is fetched is held against the checksums that
stand here, and so is what comes out of it; to take a newer version, change them and say why in the commit.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "cti" / "static" / "vendor"
ESBUILD = "0.27.2"


@dataclass(frozen=True)
class Library:
    """One bundle. `packages` have npm's own `dist.integrity` of each package that goes into it.

    `files` are what comes out, with the sha256 of each; of a stylesheet, the path of its source in the package.
    """

    name: str
    packages: dict[str, tuple[str, str]]
    entry: str
    files: dict[str, str]
    style: str = ""


LIBRARIES = (
    Library(
        "jssip",  # SIP, for the phone in the agents' page
        {
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
        },
        'export { UA, WebSocketInterface } from "jssip";\n',
        {"jssip.js": "68fade71966532ade0496e766c8582b7dfc080c08aad8a4b3aa2681ad6fb48d0"},
    ),
    Library(
        "uplot",  # the console's charts
        {
            "uplot": (
                "1.6.32",
                "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
            ),
        },
        'export { default } from "uplot";\n',
        {
            "uplot.js": "1faa62eb47dd1b53333a1aaac71b25e8105277ecdc746926b7f0757e77a25d35",
            "uplot.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
        },
        style="uplot/dist/uPlot.min.css",
    ),
)


def main() -> int:
    made = {}
    for library in LIBRARIES:
        with tempfile.TemporaryDirectory() as folder:
            found = bundle(library, Path(folder))
        for name, checksum in library.files.items():
            sha256 = hashlib.sha256(found[name]).hexdigest()
            if sha256 != checksum:
                print(
                    f"{name}: sha256 is {sha256}, expected is {checksum}: nothing was written",
                    file=sys.stderr,
                )
                return 1
        made |= found
    VENDOR.mkdir(exist_ok=True)
    for name, content in made.items():
        (VENDOR / name).write_bytes(content)
    return 0


def bundle(library: Library, folder: Path) -> dict[str, bytes]:
    """One ES module of the library with what it needs, its stylesheet, and the licences of all of it."""
    wanted = {name: version for name, (version, _) in library.packages.items()} | {"esbuild": ESBUILD}
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": wanted}), "utf-8")
    (folder / "entry.mjs").write_text(library.entry, "utf-8")
    install = ("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    subprocess.run(install, cwd=folder, check=True)
    locked = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    licences = []
    for name, (version, integrity) in library.packages.items():
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
    names = ", ".join(f"{name} {version}" for name, (version, _) in library.packages.items())
    header = f"// {names}; licences in {library.name}.LICENSE.txt\n".encode()
    made = {
        f"{library.name}.js": header + said.stdout,
        f"{library.name}.LICENSE.txt": "\n---\n\n".join(licences).encode(),
    }
    if library.style:
        made[f"{library.name}.css"] = (folder / "node_modules" / library.style).read_bytes()
    return made


if __name__ == "__main__":
    sys.exit(main())
