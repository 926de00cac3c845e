"""Whose address a request comes from, where proxies of our own stand before the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


class Proxies:
    """Those whose `X-Forwarded-For` is believed: a client can write anything into one."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks

    def client(self, peer: str, forwarded: bytes | None) -> str:
        """The last address that no trusted proxy has; `peer` itself unless that is one."""
        if forwarded is None or not self._networks:
            return peer
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            if not self._is_trusted(peer):
                break
            try:
                peer = str(ip_address(hop.strip()))
            except ValueError:
                break
        return peer

    def _is_trusted(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def networks(text: str) -> tuple[Network, ...]:
    """From addresses and networks (`10.0.0.0/8`) with commas between them. Raises ValueError."""
    return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())
