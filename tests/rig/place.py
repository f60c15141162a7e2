"""Where the rig's Asterisk and SIPp are, and how one gets them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

HOW = "python -m tests.rig.provision (as root on Debian or Ubuntu)"

# What the dialplan, the engine and the rig need; the switch of a user needs them too.
MODULES = (
    "app_amd", "app_bridgeaddchan", "app_chanspy", "app_confbridge", "app_mixmonitor", "app_playback", "app_read",
    "app_senddtmf", "app_userevent",
    "bridge_builtin_features", "bridge_native_rtp", "bridge_simple", "bridge_softmix", "chan_pjsip", "codec_ulaw",
    "format_pcm", "func_channel", "func_logic", "pbx_config", "res_agi", "res_musiconhold", "res_mutestream",
    "res_pjsip", "res_pjsip_session", "res_rtp_asterisk", "res_timing_timerfd",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Installed:
    """An Asterisk in its own root folder (`/` is the host itself), and SIPp on the host."""

    root: Path
    modules: Path
    sipp: Path


def cache() -> Path:
    """The folder outside the project that keeps the Asterisk between runs."""
    chosen = os.environ.get("ZHUDONG_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(base) / "zhudong"


def folder() -> Path:
    """The root folder of Debian sid with Asterisk 22."""
    return cache() / "asterisk-22"


def mark() -> Path:
    """Written last: without it the folder is from a run that was cut off."""
    return cache() / "asterisk-22.complete"


def find() -> Installed | None:
    """The rig's programs, if all of them are there."""
    sipp = shutil.which("sipp")
    root = folder() if mark().exists() else Path("/")
    modules = modules_of(root)
    if sipp is None or modules is None:
        return None
    return Installed(root, modules, Path(sipp))


def modules_of(root: Path) -> Path | None:
    """The folder of Asterisk's modules below this root, if Asterisk is installed there."""
    if not (root / "usr/sbin/asterisk").exists():
        return None
    return next(iter(sorted((root / "usr/lib").glob("**/asterisk/modules/"))), None)


def missing_modules(modules: Path) -> list[str]:
    """What this Asterisk lacks."""
    return [name for name in MODULES if not (modules / f"{name}.so").exists()]
