"""One request to an address that an administrator named, and to no other: what it resolves to is looked at, then used.

Who writes a URL into the configuration may not thereby reach what the daemon reaches: the machine itself, its network,
a cloud's metadata. The name is resolved once, every address is checked, and the connection goes to a checked one; no
redirect is followed, no proxy of the environment used, nothing of the answer read but its status.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import httpx2

LIMIT_S = 10.0  # from the name's resolution to the answer's status
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NotSent(Exception):
    """Nothing was taken at the other end. The text says why."""


def inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, else itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
        if address in TRANSLATED:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def allowed(address: Address, networks: Sequence[Network]) -> bool:
    """Whether it is in the open internet, or in one of these networks."""
    meant = inner(address)
    if any(meant in network for network in networks):
        return True
    return meant.is_global and not meant.is_multicast


async def addresses(host: str, port: int) -> list[Address]:
    """What the name resolves to. Raises :class:`NotSent`."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        raise NotSent(f"{host} can't be resolved: {fault}") from fault
    return [ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in found]


class Outbound:
    """Sends. Use it as a context manager."""

    def __init__(self) -> None:
        # A connection is not kept: the next request looks at the name's addresses afresh.
        limits = httpx2.Limits(max_keepalive_connections=0)
        self._client = httpx2.AsyncClient(
            trust_env=False, follow_redirects=False, timeout=LIMIT_S, limits=limits
        )

    async def __aenter__(self) -> Outbound:
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self._client.aclose()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], networks: Sequence[Network]
    ) -> int:
        """POST, and the answer's status. Raises :class:`NotSent` where there was none, or it may not be asked for."""
        try:
            async with asyncio.timeout(LIMIT_S):
                return await self._post(url, body, headers, networks)
        except TimeoutError:
            raise NotSent(f"no answer within {LIMIT_S:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, OSError) as fault:
            raise NotSent(str(fault) or type(fault).__name__) from fault

    async def _post(
        self, url: str, body: bytes, headers: Mapping[str, str], networks: Sequence[Network]
    ) -> int:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        found = await addresses(host, port)
        for address in found:
            if not allowed(address, networks):
                raise NotSent(f"{host} is {address}, which is in no network that may be reached")
        named = any(inner(found[0]) in network for network in networks)
        if parts.scheme != "https" and not named:
            raise NotSent("over the open internet only https is used")
        at = f"[{found[0]}]" if found[0].version == 6 else str(found[0])
        to = parts._replace(netloc=f"{at}:{port}").geturl()
        own = {"Host": parts.netloc.rpartition("@")[2], "Accept-Encoding": "identity"}
        request = self._client.build_request(
            "POST", to, content=body, headers={**headers, **own}, extensions={"sni_hostname": host}
        )
        response = await self._client.send(request, stream=True)
        await response.aclose()  # nothing of the body is read
        return response.status_code
