"""OpenAI's endpoints that are no conversation: moderations, images, speech, transcripts; and reranking, as Cohere has it.

What the gateway acts on is read: the model, streaming, how much is asked for. All else is the provider's to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.call import Call, Form, Operation
from gateway.core.errors import InvalidRequest
from gateway.ingress import json_body, multipart, parameters
from gateway.ingress.openai import bearer, check_media, span_context, tags_of, text_of
from gateway.ingress.request import Request

PATHS = {
    Operation.MODERATION: "/v1/moderations",
    Operation.RERANK: "/v1/rerank",
    Operation.IMAGE: "/v1/images/generations",
    Operation.IMAGE_EDIT: "/v1/images/edits",
    Operation.IMAGE_VARIATION: "/v1/images/variations",
    Operation.SPEECH: "/v1/audio/speech",
    Operation.TRANSCRIPTION: "/v1/audio/transcriptions",
    Operation.TRANSLATION: "/v1/audio/translations",
}
_FORMS = frozenset({Operation.IMAGE_EDIT, Operation.IMAGE_VARIATION, Operation.TRANSCRIPTION, Operation.TRANSLATION})
_NEEDED: Mapping[Operation, tuple[tuple[str, type | tuple[type, ...]], ...]] = {
    Operation.MODERATION: (("input", (str, list)),),
    Operation.RERANK: (("query", (str, dict)), ("documents", list)),
    Operation.IMAGE: (("prompt", str),),
    Operation.SPEECH: (("input", str),),
}
_STREAMED = frozenset({Operation.IMAGE, Operation.IMAGE_EDIT, Operation.TRANSCRIPTION})
_DEFAULTS = {Operation.MODERATION: "omni-moderation-latest"}
"""The models of calls that need not name one, as OpenAI has it."""
_MOST_IMAGES = 10
_IMAGE_COUNTS = frozenset(map(str, range(1, _MOST_IMAGES + 1)))
_MOST_DOCUMENTS = 10_000


class MediaArrival:
    """A request on one of these routes. Implements `core.arrival.Arrival`."""

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
        self.path = PATHS[operation]
        self.context = span_context(request.headers)

    def read(self, *, strict: bool) -> Call:
        request, operation = self._request, self._operation
        body = request.body
        form: Form | None = None
        fields: Mapping[str, Any]
        if operation in _FORMS:
            fields, form = _read_form(request, operation)
        else:
            check_media(request.headers)
            fields = json_body.parse(body)
            if fields.get("model") is None and operation in _DEFAULTS:
                fields = {**fields, "model": _DEFAULTS[operation]}
                body = _with_model(body, _DEFAULTS[operation])
        parameters.check_names(fields, parameters.ACTED_ON)
        _check(fields, operation)
        is_stream = operation in _STREAMED and fields.get("stream") in (True, "true", "True", "1")
        return Call(
            id=self.id,
            operation=operation,
            received=self.received,
            model=fields["model"],
            body=body,
            fields=fields,
            stream=is_stream or operation is Operation.SPEECH,
            tags=tags_of(request.headers.get(b"x-llmgw-tags")),
            template=text_of(request.headers, b"x-llmgw-template"),
            headers=request.headers,
            form=form,
        )


def _read_form(request: Request, operation: Operation) -> tuple[Mapping[str, Any], Form]:
    """The texts of the body, and where in it the model stands."""
    media = request.headers.get(b"content-type")
    found = multipart.parts(request.body, media)
    models = [part for part in found if part.name == "model" and not part.is_file]
    if len(models) != 1:
        raise InvalidRequest("model is sent once, as text", code="missing_required_parameter", param="model")
    if disguised := next((part.name for part in found if part.is_file and _is_read(part.name)), None):
        raise InvalidRequest(f"{disguised[:64]} is sent as text", code="invalid_type", param=disguised[:64])
    files = tuple(part.size for part in found if part.is_file)
    if not files:
        name = "image" if operation in (Operation.IMAGE_EDIT, Operation.IMAGE_VARIATION) else "file"
        raise InvalidRequest(f"{name} is required", code="missing_required_parameter", param=name)
    return multipart.texts(request.body, found), Form((media or b"").decode("latin-1"), models[0].span, files)


def _is_read(name: str) -> bool:
    """Whether a part of this name means something to us, so that no provider may read a file as its text."""
    return name.casefold() in parameters.ACTED_ON or parameters.is_refused(name)


def _check(fields: Mapping[str, Any], operation: Operation) -> None:
    """Raises InvalidRequest."""
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("model is required", code="missing_required_parameter", param="model")
    for name, kind in _NEEDED.get(operation, ()):
        if fields.get(name) is None:
            raise InvalidRequest(f"{name} is required", code="missing_required_parameter", param=name)
        if not isinstance(fields[name], kind):
            raise InvalidRequest(f"{name} has the wrong type", code="invalid_type", param=name)
    n = fields.get("n")
    if n is not None and (isinstance(n, bool) or str(n) not in _IMAGE_COUNTS):
        raise InvalidRequest(f"n must be an integer from 1 to {_MOST_IMAGES}", code="invalid_value", param="n")
    if operation is Operation.RERANK and not 1 <= len(fields["documents"]) <= _MOST_DOCUMENTS:
        raise InvalidRequest(f"1 to {_MOST_DOCUMENTS} documents", code="invalid_value", param="documents")


def _with_model(body: bytes, model: str) -> bytes:
    """The object with a model at its end; it has another member at least."""
    return b'%b,"model":"%b"}' % (body[: body.rindex(b"}")], model.encode())
