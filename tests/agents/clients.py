"""Clients of each dialect that keep a conversation as their SDKs do: they send back what they were given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol
from uuid import uuid4

import httpx
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tests.flow.client import chunks

Fields = dict[str, Any]
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
TOOLS: Sequence[tuple[str, Fields]] = (
    ("read", {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}),
    ("list", {"type": "object", "properties": {}}),
)
Results = Sequence[tuple[str, bool]]
"""Texts of what tools have given, and whether that is an error."""


def _apart() -> dict[str, str]:
    """Each call a conversation of its own, so that none goes first to who answered before."""
    return {"x-llmgw-conversation": uuid4().hex}


class Client(Protocol):
    """`calls` are the ids of the calls in the last answer."""

    calls: list[str]

    def say(self, text: str, *, picture: bool = False) -> None: ...

    def give(self, results: Results) -> None:
        """What came of the last answer's calls."""
        ...

    async def ask(self, model: str) -> None:
        """Sends the conversation, and adds the answer to it."""
        ...


class Chat:
    """Of chat completions; `stream` adds up chunks as the SDK's helper does."""

    def __init__(self, url: str, key: str, *, stream: bool) -> None:
        self.calls: list[str] = []
        self.messages: list[Fields] = [{"role": "system", "content": "You are an agent."}]
        self._stream = stream
        self._url = url
        self._headers = {"authorization": f"Bearer {key}"}

    def say(self, text: str, *, picture: bool = False) -> None:
        parts: list[Fields] = [{"type": "text", "text": text}]
        if picture:
            parts.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}})
        self.messages.append({"role": "user", "content": parts if picture else text})

    def give(self, results: Results) -> None:
        for id, (text, _) in zip(self.calls, results, strict=True):
            self.messages.append({"role": "tool", "tool_call_id": id, "content": text})

    async def ask(self, model: str) -> None:
        tools = [{"type": "function", "function": {"name": name, "parameters": schema}} for name, schema in TOOLS]
        body = {"model": model, "messages": self.messages, "tools": tools, "stream": self._stream}
        more = {"max_completion_tokens": 8000, "reasoning_effort": "low"}
        async with httpx.AsyncClient(base_url=self._url, headers=self._headers) as http:
            answer = await http.post("/v1/chat/completions", json=body | more, headers=_apart())
        assert answer.status_code == 200, answer.text
        message = _added_up(chunks(answer.content)) if self._stream else answer.json()["choices"][0]["message"]
        self.calls = [call["id"] for call in message.get("tool_calls") or ()]
        self.messages.append(message)


def _added_up(told: Sequence[Fields]) -> Fields:
    """As the SDK adds up deltas: texts are joined, what has an index is one item, and other lists grow."""
    message: Fields = {}
    for chunk in told:
        for choice in chunk["choices"]:
            _add(message, choice["delta"])
    for call in message.get("tool_calls") or ():
        call.pop("index", None)
    return message


def _add(whole: Fields, delta: Fields) -> None:
    for name, value in delta.items():
        if whole.get(name) is None or name in ("index", "type", "role"):
            whole[name] = value
        elif isinstance(value, str):
            whole[name] += value
        elif isinstance(value, dict):
            _add(whole[name], value)
        elif isinstance(value, list):
            for item in value:
                known = next((e for e in whole[name] if "index" in item and e.get("index") == item["index"]), None)
                _add(known, item) if known is not None else whole[name].append(item)


class Messages:
    """Of Anthropic's messages, by the official SDK."""

    def __init__(self, sdk: AsyncAnthropic, *, apart: bool = True) -> None:
        """`apart`: each call is a conversation of its own."""
        self._apart = apart
        self.calls: list[str] = []
        self.messages: list[Any] = []
        self._sdk = sdk

    def say(self, text: str, *, picture: bool = False) -> None:
        blocks: list[Fields] = [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]
        if picture:
            source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
            blocks.insert(0, {"type": "image", "source": source})
            blocks[-1].pop("cache_control")
        self.messages.append({"role": "user", "content": blocks})

    def give(self, results: Results) -> None:
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}
        blocks: list[Fields] = []
        for id, (text, is_error) in zip(self.calls, results, strict=True):
            content = [image, {"type": "text", "text": text}] if text.startswith("a picture") else text
            error = {"is_error": True} if is_error else {}
            blocks.append({"type": "tool_result", "tool_use_id": id, "content": content, **error})
        reminder = {"type": "text", "text": "<system-reminder>Go on.</system-reminder>"}
        self.messages.append({"role": "user", "content": [*blocks, reminder]})

    async def ask(self, model: str) -> None:
        tools: Any = [{"name": name, "description": name, "input_schema": schema} for name, schema in TOOLS]
        async with self._sdk.messages.stream(
            model=model,
            system=[{"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}}],
            messages=self.messages,
            tools=tools,
            max_tokens=8000,
            thinking={"type": "enabled", "budget_tokens": 4000},
            extra_headers=_apart() if self._apart else {},
        ) as stream:
            answer = await stream.get_final_message()
        content = [block.model_dump(mode="json", exclude_none=True) for block in answer.content]
        self.calls = [block["id"] for block in content if block["type"] == "tool_use"]
        if content:  # what was refused wholly is left out, as Anthropic says it should be
            self.messages.append({"role": "assistant", "content": content})


class Responses:
    """Of responses, by the official SDK, as Codex asks: nothing is kept, and reasoning comes back sealed."""

    def __init__(self, sdk: AsyncOpenAI) -> None:
        self.calls: list[str] = []
        self.items: list[Any] = []
        self._sdk = sdk

    def say(self, text: str, *, picture: bool = False) -> None:
        parts: list[Fields] = [{"type": "input_text", "text": text}]
        if picture:
            parts.append({"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}", "detail": "auto"})
        self.items.append({"type": "message", "role": "user", "content": parts})

    def give(self, results: Results) -> None:
        for id, (text, _) in zip(self.calls, results, strict=True):
            self.items.append({"type": "function_call_output", "call_id": id, "output": text})

    async def ask(self, model: str) -> None:
        tools: Any = [{"type": "function", "name": n, "strict": False, "parameters": schema} for n, schema in TOOLS]
        stream = await self._sdk.responses.create(
            model=model,
            instructions="You are an agent.",
            input=self.items,
            tools=tools,
            stream=True,
            store=False,
            include=["reasoning.encrypted_content"],
            reasoning={"effort": "low", "summary": "auto"},
            max_output_tokens=8000,
            extra_headers=_apart(),
        )
        last: Any = None
        async for event in stream:
            last = event
        is_refused = last.type == "response.incomplete" and last.response.incomplete_details.reason == "content_filter"
        assert last.type == "response.completed" or is_refused, last
        output = [json.loads(item.to_json(exclude_none=True)) for item in last.response.output]
        self.calls = [item["call_id"] for item in output if item["type"] == "function_call"]
        self.items += output
