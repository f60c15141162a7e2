"""The parts of a daemon as its configuration says: switches, channels of messages, webhooks, the seats' door."""

from __future__ import annotations

import ipaddress
import os

from sqlalchemy import Engine as DatabaseEngine

from campaigns.audit import By, acting
from campaigns.messages.receipts import Receipts
from cti.settings import OidcSettings, WebSettings
from cti.webhooks import Hook
from dialer.certificates import believed
from dialer.channel import Channel
from dialer.config import Config, GatewaySection, OidcSection, SwitchSection, WebhookSection, client_secret
from dialer.core.lines import SwitchLines
from dialer.gateway import Gateway
from dialer.mail import Mail
from dialer.smpp import Smpp
from dialer.switch.asterisk import AsteriskSwitch


def lines_of(section: SwitchSection) -> SwitchLines:
    """The limits and dial strings of a switch."""
    return SwitchLines(
        section.name,
        section.max_lines,
        section.calls_per_s,
        section.trunk,
        section.phone,
        section.softphone,
        section.softphone_endpoint,
    )


def switch_of(section: SwitchSection) -> AsteriskSwitch:
    """The link to a switch, not open yet."""
    return AsteriskSwitch(
        section.name, section.host, section.port, section.user, section.secret, believed(section)
    )


def channels(config: Config, stored: DatabaseEngine) -> dict[str, Channel]:
    """By what this engine can send messages."""
    found: dict[str, Channel] = {}
    if config.messages.email.host:
        found["email"] = Mail(config.messages.email)
    for name, section in _gateways(config).items():
        found[name] = Gateway(section)
    if config.messages.smpp is not None:
        by = By("smpp", config.messages.smpp.host)
        found["sms"] = Smpp(config.messages.smpp, Receipts(acting(stored, by), "sms"))
    return found


def rates(config: Config) -> dict[str, float]:
    """How many messages of a channel may go out in a second."""
    found = {"email": config.messages.email.per_second}
    found |= {name: section.per_second for name, section in _gateways(config).items()}
    if config.messages.smpp is not None:
        found["sms"] = config.messages.smpp.per_second
    return {name: rate for name, rate in found.items() if rate}


def _gateways(config: Config) -> dict[str, GatewaySection]:
    named = {"sms": config.messages.sms, "gateway": config.messages.gateway}
    return {name: section for name, section in named.items() if section is not None}


def hook_of(section: WebhookSection) -> Hook:
    """Where events go."""
    networks = tuple(map(ipaddress.ip_network, section.networks))
    return Hook(section.name, section.url, section.secret, section.campaigns, networks)


def link_of(section: SwitchSection) -> tuple[object, ...]:
    """What of a switch holds until the next start; the pages' headers name the address of its softphones."""
    return (
        section.name,
        section.host,
        section.port,
        section.user,
        section.secret,
        section.tls,
        section.ca,
        section.softphone,
        section.standby,
    )


def _sign_on(section: OidcSection) -> OidcSettings:
    return OidcSettings(
        issuer=section.issuer,
        client_id=section.client_id,
        redirect_uri=section.redirect_uri,
        secret=client_secret(section, os.environ),
        claim=section.claim,
        scopes=section.scopes,
        new_role=section.new_role or "",
        new_unit=section.new_unit,
    )


def web_settings(config: Config) -> WebSettings:
    """What the seats' door is told."""
    web = config.web
    return WebSettings(
        secure_cookie=web.secure_cookie,
        allowed_origins=web.allowed_origins,
        trusted_proxies=web.trusted_proxies,
        default_language=web.default_language,
        second_factor=tuple(str(role) for role in web.second_factor),
        frames=web.frames,
        oidc=_sign_on(config.oidc) if config.oidc is not None else None,
        others=config.cluster.others,
        cookie_domain=config.cluster.cookie_domain,
        bounces=(config.messages.email.bounces, config.messages.email.secret),
        gateways=tuple((name, section.secret) for name, section in _gateways(config).items()),
        pauses=config.pause,
        switches=tuple(section.name for section in config.switch),
        softphones=tuple(section.softphone for section in config.switch if section.softphone),
    )
