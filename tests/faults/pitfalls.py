"""Addresses on loopback where no provider answers, each in its own way, and the policy that leads there."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from tests.faults.chaosprov import Chaosprov
from tests.faults.player import reset
from tests.ports import free_port

CERTIFICATE = Path(__file__).parent / "self_signed.pem"

ROW = (
    "dialect: openai, key: sk-chaos-canary, allow_private: true, retry: {attempts: 2, max_wait: 300ms}, "
    "timeouts: {connect: 1s, headers: 1s, whole: 1s, first_token: 1s, idle: 1s, total: 4s}"
)


@contextlib.asynccontextmanager
async def pitfalls(provider: Chaosprov) -> AsyncIterator[dict[str, str]]:
    """Base URLs by the model that leads to them."""
    async with contextlib.AsyncExitStack() as stack:
        black_hole = stack.enter_context(_black_hole())
        resetting = await stack.enter_async_context(_listener(None))
        self_signed = await stack.enter_async_context(_listener(_certificate()))
        chaos = provider.base_url.removesuffix("/v1")
        yield {
            "connect/no-name": "http://nothing.invalid",
            "connect/refused": f"http://127.0.0.1:{free_port()}",
            "connect/black-hole": f"http://127.0.0.1:{black_hole}",
            "connect/not-tls": chaos.replace("http:", "https:"),
            "connect/reset-handshake": f"https://127.0.0.1:{resetting}",
            "connect/self-signed": f"https://127.0.0.1:{self_signed}",
            "early/reset-at-head": f"{chaos}/reset-at-head",
            "early/reset-at-half": f"{chaos}/reset-at-half",
        }


LIMITED = """\
  "limited/spent*": {use: "chaos/fault/usage-much", budget: [{tokens: 6000, per: ever}]}
  "limited/small*": {use: "chaos/ok", budget: [{tokens: 4000, per: ever}]}
  "limited/unpriced*": {use: "chaos/ok", budget: [{usd: 1, per: ever}]}
  "limited/rare*": {use: "chaos/ok", rate: {rpm: 1}}
  "limited/blind*": {use: "chaos/ok@blind", cannot: [image, tools, json_schema]}
  "limited/short*": {use: "chaos/ok@short", context: 1k}
"""
"""Models that not every call may use, whatever is put behind their names."""


def policy(provider: Chaosprov, addresses: dict[str, str], *, strict: bool) -> str:
    """A policy with the provider, short deadlines, and each pitfall under its model's name."""
    rows = {"chaos": provider.base_url} | {_row_name(model): f"{url}/v1" for model, url in addresses.items()}
    lines = ["version: 1", f"strict: {str(strict).lower()}", "providers:"]
    lines += [f'  {name}: {{base_url: "{url}", {ROW}}}' for name, url in rows.items()]
    lines += [
        "models:",
        "  ok: {use: chaos/ok}",
        '  "ok-*": {use: "chaos/ok-*"}',
        '  "fault/*": {use: "chaos/fault/*"}',
    ]
    lines += [f'  "{model}*": {{use: "{_row_name(model)}/*"}}' for model in addresses]
    return "\n".join(lines) + "\n" + LIMITED


def _row_name(model: str) -> str:
    return model.replace("/", "-")


@contextlib.contextmanager
def _black_hole() -> Iterator[int]:
    """A port whose queue is full, so that the kernel leaves further SYNs unanswered."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.asynccontextmanager
async def _listener(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """A port that resets whoever connects; under TLS, whoever accepts its certificate."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        await reset(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def _certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context
