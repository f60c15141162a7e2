"""Gets the switch that the tests need: `python -m tests.rig.provision`. Root on Debian or Ubuntu only.

Ubuntu has an Asterisk package. Debian bookworm and trixie have none, so there a minimal Debian sid with Asterisk 22 is
put into a folder of its own, outside the project, and kept between runs. It is marked complete at the very end. All
mounts are made in a private mount namespace, so they are gone with the command, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from tests.rig.place import cache, find, folder, mark, missing_modules, modules_of

LIMIT_S = 600
LOCK_LIMIT_S = 900
# runs its arguments below the root "$1", which sees the host's proc and dev; the mounts end with the command
WITHIN = 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && root=$1 && shift && exec chroot "$root" "$@"'
PRIVATE = ("unshare", "--mount", "--propagation", "private")
APT_ENV = {"DEBIAN_FRONTEND": "noninteractive"}
QUIET = ("apt-get", "-y", "-qq", "-o", "Acquire::Check-Valid-Until=false", "-o", "Acquire::Retries=3")
NO_START = "#!/bin/sh\nexit 101\n"


class Failed(Exception):
    """What could not be done, and the last that was said about it."""


def main() -> int:
    """Install what is missing. 0 when it is there in the end, or when this machine can't have it (said why)."""
    there = find()
    if there is not None:
        print(f"rig: Asterisk in {there.root} and {there.sipp} are there")
        return 0
    system = distribution()
    if os.geteuid() != 0 or system not in ("debian", "ubuntu"):
        print(
            "rig: install Asterisk 22 and SIPp (sip-tester) to run the tests on a real switch; they are skipped without"
        )
        return 0
    began = monotonic()
    cache().mkdir(parents=True, exist_ok=True)
    try:
        with alone():
            provide(system)
    except (Failed, OSError) as fault:
        print(f"rig: {fault}", file=sys.stderr)
        return 1
    there = find()
    if there is None or (lacks := missing_modules(there.modules)):
        print(
            f"rig: Asterisk lacks {', '.join(lacks) if there else 'its folder of modules'}", file=sys.stderr
        )
        return 1
    print(f"rig: installed Asterisk in {there.root} and {there.sipp} in {monotonic() - began:.0f} s")
    return 0


def distribution() -> str:
    """`debian`, `ubuntu` or something else."""
    try:
        return platform.freedesktop_os_release().get("ID", "")
    except OSError:
        return ""


@contextmanager
def alone() -> Iterator[None]:
    """One run at a time; the lock goes with the process."""
    with (cache() / "asterisk-22.lock").open("w") as lock:
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(LOCK_LIMIT_S)
        fcntl.flock(lock, fcntl.LOCK_EX)
        signal.alarm(0)
        yield


def _too_long(*_: object) -> None:
    raise Failed(f"another provision has been running for {LOCK_LIMIT_S} s")


def provide(system: str) -> None:
    """Get SIPp and Asterisk. Raises :class:`Failed`."""
    wanted = {"sipp": "sip-tester"} | (
        {"asterisk": "asterisk"} if system == "ubuntu" else {"debootstrap": "debootstrap"}
    )
    packages = [package for program, package in wanted.items() if shutil.which(program) is None]
    if packages:
        with services_held(Path("/")):
            install("--no-install-recommends", *packages)
    if system == "debian" and not mark().exists():
        make_root(folder(), mirror())
        mark().touch()


def make_root(root: Path, origin: str) -> None:
    """Debian sid with Asterisk in a folder of its own; what an earlier run left there is removed."""
    run(["rm", "-rf", "--one-file-system", str(root)])
    print(f"rig: Debian sid from {origin} into {root} (about 30 to 60 s, 650 MB)", flush=True)
    certificates = ["--include=ca-certificates"] if origin.startswith("https:") else []
    run(
        [*PRIVATE, "debootstrap", "--variant=minbase", *certificates, "sid", str(root), origin],
        {f"{scheme}_proxy": url for scheme, url in proxies().items()},
    )
    for name in (
        "etc/hosts",
        "etc/resolv.conf",
        *(["etc/ssl/certs/ca-certificates.crt"] if certificates else []),
    ):
        if Path("/", name).exists():
            shutil.copyfile(Path("/", name), root / name)
    lines = (f'Acquire::{scheme}::Proxy "{url}";\n' for scheme, url in proxies().items())
    (root / "etc/apt/apt.conf.d/90-host").write_text("".join(lines), "utf-8")
    within = [*PRIVATE, "sh", "-c", WITHIN, "sh", str(root)]
    with services_held(root):
        run([*within, *QUIET, "update"])
        run([*within, *QUIET, "install", "--no-install-recommends", "asterisk"])
    run([*within, "apt-get", "clean"])
    modules = modules_of(root)
    if modules is None or (lacks := missing_modules(modules)):
        raise Failed(f"the Asterisk of Debian sid lacks {', '.join(lacks) if modules else 'everything'}")


@contextmanager
def services_held(root: Path) -> Iterator[None]:
    """Packages installed meanwhile start no service."""
    policy = root / "usr/sbin/policy-rc.d"
    ours = not policy.exists()
    if ours:
        policy.write_text(NO_START, "utf-8")
        policy.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            policy.unlink()


def mirror() -> str:
    """The mirror this host takes Debian's main archive from."""
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    listed = run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    )
    for line in listed.splitlines():
        suite, component, uri = line.split(" ", 2)
        if (suite, component) == (release, "main") and uri.startswith(("http:", "https:")):
            return uri.rstrip("/")
    raise Failed(f"apt's sources name no http mirror for {release} main, where Debian sid could come from")


def proxies() -> Mapping[str, str]:
    """The proxies of the environment, and those of apt, which go first."""
    found = {scheme: os.environ.get(f"{scheme}_proxy", "") for scheme in ("http", "https")}
    configured = run(["apt-config", "dump"])
    found |= dict(re.findall(r'^Acquire::(https?)::Proxy "(.+)";', configured, re.MULTILINE))
    return {scheme: url for scheme, url in found.items() if url and url != "DIRECT"}


def install(*packages: str) -> None:
    """Install packages of this system, after options of `apt-get install`. Raises :class:`Failed`."""
    run([*QUIET, "update"])
    run([*QUIET, "install", *packages])


def run(command: Sequence[str], env: Mapping[str, str] | None = None, cwd: str | None = None) -> str:
    """Run a command and return what it said. Raises :class:`Failed` when it fails or takes too long."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=os.environ | APT_ENV | dict(env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=LIMIT_S)
    except BaseException as fault:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(fault, subprocess.TimeoutExpired):
            raise Failed(f"{' '.join(command)} took more than {LIMIT_S} s") from fault
        raise
    if process.returncode != 0:
        raise Failed(f"{' '.join(command)} failed: {' / '.join(said.strip().splitlines()[-5:])}")
    return said


if __name__ == "__main__":
    sys.exit(main())
