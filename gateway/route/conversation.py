"""Which conversation a call belongs to, what its application says in each, and draws that are the same for all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from gateway.core.call import Call
from gateway.core.tenant import Tenant

_APPLICATION = ("system", "developer")
_SIGNED = (b'"signature":', b'"thought_signature":', b'"encrypted_content":', b'"redacted_thinking"')
"""Members of messages by which providers know reasoning of their own."""
_DIGITS = bytes.maketrans(b"123456789", b"000000000")


@dataclass(frozen=True, slots=True)
class Conversation:
    """`id` is the same for all calls of one conversation of one virtual key; `is_new`: nobody has answered in it yet.
    `is_bound`: it cannot go on at another provider, as a tool's result is on its way, the last answer is kept there, or its
    reasoning is signed or sealed by whoever made it."""

    id: str
    is_new: bool = True
    is_bound: bool = False


def conversation_of(call: Call, tenant: Tenant) -> Conversation:
    """By the client's own name for it; else by its beginning, up to the first message of the user's."""
    messages = call.fields.get("messages")
    turns: Sequence[Any] = messages if isinstance(messages, list) else ()
    roles = [turn.get("role") if isinstance(turn, dict) else None for turn in turns]
    if call.conversation is not None or not turns:
        beginning = _encoded(call.conversation or call.id)
    else:
        first = roles.index("user") + 1 if "user" in roles else len(roles)
        beginning = msgspec.json.encode(turns[:first], order="sorted")
    digest = _of_key(tenant.org, tenant.team, tenant.key_id).copy()
    digest.update(b"%d:" % len(beginning) + beginning)
    is_kept_there = bool(call.fields.get("previous_response_id"))
    return Conversation(
        id=digest.hexdigest(),
        is_new="assistant" not in roles and not is_kept_there,
        is_bound=roles[-1:] == ["tool"] or is_kept_there or ("assistant" in roles and _has_signed_reasoning(call)),
    )


def system_prompt(call: Call) -> str:
    """A digest of what the application says in every call, with each digit read as 0: dates change. "" where it says nothing."""
    messages = call.fields.get("messages")
    turns = messages if isinstance(messages, list) else []
    said = [turn.get("content") for turn in turns if isinstance(turn, dict) and turn.get("role") in _APPLICATION]
    if not said:
        return ""
    return blake2b(msgspec.json.encode(said).translate(_DIGITS), digest_size=8).hexdigest()


def _has_signed_reasoning(call: Call) -> bool:
    """Within a text these would be written otherwise: quotes in it are escaped."""
    return any(name in call.body for name in _SIGNED)


@lru_cache(maxsize=4096)
def _of_key(org: str, team: str | None, key_id: str) -> blake2b:
    """What all conversations of a virtual key begin with."""
    parts = [_encoded(part) for part in (org, team or "", key_id)]
    return blake2b(b"".join([b"%d:" % len(part) + part for part in parts]), digest_size=16)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def draw(*names: str) -> float:
    """A number from 0 to below 1, evenly spread over names and always the same for the same ones."""
    digest = blake2b("\0".join(names).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) / (1 << 64)
