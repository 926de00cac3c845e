"""How providers are reached: names resolved, addresses checked, connections made."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from gateway.core.deployment import Provider
from gateway.core.errors import Unavailable

_NAME_SECONDS = 30.0

ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)


@dataclass(frozen=True, slots=True)
class _Addresses:
    until: float
    hosts: tuple[str, ...]


class Dialler:
    """Owned by one worker's event loop."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._tls = tls or ssl.create_default_context()
        self._names: dict[tuple[str, int], _Addresses] = {}

    async def dial(self, provider: Provider, made: Callable[[], ProtocolT]) -> ProtocolT:
        """A new connection, whose protocol `made` makes. Raises Unavailable when the provider can't be reached."""
        try:
            async with asyncio.timeout(provider.deadlines.connect):
                return await self._connect(provider, made)
        except TimeoutError:
            raise Unavailable(
                "the provider could not be reached in time",
                code="upstream_connect_error",
                status=504,
                should_retry=True,
                retry_after=1.0,
            ) from None
        except (OSError, ssl.SSLError, UnicodeError) as error:
            raise _unreachable(error) from None

    async def _connect(self, provider: Provider, made: Callable[[], ProtocolT]) -> ProtocolT:
        addresses = await self._resolve(provider)
        failure: OSError | None = None
        for address in addresses:
            try:
                _, connection = await self._loop.create_connection(
                    made,
                    address,
                    provider.port,
                    ssl=self._tls if provider.tls else None,
                    server_hostname=provider.host if provider.tls else None,
                )
            except OSError as error:
                failure = error
            else:
                return connection
        raise failure or OSError("its name has no address")

    async def _resolve(self, provider: Provider) -> tuple[str, ...]:
        """The addresses to connect to: the very ones that were checked. Names are kept 30 s, longer while DNS fails."""
        key = (provider.host, provider.port)
        known = self._names.get(key)
        if known is None or known.until < self._loop.time():
            try:
                found = await self._loop.getaddrinfo(provider.host, provider.port, type=socket.SOCK_STREAM)
                known = _Addresses(
                    self._loop.time() + _NAME_SECONDS, tuple(dict.fromkeys(str(info[4][0]) for info in found))
                )
                self._names[key] = known
            except OSError:
                if known is None:
                    raise
        if provider.allow_private:
            return known.hosts
        public = tuple(host for host in known.hosts if is_public(host))
        if not public:
            raise Unavailable(
                "the provider's address is not public; set allow_private on it if that is meant",
                code="upstream_connect_error",
                retriable=False,
                should_retry=False,
            )
        return public


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet, looking into addresses that embed an IPv4 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is not None:
            return is_public(str(inner))
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if any(ip in network for network in _NEVER):
            return False
    return ip.is_global and not ip.is_multicast


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# IPv4-compatible and -translated addresses, local NAT64, site-local and documentation: Python calls some of them global.
_NEVER = tuple(
    ipaddress.ip_network(each)
    for each in ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10", "3fff::/20", "5f00::/16", "2001::/23")
)


def _unreachable(error: Exception) -> Unavailable:
    unreachable = Unavailable("the provider could not be reached", code="upstream_connect_error", should_retry=True)
    unreachable.detail = f"{type(error).__name__}: {error}"[:200]
    return unreachable
