"""A provider whose answers say who asked, what was asked, and how many calls it has had."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

from aiohttp import web

from gateway.ingress.listening import bind


class Teller:
    """Answers once `goes_on` is set. `asked` has the user and the text of each call, in the order in which they came."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self._sock = bind("127.0.0.1", 0)
        application = web.Application()
        application.add_routes([web.post("/v1/chat/completions", self._chat)])
        self._runner = web.AppRunner(application)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._sock.getsockname()[1]}/v1"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.SockSite(self._runner, self._sock).start()
        return self

    async def __aexit__(self, *exit: object) -> None:
        await self._runner.cleanup()

    async def has_been_asked(self, count: int) -> None:
        while len(self.asked) < count:
            await asyncio.sleep(0.01)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        user, text = asked["user"], asked["messages"][-1]["content"]
        self.asked.append((user, text))
        said = json.dumps({"user": user, "text": text, "number": len(self.asked)})
        await self.goes_on.wait()
        if not asked.get("stream"):
            return web.json_response(_document(said))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for delta, reason in (({"role": "assistant", "content": said}, None), ({}, "stop")):
            await response.write(b"data: %b\n\n" % json.dumps(_chunk(delta, reason)).encode())
        await response.write(b"data: [DONE]\n\n")
        return response


def _document(text: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def _chunk(delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
