"""HTTP clients for the loopback: a client that reads the machine's certificates first takes a tenth of a second."""

from __future__ import annotations

import ssl
from typing import Any

import httpx2

_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is asked about nobody


def http_client(**options: Any) -> httpx2.AsyncClient:
    """What `httpx2.AsyncClient` gives, for addresses without TLS."""
    return httpx2.AsyncClient(verify=_NO_CERTIFICATES, **options)
