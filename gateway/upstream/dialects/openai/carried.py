"""What the answers of other dialects leave in a chat client's conversation, made fit for a provider of OpenAI's.

Whoever wants such members back is known by the name of the model: there are gateways in between.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from gateway.core.deployment import Deployment, Provider

_OURS: Mapping[str, str] = {
    "thinking_blocks": "claude",
    "reasoning_items": "\0",
    "reasoning_item_id": "\0",
}
"""Members of a message, and whose models may want them back."""
_STRICT = ("openai.com", "azure.com", "groq.com", "mistral.ai", "cerebras.ai")
"""Hosts that refuse members they do not know, and so readable reasoning."""
_INSTEAD = ("tool_calls", "refusal", "function_call", "audio")
"""Without one of these there has to be content."""
_PLAIN = frozenset({"role", "content", "name", "refusal", "tool_calls"})
_LONGEST_ID = 40
_LONGEST_USER = 64
_MISTRAL = "mistral.ai"
_MISTRAL_ID = re.compile(r"[a-zA-Z0-9]{9}")


def end_user(name: str) -> str:
    """The user as OpenAI takes it: always the same for the same one."""
    if len(name) <= _LONGEST_USER:
        return name
    return f"user_{_digest(name)}"


def tool_id(id: str, provider: Provider) -> str:
    """The id of a call as the provider takes it: always the same for the same one, and another for another."""
    if not provider.host.endswith(_MISTRAL):
        return short_id(id, longest=_LONGEST_ID)
    return id if _MISTRAL_ID.fullmatch(id) else _digest(id)[:9]


def short_id(id: str, *, longest: int) -> str:
    return id if len(id) <= longest else f"call_{_digest(id)}"


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def keeps_signatures(deployment: Deployment) -> bool:
    """Whether the model is one of Google's, which sign their calls and want to see that again."""
    return deployment.provider.host.endswith("googleapis.com") or "gemini" in deployment.upstream_model


def carried(messages: Sequence[Any], deployment: Deployment) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """The messages that have to be written anew, by their places, and what was left out of them."""
    changed: dict[int, dict[str, Any]] = {}
    dropped: list[str] = []
    is_mistral = deployment.provider.host.endswith(_MISTRAL)
    for index, message in enumerate(messages):
        role = message.get("role")
        if role == "assistant":
            if not is_mistral and _is_plain(message):
                continue
            told = _said(message, deployment, f"messages[{index}]", dropped)
        elif role == "tool" and isinstance(id := message.get("tool_call_id"), str):
            if not is_mistral and len(id) <= _LONGEST_ID:
                continue
            fit = tool_id(id, deployment.provider)
            told = message if fit == id else {**message, "tool_call_id": fit}
        else:
            continue
        if told is not message:
            changed[index] = told
    return changed, dropped


def _is_plain(message: dict[str, Any]) -> bool:
    """Whether it says nothing but what every provider takes: most messages do."""
    calls = message.get("tool_calls")
    if not message.keys() <= _PLAIN or (message.get("content") is None and not calls):
        return False
    for call in calls or ():
        if not isinstance(call, dict) or "extra_content" in call or len(call.get("id") or "") > _LONGEST_ID:
            return False
    return True


def _said(message: dict[str, Any], deployment: Deployment, where: str, dropped: list[str]) -> dict[str, Any]:
    """The message itself where there is nothing to change."""
    unknown = [name for name, wanted in _OURS.items() if name in message and wanted not in deployment.upstream_model]
    if deployment.provider.host.endswith(_STRICT):
        unknown += [name for name in ("reasoning_content", "reasoning") if name in message]
    told = message
    if unknown:
        told = {name: value for name, value in message.items() if name not in unknown}
        dropped += [f"{where}.{name}" for name in unknown if message[name]]
    if message.get("content") is None and not any(message.get(name) for name in _INSTEAD):
        told = {**told, "content": ""}  # as an answer was that somebody's filter kept back
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        fit = [_call(call, deployment, f"{where}.tool_calls[{n}]", dropped) for n, call in enumerate(calls)]
        if any(one is not other for one, other in zip(calls, fit, strict=True)):
            told = {**told, "tool_calls": fit}
    return told


def _call(call: Any, deployment: Deployment, where: str, dropped: list[str]) -> Any:
    if not isinstance(call, dict):
        return call
    id = call.get("id")
    fit = tool_id(id, deployment.provider) if isinstance(id, str) else id
    is_signed = "extra_content" in call and not keeps_signatures(deployment)
    if fit == id and not is_signed:
        return call
    if is_signed:
        dropped.append(f"{where}.extra_content")
    return {**{name: value for name, value in call.items() if name != "extra_content" or not is_signed}, "id": fit}
