"""TLS: what the daemon shows and whom it believes, and until when the certificates that are in use are good."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import structlog
from sqlalchemy.engine import URL, make_url

from cti.settings import LOOPBACK
from dialer.config import Config, DatabaseSection, SwitchSection, WebSection
from dialer.metrics import Metrics

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 3600.0
LIMIT_S = 5.0
SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL's protocol, 54.7: may we go on in TLS?
POSTGRESQL_PORT = 5432
ENCRYPTED = ("require", "verify-ca", "verify-full")


class BadCertificate(OSError):
    """A certificate, its key or an authority can't be used. The text names the key of the file and says why."""


def shown_by_pages(section: WebSection) -> ssl.SSLContext | None:
    """What the pages show: TLS 1.2 and newer; None without a certificate. Raises :class:`BadCertificate`."""
    if not section.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, section)
    return context


def believed(section: SwitchSection) -> ssl.SSLContext | None:
    """Whom the link to a switch believes: `ca`, or this machine's authorities, and only the switch's own name.

    None without TLS. Raises :class:`BadCertificate`.
    """
    if not section.tls:
        return None
    try:
        return ssl.create_default_context(cafile=section.ca or None)
    except OSError as fault:
        raise BadCertificate(f"switch {section.name}: ca: {section.ca} can't be used: {fault}") from fault


def remote(section: DatabaseSection) -> URL | None:
    """The database's address when it is on another machine: then what is said there passes a network."""
    if not section.url:
        return None
    url = make_url(section.url)
    return (
        url if any(not host.startswith("/") and host not in LOOPBACK for host, _ in _servers(url)) else None
    )


def _servers(url: URL) -> list[tuple[str, int]]:
    """Host, or folder of the socket, and port of each that the address names."""
    if url.host:
        return [(url.host, url.port or POSTGRESQL_PORT)]
    named = url.query.get("host", ())
    parted = [each.partition(":") for each in ((named,) if isinstance(named, str) else named)]
    return [(host, int(port or POSTGRESQL_PORT)) for host, _, port in parted]


def in_use(config: Config) -> Iterator[tuple[str, Callable[[], datetime]]]:
    """Each certificate that something rests on, and how to find until when it is good (OSError, ValueError)."""
    if config.web.certificate:
        yield "web", lambda: _last_day(Path(config.web.certificate).read_bytes())
    for section in config.switch:
        if section.tls:
            yield f"switch {section.name}", lambda at=section: _of_peer(at.host, at.port)  # type: ignore[misc]
    url = make_url(config.database.url) if config.database.url else None
    if url is not None and url.query.get("sslmode") in ENCRYPTED:
        servers = _servers(url)
        for server in servers:
            name = "database" if len(servers) == 1 else f"database {server[0]}"
            yield name, lambda at=server: _of_peer(*at, SSL_REQUEST)  # type: ignore[misc]


class Certificates:
    """Looks at the certificates every hour; the pages' own is read again, so that a renewed one is shown."""

    def __init__(self, config: Config, metrics: Metrics) -> None:
        self.pages = shown_by_pages(config.web)
        self._config, self._metrics = config, metrics

    async def run(self) -> None:
        while True:
            self.renew()
            await asyncio.to_thread(self._look)
            await asyncio.sleep(LOOK_EVERY_S)

    def renew(self) -> None:
        """Show the certificate that is in the file now; one that can't be used changes nothing."""
        if self.pages is not None:
            try:
                _load(self.pages, self._config.web)
            except BadCertificate as fault:
                log.error("the pages' certificate was not renewed", reason=str(fault))

    def _look(self) -> None:
        for name, until in in_use(self._config):
            try:
                self._metrics.certificate_expires.labels(name).set(until().timestamp())
            except (OSError, ValueError) as fault:
                log.warning("a certificate can't be looked at", certificate=name, reason=str(fault))


def _load(context: ssl.SSLContext, section: WebSection) -> None:
    try:
        context.load_cert_chain(section.certificate, section.key)
    except OSError as fault:
        raise BadCertificate(f"web.certificate: {section.certificate} with {section.key}: {fault}") from fault


def _last_day(pem: bytes) -> datetime:
    """The first of the file's certificates to end."""
    from cryptography import x509

    return min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(pem))


def _of_peer(host: str, port: int, before: bytes = b"") -> datetime:
    """Until when the certificate that is shown there is good. Whether it is to be believed is the link's business."""
    from cryptography import x509

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, port), timeout=LIMIT_S) as plain:
        if before:
            plain.sendall(before)
            if plain.recv(1) != b"S":
                raise ssl.SSLError(f"{host}:{port} does not speak TLS")
        with context.wrap_socket(plain, server_hostname=host) as encrypted:
            shown = encrypted.getpeercert(binary_form=True)
    if shown is None:
        raise ssl.SSLError(f"{host}:{port} shows no certificate")
    return x509.load_der_x509_certificate(shown).not_valid_after_utc.astimezone(UTC)
