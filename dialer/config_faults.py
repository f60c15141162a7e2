"""What is wrong with a configuration whose values have the right types: the key, and the reason for a person."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from campaigns.config import fault_of_dial
from campaigns.messages.bounces import LONGEST_LOCAL
from campaigns.messages.writing import MAIL_ADDRESS
from campaigns.reports.asking import BadQuestion, zone_of
from campaigns.reports.catalogue import COMPLIANCE, REPORTS
from campaigns.rights import Role
from cti import pauses
from cti.settings import safe
from cti.wire import PHONE

if TYPE_CHECKING:
    from dialer.config import (
        ClusterSection,
        Config,
        GatewaySection,
        MessagesSection,
        OidcSection,
        SmppSection,
        SwitchSection,
        WebhookSection,
    )

WSS_ADDRESS = re.compile(  # it becomes part of a header: nothing that ends a word there
    r"wss://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?(/[A-Za-z0-9._~/-]*)?"
)
NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
ORIGIN = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?")
DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
SHORTEST_SECRET = 16  # of a webhook: it is what its receiver trusts
MOST_WINDOW = 1_000  # texts without an answer
LEAST_RATE, MOST_RATE = 0.01, 1_000.0  # messages a second
MOST_DAYS = 36_500  # that recordings are kept
AGI_ADDRESS = re.compile(
    r"agi://[A-Za-z0-9._:\[\]-]+"
)  # it becomes a channel variable: no comma, quote or blank


def faults(config: Config) -> Iterator[tuple[str, str]]:
    """Yield (key, reason) for each value that has the right type and makes no sense."""
    if not config.switch:
        yield "switch", "there must be at least one [[switch]]"
    if not NAME.fullmatch(config.engine.name):
        yield "engine.name", "must be 1 to 32 letters, digits, - or _"
    if not math.isfinite(config.engine.drain_limit_s):
        yield "engine.drain_limit_s", "must be a number of seconds"
    if config.engine.drain_limit_s < 0:
        yield "engine.drain_limit_s", "must not be negative"
    yield from _cluster_faults(config.cluster)
    for key, url in (
        ("database.url", config.database.url),
        ("database.web_url", config.database.web_url),
        ("reports.database_url", config.reports.database_url),
    ):
        if url and not url.startswith(("postgresql://", "postgresql+psycopg2://")):
            yield key, "must begin with postgresql://; no other database is supported"
        if url and not _readable(url):
            yield key, "can't be read; it looks like postgresql://user:password@host:5432/name"
    try:
        zone_of(config.reports.zone)
    except BadQuestion as fault:
        yield "reports.zone", str(fault).removeprefix("zone: ")
    for key, port in (
        ("web.port", config.web.port),
        ("metrics.port", config.metrics.port),
        ("agi.port", config.agi.port),
    ):
        if not 0 <= port <= 65535:
            yield key, f"{port} is no port"
    if config.tracing.endpoint and not config.tracing.endpoint.startswith(("http://", "https://")):
        yield "tracing.endpoint", "must be a URL, as in http://127.0.0.1:4318/v1/traces"
    if not 0 < config.tracing.share <= 1:
        yield "tracing.share", "must be above 0, and at most 1"
    if config.agi.advertise and not AGI_ADDRESS.fullmatch(config.agi.advertise):
        yield "agi.advertise", "must begin with agi:// and name an address, as in agi://10.0.0.4:4573"
    if bool(config.web.certificate) != bool(config.web.key):
        yield "web.certificate", "needs a key, and the key a certificate"
    if config.web.default_language not in ("zh", "en"):
        yield "web.default_language", "must be zh or en"
    for index, origin in enumerate(config.web.frames):
        if not ORIGIN.fullmatch(origin):
            yield f"web.frames[{index}]", f"{origin!r} must be an origin, as in https://crm.example"
    yield from pauses.faults(config.pause)
    if config.oidc is not None:
        yield from _oidc_faults(config.oidc)
    if not 2 <= config.history.live_months <= 120:
        yield "history.live_months", "must be between 2 and 120"
    if not 0 <= config.recordings.keep_days <= MOST_DAYS:
        yield "recordings.keep_days", f"must be between 1 and {MOST_DAYS}, or 0: for ever"
    if config.backup.keep < 1:
        yield "backup.keep", "must be at least 1"
    if config.backup.folder and config.database.url:
        yield (
            "backup.folder",
            "is for the embedded database; a server's own backup is the one of [database] url",
        )
    yield from _webhook_faults(config.webhook)
    yield from _report_faults(config)
    yield from _message_faults(config.messages)
    yield from _switch_faults(config.switch)


def _switch_faults(switches: Sequence[SwitchSection]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for index, switch in enumerate(switches):
        key = f"switch[{index}]"
        yield from _name_faults(f"{key}.name", switch.name, "switch", seen)
        if not 1 <= switch.port <= 65535:
            yield f"{key}.port", f"{switch.port} is no port"
        if switch.ca and not switch.tls:
            yield f"{key}.ca", "says nothing without tls = true"
        if switch.max_lines < 1:
            yield f"{key}.max_lines", "must be at least 1"
        if not 0 < switch.calls_per_s <= 1000:
            yield f"{key}.calls_per_s", "must be above 0 and at most 1000"
        if fault := fault_of_dial(switch.trunk, "number"):
            yield f"{key}.trunk", f"{fault}, as in PJSIP/{{number}}@carrier"
        if fault := fault_of_dial(switch.phone, "endpoint"):
            yield f"{key}.phone", f"{fault}, as in PJSIP/{{endpoint}}"
        if switch.softphone and not WSS_ADDRESS.fullmatch(switch.softphone):
            yield f"{key}.softphone", "must be a wss address, as in wss://pbx.example:8089/ws"
        if fault := fault_of_dial(switch.softphone_endpoint, "phone"):
            yield f"{key}.softphone_endpoint", f"{fault}, as in {{phone}}-web"
        elif not PHONE.fullmatch(switch.softphone_endpoint.format(phone="a")):
            yield f"{key}.softphone_endpoint", "must have letters, digits, _ . - and {phone} only"
        for field in ("host", "user", "secret", "trunk", "phone"):
            value = getattr(switch, field)
            if not value:
                yield f"{key}.{field}", "must not be empty"
            if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in value):
                yield f"{key}.{field}", "holds a control character"


def _cluster_faults(cluster: ClusterSection) -> Iterator[tuple[str, str]]:
    named = [("address", cluster.address)] if cluster.address else []
    for key, origin in (*named, *((f"others[{n}]", each) for n, each in enumerate(cluster.others))):
        if not ORIGIN.fullmatch(origin):
            yield f"cluster.{key}", f"{origin!r} must be an origin, as in https://dialer-1.example"
        elif cluster.cookie_domain and not f".{urlsplit(origin).hostname}".endswith(
            f".{cluster.cookie_domain}"
        ):
            yield f"cluster.{key}", f"{origin} is not under {cluster.cookie_domain}, which is cookie_domain"
    if cluster.others and not cluster.address:
        yield "cluster.address", "must be there where there are others: they send browsers to it"
    if cluster.cookie_domain and not DOMAIN.fullmatch(cluster.cookie_domain):
        yield "cluster.cookie_domain", "must be a domain, as in callcentre.example"


def _oidc_faults(oidc: OidcSection) -> Iterator[tuple[str, str]]:
    for key in ("issuer", "redirect_uri"):
        if not safe(getattr(oidc, key)):
            yield f"oidc.{key}", "must be an https address; http only on this machine"
    if not oidc.redirect_uri.endswith("/login/oidc/back"):
        yield (
            "oidc.redirect_uri",
            "must end in /login/oidc/back, as in https://dialer.example/login/oidc/back",
        )
    if not oidc.client_id:
        yield "oidc.client_id", "must not be empty"
    if not oidc.claim:
        yield "oidc.claim", "must name a claim, as in preferred_username"
    if "openid" not in oidc.scopes:
        yield "oidc.scopes", "must have openid among them"
    if oidc.new_role in (Role.ADMINISTRATOR, Role.AUDITOR):
        yield "oidc.new_role", f"whom nobody added can't be made {oidc.new_role}"
    if oidc.new_unit and oidc.new_role is None:
        yield "oidc.new_unit", "says nothing without new_role"


def _report_faults(config: Config) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for index, each in enumerate(config.report):
        key = f"report[{index}]"
        if not NAME.fullmatch(each.name) or each.name in seen:
            yield f"{key}.name", "must be 1 to 32 letters, digits, - or _, and no other report's"
        seen.add(each.name)
        if each.report == COMPLIANCE:
            if each.by:
                yield f"{key}.by", "this report is of each campaign and day"
        elif each.report not in REPORTS:
            yield f"{key}.report", f"{each.report!r} is none of {', '.join((*REPORTS, COMPLIANCE))}"
        elif unknown := set(each.by) - set(REPORTS[each.report].dimensions):
            yield f"{key}.by", f"{', '.join(sorted(unknown))}: this report is not split by that"
        if not each.to and not each.folder:
            yield f"{key}.to", "must name a mail address, or the report a folder"
        if each.to and not (config.mail.host and config.mail.sender):
            yield f"{key}.to", "needs a [mail] with host and sender"
        for address in (*each.to, *((config.mail.sender,) if each.to else ())):
            if not MAIL_ADDRESS.fullmatch(address):
                yield f"{key}.to", f"{address!r} is no mail address"
    if not 1 <= config.mail.port <= 65535:
        yield "mail.port", f"{config.mail.port} is no port"


def _message_faults(messages: MessagesSection) -> Iterator[tuple[str, str]]:
    if messages.public_url and not ORIGIN.fullmatch(messages.public_url):
        yield "messages.public_url", "must be an origin, as in https://dialer.example"
    if messages.email.host:
        if not MAIL_ADDRESS.fullmatch(messages.email.sender):
            yield "messages.email.sender", f"{messages.email.sender!r} is no mail address"
        if not messages.public_url:
            yield (
                "messages.public_url",
                "must be there where there is e-mail: its links to have no more begin with it",
            )
    if bounces := messages.email.bounces:
        if not MAIL_ADDRESS.fullmatch(bounces) or "+" in bounces:
            yield "messages.email.bounces", f"{bounces!r} is no mail address, or has a + already"
        if len(bounces.rpartition("@")[0]) > LONGEST_LOCAL:
            yield "messages.email.bounces", f"may have {LONGEST_LOCAL} characters before the @"
        if len(messages.email.secret) < SHORTEST_SECRET:
            yield "messages.email.secret", f"must have at least {SHORTEST_SECRET} characters"
    if not 1 <= messages.email.port <= 65535:
        yield "messages.email.port", f"{messages.email.port} is no port"
    for name, gateway in (("sms", messages.sms), ("gateway", messages.gateway)):
        if gateway is not None:
            yield from _address_faults(f"messages.{name}", gateway)
    if (smpp := messages.smpp) is not None:
        yield from _smpp_faults(smpp)
        if messages.sms is not None:
            yield "messages.smpp", "can't be there beside messages.sms: both take texts"
    for name, channel in (
        ("smpp", messages.smpp),
        ("email", messages.email),
        ("sms", messages.sms),
        ("gateway", messages.gateway),
    ):
        if channel is not None and not (
            channel.per_second == 0 or LEAST_RATE <= channel.per_second <= MOST_RATE
        ):
            yield f"messages.{name}.per_second", f"must be between {LEAST_RATE} and {MOST_RATE}, or 0"


def _smpp_faults(smpp: SmppSection) -> Iterator[tuple[str, str]]:
    for key, value, most in (
        ("host", smpp.host, 253), ("system_id", smpp.system_id, 15), ("password", smpp.password, 8),
        ("system_type", smpp.system_type, 12), ("sender", smpp.sender, 20),
    ):  # fmt: skip
        least = 0 if key in ("system_type", "sender") else 1
        if not (least <= len(value) <= most and value.isascii() and (value.isprintable() or not value)):
            yield f"messages.smpp.{key}", f"must have {least} to {most} characters of ASCII"
    if not 1 <= smpp.port <= 65535:
        yield "messages.smpp.port", f"{smpp.port} is no port"
    if not 1 <= smpp.window <= MOST_WINDOW:
        yield "messages.smpp.window", f"must be between 1 and {MOST_WINDOW}"


def _webhook_faults(webhooks: Sequence[WebhookSection]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for index, hook in enumerate(webhooks):
        key = f"webhook[{index}]"
        yield from _name_faults(f"{key}.name", hook.name, "webhook", seen)
        yield from _address_faults(key, hook)


def _name_faults(key: str, name: str, what: str, seen: set[str]) -> Iterator[tuple[str, str]]:
    """`seen` are the names of those before it; this one is added."""
    if not NAME.fullmatch(name):
        yield key, "must be 1 to 32 letters, digits, - or _"
    if name in seen:
        yield key, f"{name!r} is the name of another {what}"
    seen.add(name)


def _address_faults(key: str, hook: WebhookSection | GatewaySection) -> Iterator[tuple[str, str]]:
    try:
        parts = urlsplit(hook.url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
        parts = urlsplit("")
    if not usable or not hook.url.isascii() or not hook.url.isprintable() or " " in hook.url:
        yield f"{key}.url", "must be an address, as in https://crm.example/zhudong"
    elif "@" in parts.netloc:
        yield f"{key}.url", "must not hold a password; what proves who sends is the signature"
    if len(hook.secret) < SHORTEST_SECRET:
        yield f"{key}.secret", f"must have at least {SHORTEST_SECRET} characters"
    for network in hook.networks:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            yield f"{key}.networks", f"{network!r} is no network, as in 10.1.0.0/16"


def _readable(url: str) -> bool:
    try:
        make_url(url)
    except (ArgumentError, ValueError):
        return False
    return True
