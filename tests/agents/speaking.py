"""What a model says in one turn, written in the words of each provider dialect, whole and as a stream."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.agents.rules import Sealed
from tests.eventstream import event
from tests.faults.steps import Body, Head, Json, Step

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """`calls` are names and arguments. `is_refused`: it will not say."""

    number: int
    thought: str = ""
    text: str = ""
    calls: tuple[tuple[str, Fields], ...] = ()
    is_refused: bool = False

    def ids(self, prefix: str) -> list[tuple[str, str, Fields]]:
        """Ids as long as this provider makes them, names and arguments."""
        return [
            (f"{prefix}{self.number:02}{place:02}".ljust(24 + len(prefix), "a"), name, given)
            for place, (name, given) in enumerate(self.calls)
        ]


def steps(dialect: str, turn: Turn, sealed: Sealed, *, stream: bool) -> tuple[Step, ...]:
    """The provider's answer. What it signs or seals in it is added to `sealed`."""
    if not stream:
        return (Json(_WHOLE[dialect](turn, sealed)),)
    media = "application/vnd.amazon.eventstream" if dialect == "bedrock" else "text/event-stream"
    return Head(headers=(("Content-Type", media),)), Body(_STREAMS[dialect](turn, sealed))


def _openai(turn: Turn, sealed: Sealed) -> Fields:
    message: Fields = {"role": "assistant", "content": turn.text or None, "refusal": None}
    if turn.thought:
        message["reasoning_content"] = turn.thought
    if turn.is_refused:
        message["refusal"] = "I cannot help with that."
    if turn.calls:
        message["tool_calls"] = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            for id, name, given in turn.ids("chatcmpl-tool-abcdefgh")  # 46 letters, as vLLM makes them
        ]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if turn.calls else "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    told = {"id": f"chatcmpl-{turn.number}", "created": 1, "model": "gpt", "choices": [choice], "usage": usage}
    return {**told, "object": "chat.completion"}


