"""The few console commands a dialer's check asks of a switch, with Asterisk's own wording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulator.switch.agi import VERSION

if TYPE_CHECKING:
    from simulator.switch.server import VirtualSwitch

VERSION_LINE: Final = f"Asterisk {VERSION} built by zhudong @ virtual on a virtual switch running Python"
MODULES: Final[tuple[tuple[str, str], ...]] = (
    ("app_amd.so", "Answering Machine Detection Application"),
    ("app_mixmonitor.so", "Mixed Audio Monitoring Application"),
    ("bridge_native_rtp.so", "Native RTP bridging module"),
    ("chan_pjsip.so", "PJSIP Channel Driver"),
    ("res_agi.so", "Asterisk Gateway Interface (AGI)"),
    ("res_pjsip.so", "Basic SIP resource"),
)


def console(switch: VirtualSwitch, command: str) -> tuple[bool, list[str]]:
    """Whether the command succeeded, and the lines it printed."""
    words = command.split()
    head = " ".join(words[:2]).lower()
    if command.strip().lower() == "core show version":
        return True, [VERSION_LINE]
    if head == "dialplan show":
        return _dialplan(switch, words[2] if len(words) > 2 else "")
    if " ".join(words[:3]).lower() == "module show like":
        return True, _modules(words[3] if len(words) > 3 else "")
    if " ".join(words[:3]).lower() == "pjsip show endpoint":
        return _endpoint(switch, words[3] if len(words) > 3 else "")
    if head == "core show" and len(words) > 2 and words[2].lower() == "channels":
        count = len(switch.exchange.by_uid)
        return True, [f"{count} active channels", f"{switch.exchange.processed} calls processed"]
    return False, [
        f"No such command '{command}' (type 'core show help {command}' for other possible commands)"
    ]


def _dialplan(switch: VirtualSwitch, name: str) -> tuple[bool, list[str]]:
    context = name.rpartition("@")[2]
    steps = switch.exchange.dialplan.contexts.get(context)
    if steps is None:
        return False, [
            f"There is no existence of '{name}' context",
            f"Command 'dialplan show {name}' failed.",
        ]
    lines = [f"[ Context '{context}' created by 'pbx_config' ]"]
    for number, step in enumerate(steps, 1):
        head = "  's' =>" if number == 1 else ""
        lines.append(f"{head:<20}{number}. {step.app}({step.data})".ljust(64) + "[extensions.conf:1]")
    return True, [*lines, "", f"-= 1 extension ({len(steps)} priorities) in 1 context. =-"]


def _modules(like: str) -> list[str]:
    found = [(name, text) for name, text in MODULES if like in name]
    rows = [f"{name:<31}{text:<41}0          Running              core" for name, text in found]
    return [
        "Module                         Description                              Use Count  Status      Support Level",
        *rows,
        f"{len(found)} modules loaded",
    ]


def _endpoint(switch: VirtualSwitch, name: str) -> tuple[bool, list[str]]:
    scenario = switch.exchange.scenario
    if not name or not scenario.knows_trunk(name):
        return False, [f"Unable to find object {name}."]
    return True, [
        f" Endpoint:  {name:<55}Not in use    0 of inf",
        f"     Contact:  {name}/sip:{name}@127.0.0.1  Avail  1.000",
    ]
