"""The OpenAI dialect as a provider speaks it: what was asked, and the events and documents that answer it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.oracle import Call
from tests.faults.steps import DONE, Event, Finish, Say, Step, Tool, Usage

CREATED = 1700000000


@dataclass(frozen=True, slots=True)
class Asked:
    """The few fields of a request that shape its answer."""

    number: int
    path: str
    key: str
    model: str
    stream: bool
    wants_usage: bool
    cap: int | None
    choices: int
    prompt_tokens: int

    @property
    def id(self) -> str:
        return f"chatcmpl-{self.number}"


def asked_by(call: Call) -> Asked:
    """Reads a call; whatever is absent or of a wrong type takes its default."""
    body = call.json if isinstance(call.json, dict) else {}
    options = body.get("stream_options")
    cap = body.get("max_completion_tokens") or body.get("max_tokens")
    said = json.dumps(body.get("messages") or body.get("input") or body.get("prompt") or "")
    return Asked(
        number=call.number,
        path=call.path.partition("?")[0],
        key=(call.header("authorization") or "").removeprefix("Bearer "),
        model=call.model,
        stream=body.get("stream") is True,
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        cap=cap if isinstance(cap, int) else None,
        choices=body["n"] if isinstance(body.get("n"), int) else 1,
        prompt_tokens=max(1, len(said) // 4),
    )


def usage_block(usage: Usage) -> dict[str, Any]:
    """The usage object; the total only where it can be summed."""
    parts = (usage.prompt, usage.completion)
    total = sum(parts) if all(isinstance(part, int) for part in parts) else None
    return {"prompt_tokens": usage.prompt, "completion_tokens": usage.completion, "total_tokens": total}


def chunk(asked: Asked, *, delta: dict[str, Any], finish: str | None = None, choice: int = 0) -> dict[str, Any]:
    """One `chat.completion.chunk`."""
    if asked.path.endswith("/chat/completions"):
        part: dict[str, Any] = {"index": choice, "delta": delta, "finish_reason": finish}
        kind = "chat.completion.chunk"
    else:
        part = {"index": choice, "text": delta.get("content", ""), "finish_reason": finish}
        kind = "text_completion"
    return {"id": asked.id, "object": kind, "created": CREATED, "model": asked.model, "choices": [part]}


def events(asked: Asked, step: Step, *, first: bool) -> list[str]:
    """The `data:` values of one step of a streamed answer; the first one also says the role."""
    role = {"role": "assistant"} if first else {}
    match step:
        case Say(text=text, choice=choice):
            values = [chunk(asked, delta=role | {"content": text}, choice=choice)]
        case Tool():
            values = [chunk(asked, delta=delta) for delta in _tool_deltas(step, role)]
        case Finish(reason=reason):
            values = [chunk(asked, delta={}, finish=reason, choice=choice) for choice in range(asked.choices)]
        case Usage():
            values = [chunk(asked, delta={}) | {"choices": [], "usage": usage_block(step)}]
        case Event(data=data):
            return [data if isinstance(data, str) else _text(data)]
        case _:
            return ["[DONE]"] if step is DONE else []
    return [_text(value) for value in values]


def stream(asked: Asked, steps: Sequence[Step], *, end: str = "\n") -> bytes:
    """Steps as one block of server-sent events, with this line end."""
    lines: list[str] = []
    for number, step in enumerate(steps):
        lines += [f"data: {data}{end}{end}" for data in events(asked, step, first=number == 0)]
    return "".join(lines).encode()


def document(asked: Asked, steps: Sequence[Step]) -> dict[str, Any]:
    """Steps as one whole answer; without a `Finish` its finish reason is null."""
    if asked.path.endswith("/embeddings"):
        return _embeddings(asked)
    said = "".join(step.text for step in steps if isinstance(step, Say) and step.choice == 0)
    calls = [_tool_call(step) for step in steps if isinstance(step, Tool)]
    reason = next((step.reason for step in steps if isinstance(step, Finish)), None)
    usage = next((usage_block(step) for step in reversed(steps) if isinstance(step, Usage)), None)
    parts = [_choice(asked, index, said, calls, reason) for index in range(asked.choices)]
    kind = "chat.completion" if asked.path.endswith("/chat/completions") else "text_completion"
    answer = {"id": asked.id, "object": kind, "created": CREATED, "model": asked.model, "choices": parts}
    return answer | ({"usage": usage} if usage else {})


def error(status: int, *, message: str = "the provider says no", code: str | None = None) -> dict[str, Any]:
    """An error body in OpenAI's shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _choice(asked: Asked, index: int, said: str, calls: list[dict[str, Any]], reason: str | None) -> dict[str, Any]:
    if not asked.path.endswith("/chat/completions"):
        return {"index": index, "text": said, "finish_reason": reason}
    message: dict[str, Any] = {"role": "assistant", "content": None if calls and not said else said}
    return {"index": index, "message": message | ({"tool_calls": calls} if calls else {}), "finish_reason": reason}


def _tool_call(step: Tool) -> dict[str, Any]:
    return {"id": step.id, "type": "function", "function": {"name": step.name, "arguments": step.arguments}}


def _tool_deltas(step: Tool, role: dict[str, str]) -> list[dict[str, Any]]:
    opening = _tool_call(step) | {"index": step.index}
    if not isinstance(step.arguments, str):
        return [role | {"content": None, "tool_calls": [opening]}]
    half = len(step.arguments) // 2
    opening["function"] = {"name": step.name, "arguments": ""}
    rest = [
        {"tool_calls": [{"index": step.index, "function": {"arguments": part}}]}
        for part in (step.arguments[:half], step.arguments[half:])
    ]
    return [role | {"content": None, "tool_calls": [opening]}, *rest]


def _embeddings(asked: Asked) -> dict[str, Any]:
    row = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125]}
    usage = {"prompt_tokens": asked.prompt_tokens, "total_tokens": asked.prompt_tokens}
    return {"object": "list", "model": asked.model, "data": [row], "usage": usage}


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
