"""The daemon's configuration, `dialer.toml`: read, checked, and refused with file, key and reason."""

from __future__ import annotations

import datetime
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
from platformdirs import user_data_path

from campaigns.rights import Role
from cti.pauses import DEFAULT_PAUSES, PauseReason
from dialer.config_faults import faults

OIDC_SECRET = "ZHUDONG_OIDC_SECRET"  # of the environment
Kept = Literal["30d", "5y", "10y"]


class ConfigError(Exception):
    """A configuration that can't be used. The text names the file, the key and the reason."""


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections."""


class EngineSection(_Section, frozen=True):
    """`name` tells engines apart in the journal and in leases; it must stay the same over restarts."""

    name: str = "engine-1"
    drain_limit_s: float = 120.0  # how long calls may go on after SIGTERM


class ClusterSection(_Section, frozen=True):
    """Several engines on one database. `address`: at which browsers reach this one's pages, `others`: at which theirs;
    `cookie_domain`: what all these are under, so that who logged in at one is logged in at each.
    """

    address: str = ""
    others: tuple[str, ...] = ()
    cookie_domain: str = ""


class DatabaseSection(_Section, frozen=True):
    """`url` empty: an embedded PostgreSQL in the data folder. `web_url`: the same one by the pages' own log-in."""

    url: str = ""
    web_url: str = ""


class WebSection(_Section, frozen=True):
    host: str = "127.0.0.1"
    port: int = 8080
    secure_cookie: bool = False
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    certificate: str = ""  # PEM, with what leads to its authority; empty: http, for a proxy in front
    key: str = ""
    default_language: str = "zh"
    second_factor: tuple[Role, ...] = ()
    frames: tuple[str, ...] = ()  # origins that may be shown within the agent's page


class OidcSection(_Section, frozen=True):
    """The company's own sign-on. The secret is in `secret_file` or in the environment, never here."""

    issuer: str
    client_id: str
    redirect_uri: str
    secret_file: str = ""
    claim: str = "preferred_username"
    scopes: tuple[str, ...] = ("openid", "profile")
    new_role: Role | None = None  # what those become whom nobody added; None: they are not let in
    new_unit: str = ""


class MetricsSection(_Section, frozen=True):
    host: str = "127.0.0.1"
    port: int = 9464


class TracingSection(_Section, frozen=True):
    """Where calls go as OpenTelemetry traces (OTLP over HTTP), and what share of them; empty: nowhere."""

    endpoint: str = ""
    share: float = 1.0


class AgiSection(_Section, frozen=True):
    """Where the FastAGI service listens; `advertise` is how the switch reaches it, when that differs."""

    host: str = "127.0.0.1"
    port: int = 4573
    advertise: str = ""


class CampaignsSection(_Section, frozen=True):
    """`folder`: campaign files to apply when they change, empty for none."""

    folder: str = ""


class WebhookSection(_Section, frozen=True):
    """Where events of calls go. `campaigns` empty: of all; `networks`: private ones that it may reach, as CIDR."""

    name: str
    url: str
    secret: str
    campaigns: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()


class HistorySection(_Section, frozen=True):
    """`folder` empty: `archive` in the data folder. `live_months` whole months stay in the tables; then how long each
    record is kept, in a file or not: `calls` (attempts, dispositions), `seats`, `leads`, `audit`.
    """

    folder: str = ""
    live_months: int = 3
    calls: Kept = "5y"
    seats: Kept = "5y"
    leads: Kept = "5y"
    audit: Kept = "10y"

    def archive(self, data: Path) -> Path:
        """Where the months are that have left the tables, of an installation with this data folder."""
        return Path(self.folder) if self.folder else data / "archive"


class BackupSection(_Section, frozen=True):
    """Of the embedded database. `folder` empty: none; `keep`: so many base backups, and the archive since the first."""

    folder: str = ""
    keep: int = 7


class RecordingsSection(_Section, frozen=True):
    """`folder`: where the switch's recordings are found from here, empty for `recordings` in the data folder;
    `keep_days`: how long they are kept, 0 for ever; `keys`: the file of the keys that they are sealed with, empty: they
    are not.
    """

    folder: str = ""
    keep_days: int = 0
    keys: str = ""


class ReportsSection(_Section, frozen=True):
    """`database_url`: a read replica that reports are asked of, empty for the database itself; `zone`: whose days
    they are; `folder`: where reports that people schedule are laid, each owner's in one of their own, empty: nowhere.
    """

    database_url: str = ""
    zone: str = "Asia/Shanghai"
    folder: str = ""


class MailSection(_Section, frozen=True):
    """The server that takes mail. `security` is `starttls`, `tls` or `none`; without a `user` nobody signs in."""

    host: str = ""
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: str = ""
    sender: str = ""


class MessageMailSection(MailSection, frozen=True):
    """The server that takes messages by e-mail, `per_second` of them at most; 0: as many as it takes.

    `bounces`: the address under which each mail has its own to come back to, which `secret` signs; empty: they come
    back to the sender.
    """

    per_second: float = 0.0
    bounces: str = ""
    secret: str = ""


