"""A provider that talks in real time as a test tells it to, made of another implementation than the gateway's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.conftest import House

KEY = "sk-talker-canary"
Does = Callable[[ServerConnection], Awaitable[None]]


class Talker:
    """`sessions` are those that were begun, `heard` has what clients said, in order, and `closed` how each session ended."""

    def __init__(self) -> None:
        self.port = 0
        self.sessions: list[ServerConnection] = []
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.closed: asyncio.Queue[int] = asyncio.Queue()
        self.refuses: int | None = None
        self.does: Does = self.answering

    async def serve(self, connection: ServerConnection) -> None:
        self.sessions.append(connection)
        with suppress(ConnectionClosed):
            await self.does(connection)
        await connection.wait_closed()
        self.closed.put_nowait(connection.close_code or 0)

    async def answering(self, connection: ServerConnection) -> None:
        """Counts each response as 100 tokens in and 10 out."""
        await connection.send(told("session.created", session={"model": "gpt-realtime"}))
        async for message in connection:
            self.heard.put_nowait(message)
            if json.loads(message).get("type") == "response.create":
                await self.respond(connection)

    async def respond(self, connection: ServerConnection, **usage: Any) -> None:
        id = f"resp_{self.heard.qsize()}_{len(self.sessions)}"
        await connection.send(told("response.created", response={"id": id}))
        await connection.send(told("response.output_text.delta", response_id=id, delta="Hello"))
        counted = {"input_tokens": 100, "output_tokens": 10, **usage}
        await connection.send(told("response.done", response={"id": id, "conversation_id": "c", "usage": counted}))


def told(type: str, **fields: Any) -> str:
    return json.dumps({"type": type, "event_id": "event_1", **fields})


ASK = told("response.create")


@asynccontextmanager
async def talking() -> AsyncIterator[Talker]:
    talker = Talker()

    def refuse(connection: ServerConnection, request: Any) -> Any:
        return None if talker.refuses is None else connection.respond(talker.refuses, '{"error": {"message": "no"}}')

    async with serve(
        talker.serve, "127.0.0.1", 0, process_request=refuse, max_size=None, compression=None, ping_interval=None
    ) as server:
        talker.port = next(iter(server.sockets)).getsockname()[1]
        yield talker


def policy(talker: Talker, more: str = "") -> str:
    return f"""
providers:
  talker: {{dialect: openai, base_url: "http://127.0.0.1:{talker.port}/v1", key: {KEY}, allow_private: true}}
models:
  live: {{use: talker/gpt-realtime, price: {{in: 1, out: 2, cached_in: 0.5, audio_in: 10, audio_out: 20}}}}
{more}
"""


def calling(house: House, model: str = "live", *, key: str | None = None, **options: Any) -> connect:
    """A client's connection, not yet made."""
    headers = {"authorization": f"Bearer {key or house.key}"} if key != "" else {}
    url = f"{house.url.replace('http', 'ws')}/v1/realtime?model={model}"
    return connect(
        url,
        additional_headers=headers | options.pop("headers", {}),
        max_size=None,
        compression=None,
        ping_interval=None,
        **options,
    )


async def until(client: ClientConnection, type: str) -> dict[str, Any]:
    """The next event of this type; others are passed over."""
    event: dict[str, Any] = {}
    async with asyncio.timeout(5):
        while event.get("type") != type:
            event = json.loads(await client.recv())
    return event


async def ended(client: ClientConnection) -> tuple[int | None, str | None]:
    """How the session ended, what was said before it passed over."""
    async with asyncio.timeout(5):
        with suppress(ConnectionClosed):
            async for _ in client:
                pass
        await client.wait_closed()
    return client.close_code, client.close_reason