def _openai_stream(turn: Turn, sealed: Sealed) -> bytes:
    whole = _openai(turn, sealed)
    (choice,), usage = whole["choices"], whole["usage"]
    delta = {name: value for name, value in choice["message"].items() if value is not None}
    for place, call in enumerate(delta.get("tool_calls", ())):
        call["index"] = place
    head = {"id": whole["id"], "object": "chat.completion.chunk", "created": 1, "model": "gpt"}
    chunks: list[Fields] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]},
        {"choices": [], "usage": usage},
    ]
    return b"".join(b"data: %b\n\n" % json.dumps(head | chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"


def _anthropic(turn: Turn, sealed: Sealed) -> Fields:
    blocks: list[Fields] = []
    if turn.thought:
        signature = f"c2lnbmF0dXJl{turn.number:04}"
        sealed.thoughts += [(turn.thought, signature), ("", f"cmVkYWN0ZWQ{turn.number:04}")]
        blocks.append({"type": "thinking", "thinking": turn.thought, "signature": signature})
        blocks.append({"type": "redacted_thinking", "data": f"cmVkYWN0ZWQ{turn.number:04}"})
    if turn.text:
        blocks.append({"type": "text", "text": turn.text})
    blocks += [{"type": "tool_use", "id": id, "name": name, "input": given} for id, name, given in turn.ids("toolu_01")]
    reason = "refusal" if turn.is_refused else "tool_use" if turn.calls else "end_turn"
    message = {"id": f"msg_{turn.number}", "type": "message", "role": "assistant", "model": "claude", "content": blocks}
    return {**message, "stop_reason": reason, "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 9}}


def _anthropic_stream(turn: Turn, sealed: Sealed) -> bytes:
    whole = _anthropic(turn, sealed)
    told: list[Fields] = [
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
    ]
    for index, block in enumerate(whole["content"]):
        begun, deltas = dict(block), []
        match block["type"]:
            case "thinking":
                begun |= {"thinking": "", "signature": ""}
                deltas = [("thinking_delta", "thinking"), ("signature_delta", "signature")]
            case "text":
                begun["text"], deltas = "", [("text_delta", "text")]
            case "tool_use":
                begun["input"] = {}
        told.append({"type": "content_block_start", "index": index, "content_block": begun})
        for kind, name in deltas:
            told.append({"type": "content_block_delta", "index": index, "delta": {"type": kind, name: block[name]}})
        if block["type"] == "tool_use":
            written = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            told.append({"type": "content_block_delta", "index": index, "delta": written})
        told.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    told += [{"type": "message_delta", "delta": end, "usage": {"output_tokens": 9}}, {"type": "message_stop"}]
    return _named(told)


def _named(told: list[Fields]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (each["type"].encode(), json.dumps(each).encode()) for each in told)


def _responses(turn: Turn, sealed: Sealed) -> Fields:
    output: list[Fields] = []
    if turn.thought:
        seal = f"gAAAAAB{turn.number:04}"
        sealed.seals.add(seal)
        summary = [{"type": "summary_text", "text": turn.thought}]
        id = f"rs_{turn.number:048}"
        output.append({"id": id, "type": "reasoning", "summary": summary, "encrypted_content": seal})
    part: Fields | None = None
    if turn.text:
        part = {"type": "output_text", "text": turn.text, "annotations": []}
    if turn.is_refused:
        part = {"type": "refusal", "refusal": "I cannot help with that."}
    if part is not None:
        id = f"msg_{turn.number:048}"
        message = {"id": id, "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        output.append(message)
    for place, (call_id, name, given) in enumerate(turn.ids("call_")):
        id = f"fc_{turn.number:046}{place:02}"
        called = {"id": id, "type": "function_call", "status": "completed", "call_id": call_id}
        output.append({**called, "name": name, "arguments": json.dumps(given)})
    usage = {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18}
    told = {"id": f"resp_{turn.number}", "object": "response", "created_at": 1, "status": "completed", "model": "gpt"}
    beside = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {**told, **beside, "output": output, "usage": usage, "error": None, "incomplete_details": None}


def _responses_stream(turn: Turn, sealed: Sealed) -> bytes:
    whole = _responses(turn, sealed)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    told: list[Fields] = [{"type": "response.created", "response": begun}]
    for place, item in enumerate(whole["output"]):
        at = {"item_id": item["id"], "output_index": place}
        empty = {**item, "status": "in_progress"} | ({"content": []} if item["type"] == "message" else {})
        empty |= {"arguments": ""} if item["type"] == "function_call" else {}
        empty |= {"summary": []} if item["type"] == "reasoning" else {}
        told.append({"type": "response.output_item.added", "output_index": place, "item": empty})
        if item["type"] == "function_call":
            told.append({"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]})
        if item["type"] == "message":
            (part,) = item["content"]
            kind = "output_text" if "text" in part else "refusal"
            at |= {"content_index": 0}
            told.append(
                {"type": "response.content_part.added", **at, "part": {**part, kind.removeprefix("output_"): ""}}
            )
            text = part[kind.removeprefix("output_")]
            told.append({"type": f"response.{kind}.delta", **at, "delta": text})
            told.append({"type": "response.content_part.done", **at, "part": part})
        told.append({"type": "response.output_item.done", "output_index": place, "item": item})
    told.append({"type": "response.completed", "response": whole})
    return _named([{**each, "sequence_number": number} for number, each in enumerate(told)])


def _gemini(turn: Turn, sealed: Sealed) -> Fields:
    parts: list[Fields] = []
    if turn.thought:
        parts.append({"text": turn.thought, "thought": True})
    if turn.text:
        parts.append({"text": turn.text})
    parts += [{"functionCall": {"name": name, "args": given}} for name, given in turn.calls]
    if turn.calls:
        signature = base64.b64encode(f"signature {turn.number}".encode()).decode()
        sealed.signatures.add(signature)
        parts[-len(turn.calls)]["thoughtSignature"] = signature
    candidate: Fields = {"finishReason": "SAFETY" if turn.is_refused else "STOP", "index": 0}
    if parts:
        candidate["content"] = {"role": "model", "parts": parts}
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 9, "totalTokenCount": 18}
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "gemini-3-pro",
        "responseId": f"r{turn.number}",
    }


def _gemini_stream(turn: Turn, sealed: Sealed) -> bytes:
    return b"data: %b\r\n\r\n" % json.dumps(_gemini(turn, sealed)).encode()


def _bedrock(turn: Turn, sealed: Sealed) -> Fields:
    blocks: list[Fields] = []
    if turn.thought:
        signature = f"YmVkcm9jaw{turn.number:04}"
        sealed.thoughts.append((turn.thought, signature))
        blocks.append({"reasoningContent": {"reasoningText": {"text": turn.thought, "signature": signature}}})
    if turn.text or turn.is_refused:
        blocks.append({"text": turn.text or "Sorry, the model cannot answer this."})
    for id, name, given in turn.ids("tooluse_"):
        blocks.append({"toolUse": {"toolUseId": id, "name": name, "input": given}})
    reason = "guardrail_intervened" if turn.is_refused else "tool_use" if turn.calls else "end_turn"
    usage = {"inputTokens": 9, "outputTokens": 9, "totalTokens": 18}
    return {"output": {"message": {"role": "assistant", "content": blocks}}, "stopReason": reason, "usage": usage}


def _bedrock_stream(turn: Turn, sealed: Sealed) -> bytes:
    whole = _bedrock(turn, sealed)
    told = [event("messageStart", {"role": "assistant"})]
    for index, block in enumerate(whole["output"]["message"]["content"]):
        deltas: list[Fields] = []
        if "toolUse" in block:
            use = block["toolUse"]
            start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
            told.append(event("contentBlockStart", {"contentBlockIndex": index, "start": start}))
            deltas = [{"toolUse": {"input": json.dumps(use["input"])}}]
        elif "text" in block:
            deltas = [{"text": block["text"]}]
        else:
            said = block["reasoningContent"]["reasoningText"]
            deltas = [{"reasoningContent": {name: said[name]}} for name in ("text", "signature")]
        told += [event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas]
        told.append(event("contentBlockStop", {"contentBlockIndex": index}))
    told.append(event("messageStop", {"stopReason": whole["stopReason"]}))
    return b"".join([*told, event("metadata", {"usage": whole["usage"], "metrics": {"latencyMs": 1}})])


_WHOLE: Mapping[str, Callable[[Turn, Sealed], Fields]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "responses": _responses,
    "gemini": _gemini,
    "bedrock": _bedrock,
}
_STREAMS: Mapping[str, Callable[[Turn, Sealed], bytes]] = {
    "openai": _openai_stream,
    "anthropic": _anthropic_stream,
    "responses": _responses_stream,
    "gemini": _gemini_stream,
    "bedrock": _bedrock_stream,
}
