"""The fault proxy does each of its faults, and can be changed while it runs."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.faults.toxi import Bandwidth, BlackHole, CloseAfter, Latency, Refuse, ResetAfter, Slice, Toxi, toxic_from

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def proxy() -> AsyncIterator[Toxi]:
    """A proxy in front of an echo server."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with Toxi(upstream=server.sockets[0].getsockname()) as toxi:
        yield toxi
    server.close()
    await server.wait_closed()


async def connect(proxy: Toxi) -> Peer:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def ask(peer: Peer, data: bytes) -> bytes:
    """Sends, half-closes, and reads to the end."""
    reader, writer = peer
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_clean_proxy_passes_everything_on(proxy: Toxi) -> None:
    assert await ask(await connect(proxy), b"hello" * 50_000) == b"hello" * 50_000


@pytest.mark.parametrize("toxic", [Slice(1), Latency(0.01), Bandwidth(100_000)])
async def test_a_hindrance_keeps_the_bytes(proxy: Toxi, toxic: Slice | Latency | Bandwidth) -> None:
    proxy.toxic = toxic

    assert await ask(await connect(proxy), b"hello world" * 20) == b"hello world" * 20


async def test_latency_holds_each_direction_back(proxy: Toxi) -> None:
    proxy.toxic = Latency(0.05)
    started = asyncio.get_running_loop().time()

    await ask(await connect(proxy), b"x")

    # uvloop's clock counts whole milliseconds, and their difference as a float may fall a hair short of them.
    assert round(asyncio.get_running_loop().time() - started, 3) >= 0.1


async def test_a_black_hole_says_nothing_until_it_is_lifted(proxy: Toxi) -> None:
    proxy.toxic = BlackHole()
    peer = await connect(proxy)
    answer = asyncio.create_task(ask(peer, b"x"))
    done, _ = await asyncio.wait({answer}, timeout=0.05)
    assert not done

    proxy.toxic = toxic_from("clean")

    assert await answer == b"x"


async def test_close_after_ends_the_answer_politely(proxy: Toxi) -> None:
    proxy.toxic = CloseAfter(3)

    assert await ask(await connect(proxy), b"hello") == b"hel"


async def test_reset_after_lets_the_count_through_and_then_resets(proxy: Toxi) -> None:
    proxy.toxic = ResetAfter(3)
    reader, writer = await connect(proxy)
    writer.write(b"hello")

    assert await reader.readexactly(3) == b"hel"
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_refuse_refuses_and_resets_until_it_is_lifted(proxy: Toxi) -> None:
    reader, writer = await connect(proxy)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"

    proxy.toxic = Refuse()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    with pytest.raises(ConnectionRefusedError):
        await connect(proxy)
    proxy.toxic = toxic_from("clean")
    await proxy.settle()

    assert await ask(await connect(proxy), b"again") == b"again"
    writer.close()


def test_an_unknown_toxic_names_the_known_ones() -> None:
    assert toxic_from("latency 0.2\n") == Latency(0.2)
    with pytest.raises(ValueError, match="there are: clean, latency"):
        toxic_from("lag 3")
