"""The built-in provider: answers without a network, the same answer to the same question, in OpenAI's dialect.

It streams, reports usage, calls a tool when the caller requires one, fills a JSON schema, and embeds text, so that every
feature of the gateway can be tried on a machine that has nothing.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import orjson

from gateway.core.deployment import Provider
from gateway.upstream import demo_judge, demo_media

_CREATED = 1_700_000_000
_DIMENSIONS = 256
_MOST_NUMBERS = 100_000


_TOO_LARGE = b'{"error": {"message": "a number in the body is too large", "code": "number_too_large", "param": null}}'


class Demo:
    """Implements `upstream.wire.Wire`."""

    async def prepare(self) -> None:
        """There is nothing to prepare."""

    async def acquire(self, provider: Provider, *, fresh: bool = False) -> DemoExchange:
        return DemoExchange()

    def release(self, provider: Provider, exchange: object) -> None:
        """Nothing is kept."""


class DemoExchange:
    """Implements `upstream.wire.Exchange`."""

    def __init__(self) -> None:
        self.deadline = math.inf
        self.phase = ""
        self.is_whole = False
        self.is_stale = False
        self.status = 200
        self.headers: Mapping[bytes, bytes] = {}
        self._pieces: Iterator[bytes] = iter(())

    def send(self, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        path = head.split(b" ", 2)[1]
        try:
            made = demo_media.answer(path, body)
            fields = orjson.loads(body) if made is None else {}
        except orjson.JSONDecodeError:  # the one valid JSON that it does not read: a number that no float holds
            self.status, self._pieces = 400, iter([_TOO_LARGE])
            return
        if made is not None:
            content_type, self._pieces = made
            self.headers = {b"content-type": content_type}
            return
        if path.endswith(b"/embeddings"):
            self._pieces = iter([orjson.dumps(_embed(fields))])
            return
        answer = complete(fields) if path.endswith(b"/chat/completions") else _continue(fields)
        self._pieces = _stream(answer, fields) if fields.get("stream") else iter([orjson.dumps(answer)])

    def arrived(self) -> bytes:
        return b""

    async def head(self) -> DemoExchange:
        return self

    async def read(self) -> bytes:
        return next(self._pieces, b"")


def complete(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a chat completion's request."""
    messages = fields["messages"]
    question = next((_text(m.get("content")) for m in reversed(messages) if m.get("role") == "user"), "")
    message, reason = _message(fields, question, answered=messages[-1].get("role") == "tool")
    cap = fields.get("max_completion_tokens") or fields.get("max_tokens")
    words = _words(message["content"] or "")
    if cap is not None and len(words) > cap:
        message["content"], reason = "".join(words[: int(cap)]), "length"
    made = len(_words(message["content"] or "")) + len(message.get("tool_calls", ())) * 10
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": reason}
        for index in range(int(fields.get("n") or 1))
    ]
    sent = sum(len(_words(_text(m.get("content")))) + 4 for m in messages)
    return _answer(fields, "chat.completion", choices, sent, made * len(choices))


def _continue(fields: Mapping[str, Any]) -> dict[str, Any]:
    prompt = fields["prompt"]
    text = prompt if isinstance(prompt, str) else " ".join(map(str, prompt))
    words = _words(f" … and so the demo provider continues: {text[:200]}")[: int(fields.get("max_tokens") or 64)]
    choice = {"index": 0, "text": "".join(words), "logprobs": None, "finish_reason": "stop"}
    return _answer(fields, "text_completion", [choice], len(_words(text)), len(words))


def _message(fields: Mapping[str, Any], question: str, *, answered: bool) -> tuple[dict[str, Any], str]:
    tools = [tool["function"] for tool in fields.get("tools") or () if isinstance(tool.get("function"), dict)]
    wanted = _wanted_tool(fields.get("tool_choice"), tools, question)
    if wanted is not None and not answered:
        arguments = orjson.dumps(_example(wanted.get("parameters") or {})).decode()
        call_id = "call_" + _digest(question + wanted["name"])[:24]
        function = {"name": wanted["name"], "arguments": arguments}
        calls = [{"id": call_id, "type": "function", "function": function}]
        return {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}, "tool_calls"
    form = fields.get("response_format") or {}
    if form.get("type") == "json_schema":
        content = orjson.dumps(_example(form["json_schema"].get("schema") or {})).decode()
    elif form.get("type") == "json_object":
        content = orjson.dumps({"answer": question[:200]}).decode()
    else:
        content = demo_judge.verdict(question) or f"This is the demo provider of llmgw. You said: {question[:2000]}"
    return {"role": "assistant", "content": content, "refusal": None}, "stop"


