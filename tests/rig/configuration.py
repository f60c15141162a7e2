"""The rig's Asterisk configuration: the user's snippets from `deploy/asterisk` with other addresses, and what a bare
Asterisk needs around them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.rig.place import MODULES
from tests.rig.sound import tone, write_wav

DEPLOY = Path(__file__).parents[2] / "deploy" / "asterisk"
SECRET = "the rig's own secret"
RTP_PORTS = (10_000, 19_999)  # below the ephemeral ones; Asterisk goes on to the next when one is taken
SEATS = 200
ODD_SEATS = 20  # so many have a second phone that leaves (x) and a third that is never answered (n)
WEB_SEATS = 10  # so many have a phone in their page as well
MESSAGE_S = 2.0
FURTHER_MODULES = (
    "app_dial", "app_echo", "app_stack", "codec_alaw", "codec_gsm", "codec_resample", "format_gsm", "format_sln",
    "format_wav", "func_callerid", "func_strings", "func_timeout", "res_crypto", "res_http_websocket",
    "res_pjproject", "res_pjsip_authenticator_digest", "res_pjsip_caller_id", "res_pjsip_dtmf_info",
    "res_pjsip_endpoint_identifier_ip", "res_pjsip_endpoint_identifier_user", "res_pjsip_pubsub",
    "res_pjsip_registrar", "res_pjsip_rfc3326", "res_pjsip_sdp_rtp", "res_pjsip_transport_websocket",
    "res_sorcery_astdb", "res_sorcery_config", "res_sorcery_memory", "res_speech", "res_srtp",
)  # fmt: skip

BARE = (
    "acl.conf",
    "amd.conf",
    "ccss.conf",
    "cel.conf",
    "features.conf",
    "indications.conf",
    "pjproject.conf",
    "udptl.conf",
)  # must be there, and may say nothing


@dataclass(frozen=True, slots=True)
class Addresses:
    """Ports on loopback."""

    ami: int
    sip: int
    carrier: int
    phones: int
    http: int
    wss: int
    ami_tls: int


def write(folder: Path, inner: str, modules: str, addresses: Addresses, extra_dialplan: str = "") -> Path:
    """Write everything below `folder`, which Asterisk sees as `inner`; returns the folder of the configuration.

    `extra_dialplan` comes after the user's contexts.
    """
    etc = folder / "etc"
    for name in ("etc", "run", "log", "db", "spool", "data", "keys/keys", "moh", "agi-bin"):
        (folder / name).mkdir(parents=True)
    (folder / "data/documentation").symlink_to("/usr/share/asterisk/documentation")
    sounds = folder / "data/sounds"
    for name in ("zhudong/safe-harbour", "auth-thankyou"):
        write_wav(sounds / "en" / f"{name}.wav", tone(MESSAGE_S))
    write_wav(folder / "moh/music.wav", tone(5.0))
    certify(folder / "keys")
    files = {
        "asterisk.conf": f"""\
