"""`/v1/files` and `/v1/batches` as OpenAI has them, read into our terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from gateway.core.errand import Action, Errand, Kind, Upload
from gateway.core.errors import InvalidRequest, NotFound
from gateway.ingress import json_body, multipart
from gateway.ingress.openai import bearer, check_media, span_context
from gateway.ingress.request import Request

_ACTIONS: dict[tuple[Kind, str, str], Action] = {
    ("files", "POST", ""): "create",
    ("files", "GET", ""): "list",
    ("files", "GET", "id"): "get",
    ("files", "GET", "id/content"): "content",
    ("files", "DELETE", "id"): "delete",
    ("batches", "POST", ""): "create",
    ("batches", "GET", ""): "list",
    ("batches", "GET", "id"): "get",
    ("batches", "POST", "id/cancel"): "cancel",
}
METHODS: dict[Kind, dict[str, tuple[str, ...]]] = {
    "files": {"/v1/files": ("GET", "POST"), "/v1/files/": ("GET", "DELETE")},
    "batches": {"/v1/batches": ("GET", "POST"), "/v1/batches/": ("GET", "POST")},
}
"""The paths of each kind and the methods that serve them; a path that ends in `/` has an id behind it."""
_LONGEST_ID = 256


class ErrandArrival:
    """Implements `core.errand.Errands`."""

    __slots__ = ("_kind", "_request", "context", "credential", "id", "method", "operation", "path", "peer", "received")

    def __init__(self, request: Request, *, kind: Kind, id: str) -> None:
        self._request = request
        self._kind: Kind = kind
        self.id = id
        self.method = request.method.decode()
        self.operation = kind
        self.path = f"/v1/{kind}"
        self.received = request.received
        self.peer = request.peer
        self.credential = bearer(request.headers)
        self.context = span_context(request.headers)

    def read(self) -> Errand:
        path, _, query = self._request.target.partition(b"?")
        rest = path.decode("latin-1").removeprefix(self.path).strip("/")
        target, _, verb = rest.partition("/")
        shape = "" if not target else f"id/{verb}" if verb else "id"
        action = _ACTIONS.get((self._kind, self.method, shape))
        if action is None:
            raise NotFound("there is nothing at this path")
        if len(target) > _LONGEST_ID:
            raise InvalidRequest("the id is too long", code="invalid_value")
        media = self._request.headers.get(b"content-type", b"")
        fields: Mapping[str, Any] = {}
        if action == "create" and self._kind == "batches":
            check_media(self._request.headers)
            fields = json_body.parse(self._request.body)
        upload = _upload(self._request.body, media) if action == "create" and self._kind == "files" else None
        pairs = tuple(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=32)) if query else ()
        return Errand(self._kind, action, target, pairs, self._request.body, media.decode("latin-1"), fields, upload)


def _upload(body: bytes, media: bytes) -> Upload:
    """Raises InvalidRequest."""
    found = multipart.parts(body, media)
    files = [part for part in found if part.is_file]
    if len(files) != 1 or files[0].name != "file" or files[0].file_name is None:
        raise InvalidRequest("file is sent once, with a file name", code="missing_required_parameter", param="file")
    purpose = multipart.texts(body, found).get("purpose")
    if not isinstance(purpose, str):
        raise InvalidRequest("purpose is sent once, as text", code="missing_required_parameter", param="purpose")
    return Upload(purpose, files[0].span, files[0].file_name)