def _wanted_tool(choice: Any, tools: list[dict[str, Any]], question: str) -> dict[str, Any] | None:
    """The tool that is required, or one that the question names; tools that are only offered are not called."""
    if isinstance(choice, dict):
        name = (choice.get("function") or {}).get("name")
        return next((tool for tool in tools if tool["name"] == name), None)
    if choice == "none" or not tools:
        return None
    return next((tool for tool in tools if tool["name"] in question), tools[0] if choice == "required" else None)


def _stream(answer: dict[str, Any], fields: Mapping[str, Any]) -> Iterator[bytes]:
    usage = answer.pop("usage")
    is_chat = answer["object"] == "chat.completion"
    shell = {**answer, "object": "chat.completion.chunk"} if is_chat else answer
    for choice in answer["choices"]:
        for delta in _deltas(choice["message"]) if is_chat else _words(choice["text"]):
            piece = {"delta": delta} if is_chat else {"text": delta}
            yield _event(shell, [{"index": choice["index"], **piece, "logprobs": None, "finish_reason": None}])
        last: dict[str, Any] = {"delta": {}} if is_chat else {"text": ""}
        yield _event(
            shell, [{"index": choice["index"], **last, "logprobs": None, "finish_reason": choice["finish_reason"]}]
        )
    if (fields.get("stream_options") or {}).get("include_usage"):
        yield _event({**shell, "usage": usage}, [])
    yield b"data: [DONE]\n\n"


def _deltas(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": None if message.get("tool_calls") else ""}
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        yield {"tool_calls": [{"index": index, **call, "function": {"name": function["name"], "arguments": ""}}]}
        for word in _words(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": word}}]}
    for word in _words(message.get("content") or ""):
        yield {"content": word}


def _event(shell: Mapping[str, Any], choices: list[dict[str, Any]]) -> bytes:
    return b"data: " + orjson.dumps({**shell, "choices": choices}) + b"\n\n"


def _embed(fields: Mapping[str, Any]) -> dict[str, Any]:
    given = fields["input"]
    texts = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else given[:_MOST_NUMBERS]
    size = _number(fields.get("dimensions"), _DIMENSIONS, most=min(4096, _MOST_NUMBERS // max(1, len(texts))))
    as_text = fields.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(str(text), size, as_text=as_text)}
        for index, text in enumerate(texts)
    ]
    sent = sum(len(_words(str(text))) for text in texts)
    usage = {"prompt_tokens": sent, "total_tokens": sent}
    return {"object": "list", "data": data, "model": fields["model"], "usage": usage}


def _number(value: Any, default: int, *, most: int) -> int:
    """The number that was asked for, from 1 to `most`; the default for what is none."""
    number = value if isinstance(value, int | float) and 0 < value < math.inf else default
    return max(1, int(min(number, most)))


def _vector(text: str, size: int, *, as_text: bool) -> list[float] | str:
    """A unit vector made of hashed words: texts that share words are near each other."""
    vector = [0.0] * size
    for word in text.lower().split():
        digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
        vector[int.from_bytes(digest[:4], "big") % size] += 1.0 if digest[4] & 1 else -1.0
    length = math.sqrt(sum(x * x for x in vector)) or 1.0
    unit = [x / length for x in vector]
    return base64.b64encode(struct.pack(f"<{size}f", *unit)).decode() if as_text else unit


def _example(schema: Mapping[str, Any]) -> Any:
    """The smallest value that fits a JSON schema made of types, enums, properties and items."""
    choices, members = schema.get("enum"), schema.get("properties")
    if isinstance(choices, list) and choices:
        return choices[0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next(iter(kind), None)
    if kind == "object" or isinstance(members, dict):
        known = members if isinstance(members, dict) else {}
        return {name: _example(inner) for name, inner in known.items() if isinstance(inner, dict)}
    if kind == "array":
        return [_example(schema["items"])] if isinstance(schema.get("items"), dict) else []
    return {"string": "demo", "integer": 1, "number": 1.0, "boolean": True}.get(str(kind))


def _answer(
    fields: Mapping[str, Any], kind: str, choices: list[dict[str, Any]], sent: int, made: int
) -> dict[str, Any]:
    digest = _digest(
        msgspec.json.encode({k: v for k, v in fields.items() if k not in ("stream", "stream_options")}).decode()
    )
    return {
        "id": ("chatcmpl-" if kind.startswith("chat") else "cmpl-") + digest[:24],
        "object": kind,
        "created": _CREATED,
        "model": fields["model"],
        "choices": choices,
        "usage": {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made},
    }


def _text(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _words(text: str) -> list[str]:
    """The text cut before each space, so that joining gives it back."""
    words = text.split(" ")
    return [word if index == 0 else f" {word}" for index, word in enumerate(words) if word or index]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
