"""A provider that plays the part its system prompt gives it, each as badly as it was told to."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from aiohttp import web


@dataclass
class Part:
    """`fails` is the share of its calls that are refused; `tokens` what an answer takes."""

    fails: float = 0.0
    tokens: int = 20


class Troupe:
    """`parts` by the number in "You are v1."; `asked` counts their calls."""

    def __init__(self) -> None:
        self.parts = {number: Part() for number in (1, 2, 3)}
        self.asked: Counter[int] = Counter()
        self.random = Random(11)
        self.base_url = ""

    async def reply(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        found = re.search(r"You are v(\d)", body["messages"][0]["content"])
        assert found is not None, body
        number = int(found[1])
        self.asked[number] += 1
        part = self.parts[number]
        if self.random.random() < part.fails:
            return web.json_response({"error": {"message": "no", "type": "invalid_request_error"}}, status=400)
        usage = {"prompt_tokens": 100, "completion_tokens": part.tokens, "total_tokens": 100 + part.tokens}
        choice = {"index": 0, "message": {"role": "assistant", "content": f"v{number}"}, "finish_reason": "stop"}
        answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        return web.json_response({**answer, "usage": usage})


@asynccontextmanager
async def playing(troupe: Troupe) -> AsyncIterator[Troupe]:
    """Serves them on a port of their own."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", troupe.reply)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    troupe.base_url = f"http://{host}:{port}/v1"
    try:
        yield troupe
    finally:
        await asyncio.shield(runner.cleanup())
