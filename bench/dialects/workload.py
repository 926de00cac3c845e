"""What is asked in each dialect of a client, of models that are named for the dialect of their provider."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHORT, LONG = 20, 220
"""Words of an answer, and events of a stream: what one costs is the slope between the two."""
PROVIDERS = ("openai", "anthropic", "responses", "gemini", "bedrock", "litellm")
_QUESTION = (
    "Say again what the quick brown fox did to the lazy dog, and then why; spare no detail of the place and the hour. "
)


@dataclass(frozen=True, slots=True)
class Client:
    """`ending` stands in the last event of a whole stream, and nowhere before. `relays` is the provider that speaks the same."""

    name: str
    path: str
    ending: str
    relays: str


CLIENTS = (
    Client("chat", "/v1/chat/completions", "[DONE]", "openai"),
    Client("messages", "/v1/messages", "message_stop", "anthropic"),
    Client("responses", "/v1/responses", "response.completed", "responses"),
)


def asks_for(words: int) -> bytes:
    """What a request says that wants so many words."""
    return f"in {words} words".encode()


def request_body(client: Client, model: str, *, words: int, streamed: bool) -> bytes:
    """About 0.5 KB."""
    question = _QUESTION * 3 + asks_for(words).decode()
    said: Mapping[str, Mapping[str, Any]] = {
        "chat": {"messages": [{"role": "system", "content": "You are terse."}, {"role": "user", "content": question}]},
        "messages": {"system": "You are terse.", "messages": [{"role": "user", "content": question}]},
        "responses": {"instructions": "You are terse.", "input": question, "store": False},
    }
    cap = "max_output_tokens" if client.name == "responses" else "max_tokens"
    body = {"model": model, "temperature": 0.5, cap: 400, **said[client.name]}
    return json.dumps({**body, "stream": True} if streamed else body).encode()
