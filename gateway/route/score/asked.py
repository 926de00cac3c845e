"""From a call to the prompt that is scored."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import msgspec

from gateway.core.call import Call
from gateway.route.score.prompt import Prompt

_ALWAYS_THE_SAME = frozenset({"system", "developer"})


def asked(call: Call, *, route: str) -> Prompt:
    """The text is what the user said last. The category is told by a digest of what stands in system and developer messages
    and of the format and the tools that are asked for, and by the features in use. Whatever is not as it should be reads as
    nothing said."""
    messages = call.fields.get("messages")
    if not isinstance(messages, list):
        return Prompt(_text(call.fields.get("prompt")), route, _category(call, ()))
    spoken = [(message.get("role"), message.get("content")) for message in messages if isinstance(message, dict)]
    said = next((content for role, content in reversed(spoken) if role == "user"), None)
    instructions = [_text(content) for role, content in spoken if isinstance(role, str) and role in _ALWAYS_THE_SAME]
    return Prompt(_text(said), route, _category(call, instructions), len(spoken) - len(instructions))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part if isinstance(part, str) else part.get("text") for part in content if isinstance(part, str | dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def _category(call: Call, instructions: Iterable[str]) -> str:
    digest = blake2b("\0".join(instructions).encode("utf-8", "surrogatepass"), digest_size=8)
    for name in ("response_format", "tools"):
        digest.update(msgspec.json.encode(call.fields.get(name), order="sorted"))
    return " ".join((digest.hexdigest(), *sorted(call.has)))
