"""A client that leaves, in whatever phase and manner, frees the provider at once (row D1, promise R3)."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.faults.case import Send, wire
from tests.faults.chaosprov import Chaosprov
from tests.faults.gateway_process import GatewayUnderTest, serve
from tests.faults.steps import DONE, HANG, Finish, Head, Say, Step

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = """\
version: 1
providers:
  chaos: {{dialect: openai, base_url: "{base_url}", key: sk-chaos-canary, allow_private: true}}
models:
  ok: {{use: chaos/ok}}
"""
SSE = Head(headers=(("Content-Type", "text/event-stream"),))
PHASES: dict[str, tuple[bool, tuple[Step, ...]]] = {
    "whole answer, waiting for the head": (False, (HANG,)),
    "whole answer, within the body": (False, (Say("Hello"), Finish(), HANG)),
    "stream, waiting for the head": (True, (HANG,)),
    "stream, waiting for the first token": (True, (SSE, HANG)),
    "stream, after two chunks": (True, (Say("Hel"), Say("lo"), HANG)),
    "stream, after the finish": (True, (Say("Hello"), Finish(), HANG)),
    "stream, after DONE": (True, (Say("Hello"), Finish(), DONE, HANG)),
}


@dataclass(frozen=True)
class Scene:
    provider: Chaosprov
    gateway: GatewayUnderTest


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with Chaosprov() as provider:
        policy = POLICY.format(base_url=provider.base_url)
        async with serve(tmp_path_factory.mktemp("gateway") / "one", policy) as gateway:
            yield Scene(provider, gateway)


@pytest.mark.parametrize("manner", ["FIN", "RST"])
@pytest.mark.parametrize("phase", PHASES)
async def test_a_client_that_leaves_closes_the_provider(scene: Scene, phase: str, manner: str) -> None:
    stream, steps = PHASES[phase]
    scene.provider.will(*steps)
    number = len(scene.provider.calls) + 1
    connection = await connected(scene.gateway)
    request = wire(Send(), key=scene.gateway.key, model="ok", stream=stream)
    await asyncio.get_running_loop().sock_sendall(connection, request)
    call = await scene.provider.asked(number)
    await all_said(connection, steps, stream=stream)

    left_at = time.monotonic()
    leave(connection, manner=manner)

    async with asyncio.timeout(5):
        await scene.provider.ended(call)
    assert call.closed_at is not None
    assert call.closed_at - left_at <= 1.0


async def all_said(connection: socket.socket, steps: tuple[Step, ...], *, stream: bool) -> None:
    """Waits until the client has read what the provider said, as far as it is passed on before its end."""
    words = [step.text.encode() for step in steps if isinstance(step, Say)]
    received = b""
    while stream and words and words[-1] not in received:
        received += await asyncio.get_running_loop().sock_recv(connection, 1 << 16)


async def connected(gateway: GatewayUnderTest) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    with contextlib.ExitStack() as stack:
        stack.callback(connection.close)
        await asyncio.get_running_loop().sock_connect(connection, (gateway.host, gateway.port))
        stack.pop_all()
    return connection


def leave(connection: socket.socket, *, manner: str) -> None:
    if manner == "RST":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