class GatewaySection(_Section, frozen=True):
    """A company's own gateway, which takes messages by HTTP, `per_second` of them at most, 0: as many as it takes.

    `networks`: private ones that it may be in, as CIDR.
    """

    url: str
    secret: str
    networks: tuple[str, ...] = ()
    per_second: float = 0.0


class SmppSection(_Section, frozen=True):
    """A provider's SMSC, which takes texts by SMPP 3.4: `window` of them without an answer, `per_second` at most.

    `sender`: the number or name that texts are from whose step says none.
    """

    host: str
    system_id: str
    password: str
    port: int = 2775
    tls: bool = False
    system_type: str = ""
    sender: str = ""
    window: int = 10
    per_second: float = 0.0


class MessagesSection(_Section, frozen=True):
    """By what messages go out. `public_url`: where customers and gateways reach our pages. What is not there is not
    sent by this engine.
    """

    public_url: str = ""
    email: MessageMailSection = MessageMailSection()
    sms: GatewaySection | None = None
    gateway: GatewaySection | None = None
    smpp: SmppSection | None = None


class ReportSection(_Section, frozen=True):
    """A report that goes out by itself: of each `day`, `week` from Monday on or `month`, from `at` on the day after.

    It shows what `login` may see, and goes by mail to `to`, and into `folder`, as a CSV or a workbook.
    """

    name: str
    report: str
    login: str
    every: Literal["day", "week", "month"] = "day"
    at: datetime.time = datetime.time(6)
    by: tuple[str, ...] = ()
    format: Literal["csv", "xlsx"] = "xlsx"
    language: Literal["zh", "en"] = "zh"
    to: tuple[str, ...] = ()
    folder: str = ""


class SwitchSection(_Section, frozen=True):
    """One Asterisk. `trunk` and `phone` are dial strings with `{number}` and `{endpoint}` in them.

    `standby`: this engine has it only while no other one is there whose own it is. `softphone` is the wss address at
    which the phone in the agent's page registers, empty for none; its endpoint is `softphone_endpoint`, with the user's
    own phone as `{phone}`.
    """

    name: str
    host: str
    user: str
    secret: str
    port: int = 5038
    tls: bool = False
    ca: str = ""  # PEM of the authority that is believed; empty: this machine's
    max_lines: int = 100
    calls_per_s: float = 10.0
    trunk: str = "PJSIP/{number}@carrier"
    phone: str = "PJSIP/{endpoint}"
    softphone: str = ""
    softphone_endpoint: str = "{phone}-web"
    standby: bool = False


class Config(_Section, frozen=True):
    """The whole file."""

    switch: tuple[SwitchSection, ...]
    engine: EngineSection = EngineSection()
    cluster: ClusterSection = ClusterSection()
    database: DatabaseSection = DatabaseSection()
    web: WebSection = WebSection()
    oidc: OidcSection | None = None
    metrics: MetricsSection = MetricsSection()
    tracing: TracingSection = TracingSection()
    agi: AgiSection = AgiSection()
    campaigns: CampaignsSection = CampaignsSection()
    history: HistorySection = HistorySection()
    backup: BackupSection = BackupSection()
    recordings: RecordingsSection = RecordingsSection()
    reports: ReportsSection = ReportsSection()
    mail: MailSection = MailSection()
    messages: MessagesSection = MessagesSection()
    report: tuple[ReportSection, ...] = ()
    webhook: tuple[WebhookSection, ...] = ()
    pause: tuple[PauseReason, ...] = DEFAULT_PAUSES


def default_data_folder() -> Path:
    """The user's own folder for the embedded database, the spool and the state."""
    return user_data_path("zhudong", appauthor=False)


def load(path: Path) -> Config:
    """Read and check the file. Raises :class:`ConfigError`."""
    try:
        text = path.read_text("utf-8")
    except OSError as fault:
        raise ConfigError(f"{path}: can't be read: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{path}: is not UTF-8 at byte {fault.start}") from fault
    config = parse(text, str(path))
    if config.oidc is not None:
        client_secret(config.oidc, os.environ)  # a daemon that starts has it
    return config


def parse(text: str, where: str) -> Config:
    """Check the text of a configuration; `where` names it in errors. Raises :class:`ConfigError`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(f"{where}: {fault}") from fault
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as fault:
        raise ConfigError(f"{where}: {fault}".replace("`$.", "`")) from fault
    for key, reason in faults(config):
        raise ConfigError(f"{where}: {key}: {reason}")
    return config


def client_secret(oidc: OidcSection, environment: Mapping[str, str]) -> str:
    """The client's secret, from its file or the environment; empty for a public client. Raises :class:`ConfigError`."""
    if not oidc.secret_file:
        return environment.get(OIDC_SECRET, "")
    try:
        secret = Path(oidc.secret_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"oidc.secret_file: {oidc.secret_file} can't be read: {fault}") from fault
    if not secret:
        raise ConfigError(f"oidc.secret_file: {oidc.secret_file} is empty")
    return secret
