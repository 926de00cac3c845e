"""Where a provider's API is, taken from its `base_url`, and which addresses need the admin's word that they are meant."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from gateway.upstream.dialler import is_public

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()+,;=:@%-]+)*")
_LOCAL_NAMES = re.compile(r"(.*\.)?(localhost|localdomain|local|internal)\.?")


@dataclass(frozen=True, slots=True)
class Origin:
    """`path` has no slash at its end."""

    host: str = ""
    port: int = 0
    tls: bool = True
    path: str = ""


def origin_of(url: str, *, allow_private: bool) -> Origin:
    """Takes a URL apart. Raises ValueError, in words that do not repeat the URL, which may hold a secret."""
    parts = _split(url)
    host = (parts.hostname or "").lower()
    address = _address(host)
    if address is None and not _HOST.fullmatch(host):
        raise ValueError("the URL has no valid host")
    if not allow_private and (not is_public(address) if address else _LOCAL_NAMES.fullmatch(host)):
        raise ValueError("the URL leads to a private address; set `allow_private: true` if that is meant")
    path = parts.path.rstrip("/")
    if not _PATH.fullmatch(path.replace("{model}", "model")) or {".", ".."} & set(path.split("/")):
        raise ValueError("the URL's path has characters or steps that cannot be used")
    tls = parts.scheme == "https"
    return Origin(address or host, parts.port or (443 if tls else 80), tls, path)


def _split(url: str) -> SplitResult:
    if not url.isascii() or re.search(r"[\x00-\x20\x7f\\]", url):
        raise ValueError("a URL is made of ASCII characters without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("this is not a URL") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("a URL begins with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("a URL cannot hold a user name or password; use `key` or `headers`")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ValueError("the URL has a `?` or `#`; write a query under `query`")
    if port == 0:
        raise ValueError("the URL's port is not a port")
    return parts


def _address(host: str) -> str | None:
    """The IP address that a host is, in whichever spelling, or None for a name."""
    try:
        return str(ipaddress.ip_address(host.removesuffix(".")))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host.removesuffix(".")))  # 127.1, 0x7f000001, 2130706433 …
    except OSError:
        return None
