"""Providers behind the litellm SDK: chat completions and embeddings, made of fields that are known to be harmless.

litellm takes many more words than OpenAI's dialect has, among them where to send the call, and it fetches what messages point to.
What it would leave out in silence is left out here, and told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment
from gateway.core.errors import InvalidRequest, UpstreamError
from gateway.upstream.bridge import sdk
from gateway.upstream.dialects.dialect import Outgoing
from gateway.upstream.dialects.openai.failure import failure
from gateway.upstream.dialects.openai.request import PATHS

_OPTIONAL = {
    Operation.CHAT: frozenset(
        {
            *("audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_tokens"),
            *("max_completion_tokens", "modalities", "n", "parallel_tool_calls", "prediction", "presence_penalty"),
            *("prompt_cache_key", "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier"),
            *("stop", "temperature", "thinking", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity"),
        }
    ),
    Operation.EMBEDDINGS: frozenset({"dimensions", "encoding_format", "user"}),
}
"""What a provider may be asked for, if litellm knows that it takes it."""
_REQUIRED = {Operation.CHAT: frozenset({"messages"}), Operation.EMBEDDINGS: frozenset({"input"})}
_OURS = frozenset({"model", "stream", "stream_options", "llmgw"})
_CAPS = ("max_completion_tokens", "max_tokens")
_MESSAGE = frozenset(
    {
        *("audio", "cache_control", "content", "function_call", "name", "reasoning_content", "refusal", "role"),
        *("thinking_blocks", "tool_call_id", "tool_calls"),
    }
)
_TOOLS = frozenset({"function"})
_SAID = frozenset({"text", "refusal", "thinking", "title", "context"})
_REMOTE = ("http:", "https:")


class LiteLLM:
    """Implements `dialects.dialect.Dialect`. A call may be asked for once the bridge is prepared."""

    stream_type = b"text/event-stream"

    def request(self, call: Call, deployment: Deployment, cap: int | None, *, now: float) -> Outgoing:
        """Raises InvalidRequest."""
        operation = call.operation
        if operation not in _REQUIRED:
            raise _unsupported(f"{deployment.name} has no text completions; use chat completions", "model")
        accepted = sdk.accepted(deployment.provider.translator, deployment.upstream_model, operation)
        allowed = _REQUIRED[operation] | (_OPTIONAL[operation] & accepted)
        given = _capped(call.fields, cap, accepted, deployment)
        _check(given)
        fields = {name: value for name, value in given.items() if name in allowed and value is not None}
        dropped = [name for name, value in given.items() if name not in allowed | _OURS and value is not None]
        if "messages" in fields:
            fields["messages"], lost = _own_messages(fields["messages"])
            dropped += lost
        if "tools" in fields:
            fields["tools"], lost = _own_tools(fields["tools"])
            dropped += lost
        fields["model"] = deployment.upstream_model
        if call.stream:
            fields |= {"stream": True, "stream_options": {"include_usage": True}}
        return Outgoing(PATHS[operation], msgspec.json.encode(fields), dropped=tuple(sorted(dropped)))

    def translation(self, call: Call) -> None:
        return None

    def failure(
        self, status: int, body: bytes, headers: Mapping[bytes, bytes], *, secrets: tuple[str, ...], now: float
    ) -> UpstreamError:
        return failure(status, body, headers, secrets=secrets, now=now)


def _capped(
    fields: Mapping[str, Any], cap: int | None, accepted: frozenset[str], deployment: Deployment
) -> Mapping[str, Any]:
    """The fields with their output cap, ours or the client's own, in the word that the provider takes."""
    own = next((fields[name] for name in _CAPS if fields.get(name) is not None), None)
    name = next((name for name in ("max_tokens", "max_completion_tokens") if name in accepted), None)
    if cap is not None and name is None:
        raise _unsupported(f"{deployment.name} cannot be told how long its answer may be", "max_tokens")
    wanted = own if cap is None else cap
    is_understood = all(each in accepted for each in _CAPS if each in fields)
    if name is None or wanted is None or (is_understood and cap is None):
        return fields
    return {**{each: value for each, value in fields.items() if each not in _CAPS}, name: wanted}


def _check(fields: Mapping[str, Any]) -> None:
    """Raises InvalidRequest for what litellm would fetch, and for what it mixes up."""
    if fields.get("stream") and int(fields.get("n") or 1) > 1:
        raise _unsupported("several choices are not streamed by this provider", "n")
    for number, message in enumerate(fields.get("messages") or ()):
        content = message.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if any(text.strip().lower().startswith(_REMOTE) for text in _places(part)):
                where = f"messages[{number}].content[{index}]"
                raise _unsupported("this provider takes images and files as data: URLs only", where)


def _places(part: Any) -> Iterator[str]:
    """The texts of a part that may say where something lies; what is said is not among them."""
    if isinstance(part, str) or not isinstance(part, dict):
        return
    for name, value in part.items():
        if isinstance(value, str) and name not in _SAID:
            yield value
        elif isinstance(value, dict):
            yield from _places(value)
        elif isinstance(value, list):
            for each in value:
                yield from _places(each)


def _own_messages(messages: list[Any]) -> tuple[list[Any], list[str]]:
    """The messages without members that only litellm knows, and the names of those."""
    kept = [{name: value for name, value in message.items() if name in _MESSAGE} for message in messages]
    lost = [
        f"messages[{index}].{name}"
        for index, message in enumerate(messages)
        for name, value in message.items()
        if name not in _MESSAGE and value is not None
    ]
    return kept, lost


def _own_tools(tools: list[Any]) -> tuple[list[Any], list[str]]:
    """The functions, and the names of others: those run at the provider, or in litellm itself."""
    kept = [tool for tool in tools if tool.get("type") in _TOOLS]
    return kept, [f"tools[{index}]" for index, tool in enumerate(tools) if tool.get("type") not in _TOOLS]


def _unsupported(message: str, param: str) -> InvalidRequest:
    return InvalidRequest(message, code="unsupported_parameter", param=param)
