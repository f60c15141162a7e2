"""What the seats' door can be told at start: limits, times, cookies. Every figure says why it is what it is."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from cti.pauses import DEFAULT_PAUSES, PauseReason

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """The company's own sign-on. No `secret`: a public client; no `new_role`: nobody is added by signing on."""

    issuer: str
    client_id: str
    redirect_uri: str
    secret: str = ""
    claim: str = "preferred_username"
    scopes: tuple[str, ...] = ("openid", "profile")
    new_role: str = ""
    new_unit: str = ""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Settings of the web app; the defaults suit one machine with a thousand seats."""

    grace_s: float = (
        30.0  # a page may be away this long before its seat is logged out: a reload, a Wi-Fi hand-over
    )
    ring_size: int = (
        64  # events kept per seat for resume: ten calls, 20 kB; a longer absence gets the full state
    )
    outbox_limit: int = 128  # events waiting for one socket; more means its reader has stopped
    lag_limit_s: float = 5.0  # a write that waits this long means the same
    hello_limit_s: float = 10.0  # a socket that says nothing is closed
    command_limit_s: float = 5.0  # how long a page waits for the engine
    max_message_bytes: int = 32_768  # a page's longest message: a draft with notes, mostly
    max_form_bytes: int = 4_096
    message_rate: float = 20.0  # messages per second a page may send for long …
    message_burst: int = 60  # … and at once
    fault_limit: int = 50  # malformed or too frequent messages before the socket is closed
    status_interval_s: float = 0.5  # how often watchers get snapshots
    session_check_s: float = 60.0  # how often an open socket's session is looked up again
    silence_limit_s: float = 10.0  # a page that pings, and then says nothing for this long, is gone or asleep
    quiet_s: float = 4.5  # one that says nothing for this long may be taken over without being asked
    ping_interval_s: float = 10.0  # a lost cable is noticed within interval + time-out
    ping_timeout_s: float = 10.0
    max_connections: int = 5_000
    secure_cookie: bool = False  # set it when the door is reached by https only
    allowed_origins: tuple[str, ...] = ()  # further origins, e.g. behind a proxy that rewrites Host
    trusted_proxies: tuple[str, ...] = ()  # addresses whose X-Forwarded-For is believed
    second_factor: tuple[str, ...] = ()  # roles that must have one
    oidc: OidcSettings | None = None  # None: people log in by password alone
    default_language: str = "zh"
    pauses: tuple[PauseReason, ...] = DEFAULT_PAUSES
    frames: tuple[str, ...] = ()  # origins that may be shown within the agent's page
    switches: tuple[str, ...] = ()  # of the daemon, by name; empty: campaigns may name any
    others: tuple[str, ...] = ()  # origins of other engines' pages, to which this one's may move
    gateways: tuple[
        tuple[str, str], ...
    ] = ()  # channels by which customers are written to, each with its secret
    bounces: tuple[str, str] = (
        "",
        "",
    )  # the address under which mails come back, and the secret of its tokens
    cookie_domain: str = ""  # what all of them are under
    softphones: tuple[str, ...] = ()  # wss addresses of switches with which the page's own phone may register


def safe(url: str) -> bool:
    """Whether nobody on the way reads what is sent there: https, or this machine itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK))
