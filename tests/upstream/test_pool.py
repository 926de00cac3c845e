"""No private address is dialled unless the provider's row allows it (R23)."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.deployment import Provider
from gateway.core.errors import Unavailable
from gateway.upstream.dialler import is_public
from gateway.upstream.pool import Pool

PRIVATE = """
127.0.0.1 127.1.2.3 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 169.254.169.254 100.64.0.1 192.0.2.1 198.18.0.1
198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 ::1 :: fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254
::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 2002:7f00:1:: 2002:a00:1:: ff02::1
2001:db8::1 2001:0:7f00:1:: 192.0.0.1 198.19.0.1 100::1 2001:20::1 2002:c0a8:1:: 0:0:0:0:0:ffff:7f00:1 0::1 FE80::1
255.255.255.254 233.252.0.1
""".split()
EMBEDDING = """
::127.0.0.1 ::169.254.169.254 ::10.0.0.1 ::ffff:0:127.0.0.1 ::ffff:0:10.0.0.1 64:ff9b:1::7f00:1 64:ff9b:1::a9fe:a9fe
fec0::1 fec0::10.0.0.1 3fff::1
""".split()
"""IPv4-compatible, IPv4-translated and local NAT64 addresses, site-local and documentation ones: none is the open internet."""
PUBLIC = "1.1.1.1 8.8.8.8 172.15.0.1 172.32.0.1 100.63.0.1 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808".split()


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", EMBEDDING)
def test_an_address_that_hides_a_private_one_is_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="169.254.0.0/16"))
def test_a_private_address_stays_private_in_every_spelling(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    mapped = ipaddress.IPv6Address((0xFFFF << 32) | number)
    nat64 = ipaddress.IPv6Address((0x64FF9B << 96) | number)
    six_to_four = ipaddress.IPv6Address((0x2002 << 112) | (number << 80))

    for spelling in (mapped, nat64, six_to_four):
        assert not is_public(str(spelling))
        assert not is_public(spelling.exploded)
        assert not is_public(f"{spelling}%eth0")


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "::1"])
async def test_a_listener_on_this_machine_is_never_reached_without_leave(host: str) -> None:
    reached = asyncio.Event()
    server = await asyncio.start_server(lambda *_: reached.set(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pool = Pool()

    with pytest.raises(Unavailable) as refused:
        await pool.acquire(Provider("p", "openai", host=host, port=port, tls=False))

    assert refused.value.code == "upstream_connect_error"
    assert not reached.is_set()
    server.close()
    await server.wait_closed()


async def test_a_connection_is_used_again_only_when_its_exchange_ended_cleanly() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    provider = Provider(
        "p", "openai", host="127.0.0.1", port=server.sockets[0].getsockname()[1], tls=False, allow_private=True
    )
    pool = Pool()

    first = await pool.acquire(provider)
    first.send(b"GET / HTTP/1.1\r\n\r\n")
    await first.head()
    while await first.read():
        pass
    pool.release(provider, first)
    second = await pool.acquire(provider)
    second.send(b"GET / HTTP/1.1\r\n\r\n")
    pool.release(provider, second)
    third = await pool.acquire(provider)

    assert first is second
    assert third is not second
    pool.release(provider, third)
    pool.close()
    server.close()
    await server.wait_closed()
