"""A provider whose models know the answers to sums, each as well as it was told to."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web


class Scholars:
    """`knows` says which share of the questions each model answers rightly, and of those that begin with "hard" only the strong
    model; `asked` counts its calls. Those that ramble say what they know after 10,000 spaces."""

    def __init__(self, **knows: float) -> None:
        self.knows = knows
        self.asked: Counter[str] = Counter()
        self.rambles: set[str] = set()
        self.base_url = ""

    def answer(self, model: str, question: str) -> str:
        """`a+b` as JSON. Whether it is right depends on the model and the question alone, and wrong answers differ by model."""
        first, _, second = question.rpartition(" ")[2].partition("+")
        luck = random.Random(f"{model} {question}")
        if question.startswith("hard") and model != "strong":
            return orjson.dumps({"sum": -luck.randint(1, 10**6)}).decode()
        total = int(first) + int(second)
        return orjson.dumps(
            {"sum": total if luck.random() < self.knows[model] else total + luck.randint(1, 10**6)}
        ).decode()

    async def reply(self, request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = await request.json()
        model = body["model"]
        self.asked[model] += 1
        text = " " * 10_000 * (model in self.rambles) + self.answer(model, body["messages"][-1]["content"])
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return web.json_response(
                {
                    "id": "c",
                    "object": "chat.completion",
                    "created": 1,
                    "model": model,
                    "choices": [choice],
                    "usage": usage,
                }
            )
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for piece in (*text, None):
            delta = {"content": piece} if piece is not None else {}
            choice = {"index": 0, "delta": delta, "finish_reason": None if piece is not None else "stop"}
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
            await response.write(b"data: " + orjson.dumps(chunk) + b"\n\n")
        last = {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
            "choices": [],
            "usage": usage,
        }
        await response.write(b"data: " + orjson.dumps(last) + b"\n\ndata: [DONE]\n\n")
        return response


@asynccontextmanager
async def teaching(scholars: Scholars) -> AsyncIterator[Scholars]:
    """Serves them on a port of their own."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", scholars.reply)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    scholars.base_url = f"http://{host}:{port}/v1"
    try:
        yield scholars
    finally:
        await asyncio.shield(runner.cleanup())
