"""OpenAI's dialect as clients speak it: chat completions, completions and embeddings, read into a call.

Only what the gateway acts on is judged here: the model, the messages' shape, streaming, n, the output cap, tools and the
response format. Everything else is the provider's to judge, unless the policy is strict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from gateway.core.call import Call, Operation
from gateway.core.errors import InvalidRequest
from gateway.core.secret import Secret
from gateway.core.span import SpanContext, read_context
from gateway.ingress import json_body, messages, parameters
from gateway.ingress.request import Request

_PATHS = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.COMPLETION: "/v1/completions",
    Operation.EMBEDDINGS: "/v1/embeddings",
}
_MAX_NAME = 256
MAX_PROMPTS = 2048


class ModelsAsked:
    """A request for the list of models, or for one of them. Implements `core.arrival.Asked`."""

    __slots__ = ("context", "credential", "id", "peer", "received")

    method = "GET"
    path = "/v1/models"
    operation = "models"

    def __init__(self, request: Request, id: str) -> None:
        self.id = id
        self.received = request.received
        self.peer = request.peer
        self.credential = bearer(request.headers)
        self.context = span_context(request.headers)

    @staticmethod
    def name(target: bytes, place: str) -> str:
        """The model that is asked for below `place`. Raises InvalidRequest."""
        try:
            return unquote(target.partition(b"?")[0].decode(), errors="strict").partition(f"{place}/")[2]
        except UnicodeDecodeError:
            raise InvalidRequest("the path is not valid UTF-8", code="bad_target") from None


class OpenAIArrival:
    """A request on one of OpenAI's routes. Implements `core.arrival.Arrival`."""

    __slots__ = ("_operation", "_request", "context", "credential", "id", "operation", "path", "peer", "received")

    method = "POST"

    def __init__(self, request: Request, *, operation: Operation, id: str) -> None:
        self._request = request
        self._operation = operation
        self.id = id
        self.received = request.received
        self.peer = request.peer
        self.credential = bearer(request.headers)
        self.operation = operation.value
        self.path = _PATHS[operation]
        self.context = span_context(request.headers)

    def read(self, *, strict: bool) -> Call:
        request = self._request
        check_media(request.headers)
        fields = json_body.parse(request.body)
        model = fields.get("model")
        if not isinstance(model, str) or not model:
            raise _missing("model") if model is None or model == "" else _wrong("model", "a string")
        parameters.check(fields, strict=strict)
        said = headers_of(request.headers)
        if (said.template is None and not model.startswith("template:")) or fields.get("messages"):
            has = _READERS[self._operation](fields)
        else:
            has = _TEMPLATED[self._operation](fields)
        stream = fields.get("stream") is True
        options = fields.get("stream_options")
        return Call(
            id=self.id,
            operation=self._operation,
            received=self.received,
            model=model,
            body=request.body,
            fields=fields,
            stream=stream,
            wants_usage=options is not None and options.get("include_usage") is True,
            has=has,
            tags=said.tags,
            conversation=said.conversation,
            template=said.template,
            idempotency_key=said.idempotency_key,
            headers=request.headers,
            strict=strict,
        )


class Said(NamedTuple):
    """What headers say of a call."""

    tags: tuple[str, ...]
    conversation: str | None
    template: str | None
    idempotency_key: str | None


def headers_of(headers: Mapping[bytes, bytes]) -> Said:
    """Raises InvalidRequest for what is too long."""
    return Said(
        tags_of(headers.get(b"x-llmgw-tags")),
        text_of(headers, b"x-llmgw-conversation"),
        text_of(headers, b"x-llmgw-template"),
        text_of(headers, b"idempotency-key", "idempotency_key_too_long"),
    )


def span_context(headers: Mapping[bytes, bytes]) -> SpanContext | None:
    """The caller's own span, if it says which."""
    if b"traceparent" not in headers:
        return None
    return read_context(headers[b"traceparent"], headers.get(b"tracestate"))


def bearer(headers: Mapping[bytes, bytes]) -> Secret | None:
    """The credential of the Authorization header, or None if there is none we could use."""
    value = headers.get(b"authorization")
    if value is None or value[:7].lower() != b"bearer ":
        return None
    token = value[7:].strip()
    return Secret(token.decode("ascii")) if token.isascii() and token else None


def _read_chat(fields: Mapping[str, Any]) -> frozenset[str]:
    return messages.features(fields) | parameters.features(fields)


def _read_completion(fields: Mapping[str, Any]) -> frozenset[str]:
    if not isinstance(fields.get("prompt"), str | list):
        raise _missing("prompt") if fields.get("prompt") is None else _wrong("prompt", "a string or an array")
    if _several(fields["prompt"]) > MAX_PROMPTS:
        raise InvalidRequest(f"at most {MAX_PROMPTS} prompts", code="too_many_messages", param="prompt")
    return parameters.features(fields)


def _several(prompt: str | list[Any]) -> int:
    """How many prompts there are; a list of token ids is one."""
    return len(prompt) if isinstance(prompt, list) and prompt and isinstance(prompt[0], str | list) else 1


def _read_embeddings(fields: Mapping[str, Any]) -> frozenset[str]:
    value = fields.get("input")
    if value is None:
        raise _missing("input")
    if not isinstance(value, str | list):
        raise _wrong("input", "a string or an array")
    if not value:
        raise InvalidRequest("input must not be empty", code="empty_array", param="input")
    if fields.get("stream"):
        raise InvalidRequest("embeddings are not streamed", code="invalid_value", param="stream")
    return frozenset()


_READERS = {
    Operation.CHAT: _read_chat,
    Operation.COMPLETION: _read_completion,
    Operation.EMBEDDINGS: _read_embeddings,
}


_TEMPLATED = {**_READERS, Operation.CHAT: parameters.features}
"""Of a call that a template may be the whole prompt of."""


def check_media(headers: Mapping[bytes, bytes]) -> None:
    """Raises InvalidRequest (415) for a body that is not plain JSON."""
    if b"content-encoding" in headers and headers[b"content-encoding"].lower() != b"identity":
        raise InvalidRequest("the body must not be compressed", code="unsupported_encoding", status=415)
    media = headers.get(b"content-type", b"application/json")
    if media == b"application/json":
        return
    kind, _, options = media.lower().partition(b";")
    charset = options.partition(b"charset=")[2].strip(b' "')
    if kind.strip() != b"application/json" or charset not in (b"", b"utf-8", b"utf8"):
        raise InvalidRequest(
            "the body must be JSON in UTF-8, sent with Content-Type: application/json",
            code="unsupported_media_type",
            status=415,
        )


def tags_of(value: bytes | None) -> tuple[str, ...]:
    """Those of the header `x-llmgw-tags`."""
    if value is None:
        return ()
    return tuple(tag for part in value.decode("latin-1").split(",") if (tag := part.strip()))


def text_of(headers: Mapping[bytes, bytes], name: bytes, code: str = "invalid_value") -> str | None:
    """A header of ours. Raises InvalidRequest for one that is empty or too long."""
    value = headers.get(name)
    if value is None:
        return None
    if not value or len(value) > _MAX_NAME:
        raise InvalidRequest(f"{name.decode()} must have 1 to {_MAX_NAME} characters", code=code)
    return value.decode("latin-1")


def _missing(name: str) -> InvalidRequest:
    return InvalidRequest(f"{name} is required", code="missing_required_parameter", param=name)


def _wrong(name: str, kind: str) -> InvalidRequest:
    return InvalidRequest(f"{name} must be {kind}", code="invalid_type", param=name)
