"""One client request in our terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from gateway.core.prompt import Prompt


class Operation(Enum):
    """What is asked for. The value is OpenTelemetry's `gen_ai.operation.name`."""

    CHAT = "chat"
    COMPLETION = "text_completion"
    EMBEDDINGS = "embeddings"
    MODERATION = "moderation"
    RERANK = "rerank"
    IMAGE = "image_generation"
    IMAGE_EDIT = "image_edit"
    IMAGE_VARIATION = "image_variation"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"
    TRANSLATION = "translation"
    REALTIME = "realtime"


TEXT = frozenset({Operation.CHAT, Operation.COMPLETION, Operation.EMBEDDINGS})
"""What is billed by tokens of text, read and cached as such. Everything else is passed on, and billed by what it is made of."""


@dataclass(frozen=True, slots=True)
class Form:
    """A body of `multipart/form-data`: its Content-Type, with the boundary, and where in it the model's name stands.

    `files` are the sizes of the files in it, in bytes.
    """

    media: str
    model: tuple[int, int]
    files: tuple[int, ...]


@dataclass(slots=True)
class Call:
    """What the client sent, checked once at the edge and never changed; not frozen, for that costs 2 µs a call.

    `body` is the client's JSON, byte for byte, and `fields` the same parsed: read only what is acted on. `has` names the
    features in use, for routes to match (see FEATURES). `headers` have lower-case names and no credential. `received` is
    monotonic seconds. `is_own`: the gateway asks for itself, and by the very model it names; `account` is on whose account it
    does, in the place of an end user. `prompt` is the template that was put round it.

    `form` is what `body` is where that is no JSON; `fields` are then its texts.

    `dialect` is the one that the client speaks. Where that is not OpenAI's chat, `fields` and `body` say the same in chat's
    terms (see docs/dialects.md), `native` is what was sent, byte for byte, and `dropped` names what chat has no word for: lost
    unless a provider of the client's own dialect gets `native`. `unsaid` are the values that go with these names, and with such
    of a conversation that is gone on from, as JSON. `strict`: a call that loses anything is refused.
    """

    id: str
    operation: Operation
    received: float
    model: str
    body: bytes
    fields: Mapping[str, Any]
    stream: bool = False
    wants_usage: bool = False
    has: frozenset[str] = frozenset()
    tags: tuple[str, ...] = ()
    conversation: str | None = None
    template: str | None = None
    idempotency_key: str | None = None
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    is_own: bool = False
    account: str | None = None
    dialect: str = "openai"
    native: bytes | None = None
    dropped: tuple[str, ...] = ()
    unsaid: bytes = b""
    strict: bool = False
    form: Form | None = None
    prompt: Prompt | None = None

    def unsaid_to(self, dialect: str) -> bytes:
        """What a provider of this dialect is told beyond `fields`."""
        return self.unsaid if self.native is not None and dialect == self.dialect else b""

    @property
    def user(self) -> str | None:
        """The end user that the caller names."""
        if self.account is not None:
            return self.account
        user = self.fields.get("user") or self.fields.get("safety_identifier")
        return user if isinstance(user, str) else None

    @property
    def output_cap(self) -> int | None:
        """The most output tokens that the client wants, in a field that its endpoint has."""
        for name in OUTPUT_CAPS.get(self.operation, ()):
            if (cap := self.fields.get(name)) is not None:
                return int(cap)
        return None


OUTPUT_CAPS: Mapping[Operation, tuple[str, ...]] = {
    Operation.CHAT: ("max_completion_tokens", "max_tokens"),
    Operation.COMPLETION: ("max_tokens",),
    Operation.REALTIME: (),  # a session has one of its own
}
"""The fields in which a client may cap the output, of whatever makes tokens."""

FEATURES = frozenset({"tools", "json_schema", "json_object", "image", "audio", "file", "n", "logprobs"})
"""What `Call.has` may name."""