[directories]
astetcdir = {inner}/etc
astmoddir = {modules}
astvarlibdir = {inner}/data
astdatadir = {inner}/data
astagidir = {inner}/agi-bin
astdbdir = {inner}/db
astkeydir = {inner}/keys
astspooldir = {inner}/spool
astrundir = {inner}/run
astlogdir = {inner}/log
[options]
verbose = 3
dontwarn = yes
transmit_silence = yes
""",
        "modules.conf": "[modules]\nautoload = no\n" + "".join(
            f"load = {name}.so\n" for name in sorted((*MODULES, *FURTHER_MODULES))
        ),
        "logger.conf": "[general]\n[logfiles]\nfull = notice,warning,error,verbose(3)\n",
        "rtp.conf": f"[general]\nrtpstart = {RTP_PORTS[0]}\nrtpend = {RTP_PORTS[1]}\n",
        "musiconhold.conf": f"[default]\nmode = files\ndirectory = {inner}/moh\n",
        "cdr.conf": "[general]\nenable = no\n",
        "confbridge.conf": "[general]\n[default_bridge]\ntype = bridge\n[default_user]\ntype = user\nquiet = yes\n",
        "extensions.conf": (DEPLOY / "extensions.conf").read_text("utf-8") + extra_dialplan,
        "sorcery.conf": (DEPLOY / "sorcery.conf").read_text("utf-8"),
        "http.conf": http((DEPLOY / "http.conf").read_text("utf-8"), addresses, f"{inner}/keys"),
        "manager.conf": manager((DEPLOY / "manager.conf").read_text("utf-8"), addresses, f"{inner}/keys"),
        "pjsip.conf": pjsip((DEPLOY / "pjsip.conf").read_text("utf-8"), addresses),
    }  # fmt: skip
    for name, text in (dict.fromkeys(BARE, "[general]\n") | files).items():
        (etc / name).write_text(text, "utf-8")
    return etc


def manager(text: str, addresses: Addresses, keys: str) -> str:
    """The user's manager.conf at the rig's ports, with its TLS."""
    text = replaced(text, "port = 5038", f"port = {addresses.ami}").replace("; tls", "tls")
    text = replaced(text, "tlsbindaddr = 0.0.0.0:5039", f"tlsbindaddr = 127.0.0.1:{addresses.ami_tls}")
    text = text.replace("/etc/asterisk/keys", keys)
    return replaced(text, "secret = choose-a-long-one", f"secret = {SECRET}")


def http(text: str, addresses: Addresses, keys: str) -> str:
    """The user's http.conf at the rig's ports, with a certificate of the rig's own."""
    text = replaced(text, "bindport = 8088", f"bindport = {addresses.http}")
    text = replaced(text, "tlsbindaddr = 0.0.0.0:8089", f"tlsbindaddr = 127.0.0.1:{addresses.wss}")
    return text.replace("/etc/asterisk/keys", keys)


def certify(keys: Path) -> None:
    """A certificate that signs itself, for the loopback, good for as long as a test runs."""
    command = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    )
    subject = ("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(keys / "privkey.pem"), "-out", str(keys / "fullchain.pem"))
    subprocess.run((*command, *subject, *files), check=True, capture_output=True)


def pjsip(text: str, addresses: Addresses) -> str:
    """The user's pjsip.conf with SIPp as its carrier, and with more phones, which do not register."""
    text = replaced(text, "bind = 0.0.0.0:5060", f"bind = 127.0.0.1:{addresses.sip}")
    text = replaced(text, "contact = sip:192.0.2.10:5060", f"contact = sip:127.0.0.1:{addresses.carrier}")
    text = replaced(text, "match = 192.0.2.10", "match = 127.0.0.1")
    text = text.partition("[seat001](seat)")[0].replace("qualify_frequency = 30", "qualify_frequency = 0")
    text = replaced(text, "rtp_timeout = 30", "rtp_timeout = 0")  # SIPp's phones say nothing
    names = [f"seat{n:03}" for n in range(1, SEATS + 1)]
    names += [f"seat{n:03}{end}" for n in range(1, ODD_SEATS + 1) for end in "xn"]
    web = "".join(
        f"[{name}-web](web-seat)\naors = {name}-web\nauth = {name}-web\n[{name}-web](web-aor)\n"
        for name in names[1:WEB_SEATS]  # the first is the user's own example
    )
    phones = "".join(
        f"[{name}](seat)\naors = {name}\n"
        f"[{name}](seat-aor)\ntype = aor\ncontact = sip:{name}@127.0.0.1:{addresses.phones}\n"
        for name in names
    )
    # pages and carrier share an address here: who registers is told by the name first
    order = "[global]\ntype = global\nendpoint_identifier_order = username,ip\n"
    return order + text + web + phones


def replaced(text: str, old: str, new: str) -> str:
    """Replace what stands there exactly once."""
    if text.count(old) != 1:
        raise ValueError(
            f"deploy/asterisk: {old!r} stands there {text.count(old)} times, the rig expects it once"
        )
    return text.replace(old, new)
