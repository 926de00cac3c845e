"""The built-in provider in real time: the same answers to the same messages, without a network."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from gateway.core.call import Call
from gateway.core.deployment import Deployment
from gateway.core.peer import Closed, Peer

_LONGEST_ECHO = 2000
_WAITING = 64
"""Events that wait to be received before nothing more is taken."""


class DemoLine:
    """Implements upstream.sessions.Line."""

    async def open(
        self, deployment: Deployment, call: Call, headers: Sequence[tuple[str, str]]
    ) -> tuple[Peer, Mapping[bytes, bytes]]:
        return DemoPeer(deployment.upstream_model), {}


class DemoPeer:
    """Implements core.peer.Peer. It answers to the last text that it was given, and counts words as tokens."""

    def __init__(self, model: str) -> None:
        self._session: dict[str, Any] = {"type": "realtime", "object": "realtime.session", "id": "sess_demo"}
        self._session |= {"model": model, "output_modalities": ["text"], "instructions": ""}
        self._said: list[str] = []
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._count = 0
        self._closed: Closed | None = None
        self._put({"type": "session.created", "session": self._session})

    async def receive(self) -> bytes:
        message = await self._waiting.get()
        if self._waiting.qsize() < _WAITING:
            self._room.set()
        if message is None:
            self._waiting.put_nowait(None)
            raise self._closed or Closed(1000)
        return message

    async def send(self, message: bytes) -> None:
        if self._closed is not None:
            raise self._closed
        await self._room.wait()
        for event in self._answers(orjson.loads(message)):
            self._put(event)
        if self._waiting.qsize() >= _WAITING:
            self._room.clear()

    def ping(self) -> float:
        return 0.0

    async def close(self, code: int, reason: str = "", *, wait: float = 0.0) -> None:
        self._closed = self._closed or Closed(code, reason)
        self._room.set()
        self._waiting.put_nowait(None)

    def _put(self, event: dict[str, Any]) -> None:
        self._count += 1
        self._waiting.put_nowait(orjson.dumps({"event_id": f"event_demo_{self._count}", **event}))

    def _answers(self, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match event.get("type"):
            case "session.update":
                self._session |= event["session"] if isinstance(event.get("session"), dict) else {}
                yield {"type": "session.updated", "session": self._session}
            case "conversation.item.create":
                item = event["item"] if isinstance(event.get("item"), dict) else {}
                self._said.append(_text(item))
                yield {"type": "conversation.item.created", "item": {"id": f"item_demo_{len(self._said)}", **item}}
            case "response.create":
                yield from self._response()
            case other:
                message = f"the demo provider does not know {str(other)[:64]!r}"
                fields = {"type": "invalid_request_error", "code": "unknown_event", "message": message, "param": None}
                yield {"type": "error", "error": {**fields, "event_id": event.get("event_id")}}

    def _response(self) -> Iterator[dict[str, Any]]:
        said = self._said[-1] if self._said else ""
        text = f"This is the demo provider of llmgw. You said: {said[:_LONGEST_ECHO]}"
        read = sum(len(each.split()) for each in (str(self._session["instructions"]), *self._said))
        digest = hashlib.sha256(f"{self._count} {text}".encode("utf-8", "replace")).hexdigest()[:16]
        id, item = f"resp_{digest}", f"item_{digest}"
        shell = {"object": "realtime.response", "id": id, "conversation_id": "conv_demo"}
        where = {"response_id": id, "item_id": item, "output_index": 0, "content_index": 0}
        words = text.split(" ")
        self._said.append(text)
        yield {"type": "response.created", "response": {**shell, "status": "in_progress", "output": []}}
        for place, word in enumerate(words):
            yield {"type": "response.output_text.delta", **where, "delta": word if place == 0 else f" {word}"}
        yield {"type": "response.output_text.done", **where, "text": text}
        content = [{"type": "output_text", "text": text}]
        output = [{"id": item, "type": "message", "status": "completed", "role": "assistant", "content": content}]
        usage = {
            "input_tokens": read,
            "output_tokens": len(words),
            "total_tokens": read + len(words),
            "input_token_details": {"text_tokens": read, "audio_tokens": 0, "cached_tokens": 0},
            "output_token_details": {"text_tokens": len(words), "audio_tokens": 0},
        }
        yield {"type": "response.done", "response": {**shell, "status": "completed", "output": output, "usage": usage}}


def _text(item: Mapping[str, Any]) -> str:
    content = item.get("content")
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text") or part.get("transcript") or "") for part in parts if isinstance(part, dict))
