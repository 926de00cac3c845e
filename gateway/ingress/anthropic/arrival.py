"""A request for a message, or for the count of its tokens."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.core.call import Call, Operation
from gateway.core.secret import Secret
from gateway.ingress import json_body
from gateway.ingress.anthropic.reading import chat_fields, lost, names_of
from gateway.ingress.anthropic.speech import AnthropicSpeech
from gateway.ingress.openai import bearer, check_media, headers_of, span_context
from gateway.ingress.request import Request
from gateway.template.wanted import names_template, without_templates

PATH = "/v1/messages"

_BETA = b"anthropic-beta"
"""The header that says which of a provider's novelties an answer may have: passed on, and so a part of what is asked."""


class MessagesArrival:
    """Implements `core.arrival.Arrival`. `speech` is told what was asked."""

    __slots__ = ("_request", "_speech", "context", "credential", "id", "operation", "path", "peer", "received")

    method = "POST"

    def __init__(self, request: Request, *, id: str, speech: AnthropicSpeech | None) -> None:
        """Without `speech` tokens are counted, and nothing is said."""
        self._request = request
        self._speech = speech
        self.id = id
        self.received = request.received
        self.peer = request.peer
        self.credential = credential(request.headers)
        self.operation = "count_tokens" if speech is None else Operation.CHAT.value
        self.path = PATH if speech is not None else f"{PATH}/count_tokens"
        self.context = span_context(request.headers)

    def read(self, *, strict: bool) -> Call:
        request = self._request
        check_media(request.headers)
        native = json_body.parse(request.body)
        said = headers_of(request.headers)
        is_templated = said.template is not None or names_template(native.get("model"))
        if is_templated and self._speech is None:
            raise without_templates()
        fields, has = chat_fields(native, strict=strict, counts=self._speech is None, is_templated=is_templated)
        call = Call(
            id=self.id,
            operation=Operation.CHAT,
            received=self.received,
            model=fields["model"],
            body=msgspec.json.encode(fields),
            fields=fields,
            stream=fields.get("stream") is True and self._speech is not None,
            wants_usage=True,
            has=has,
            tags=said.tags,
            conversation=said.conversation,
            template=said.template,
            idempotency_key=said.idempotency_key,
            headers=request.headers,
            dialect="anthropic",
            native=request.body,
            dropped=lost(native),
            unsaid=msgspec.json.encode(beta.decode("latin-1")) if (beta := request.headers.get(_BETA, b"")) else b"",
            strict=strict,
        )
        if self._speech is not None:
            self._speech.asked(call, names_of(native))
        return call


def credential(headers: Mapping[bytes, bytes]) -> Secret | None:
    """Of `x-api-key`, as the SDKs send it, else of the Authorization header."""
    key = headers.get(b"x-api-key", b"").strip()
    return Secret(key.decode("ascii")) if key and key.isascii() else bearer(headers)
