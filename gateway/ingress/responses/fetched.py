"""Requests for a response that is kept: to have it, its input, or to have it gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.tenant import Tenant
from gateway.ingress.openai import bearer, span_context
from gateway.ingress.request import Request
from gateway.ingress.responses.kept import KeptResponse, KeptResponses, no_response

BELOW = "/v1/responses/"
_PAGE, _LARGEST_PAGE = 20, 100
_PAGES = frozenset(map(str, range(1, _LARGEST_PAGE + 1)))
_ID_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "function_call_output": "fco"}


class Fetched:
    """Implements `core.arrival.Asked`."""

    path = BELOW
    operation = "responses"

    def __init__(self, request: Request, id: str) -> None:
        self.id = id
        self.method = request.method.decode()
        self.received = request.received
        self.peer = request.peer
        self.credential = bearer(request.headers)
        self.context = span_context(request.headers)
        path, _, query = request.target.partition(b"?")
        try:
            named = unquote(path.decode(), errors="strict").removeprefix(BELOW)
            self.query = parse_qs(query.decode(), max_num_fields=16)
        except ValueError:
            raise InvalidRequest("the path is not valid UTF-8", code="bad_target") from None
        self.response_id, _, self.rest = named.partition("/")

    async def get(self, kept: KeptResponses, tenant: Tenant) -> bytes:
        """Raises NotFound."""
        if self.rest not in ("", "input_items"):
            raise NotFound("there is nothing at this path")
        if self.query.get("stream") == ["true"]:
            raise InvalidRequest("a response is not streamed again", code="unsupported_parameter", param="stream")
        found = await kept.find(tenant, self.response_id)
        if found is None:
            raise no_response(self.response_id)
        return msgspec.json.encode(found.response if not self.rest else self._input_items(found))

    async def delete(self, kept: KeptResponses, tenant: Tenant) -> bytes:
        """Raises NotFound."""
        if self.rest:
            raise NotFound("there is nothing at this path")
        await kept.remove(tenant, self.response_id)
        return msgspec.json.encode({"id": self.response_id, "object": "response", "deleted": True})

    async def post(self, kept: KeptResponses, tenant: Tenant) -> bytes:
        """Raises NotFound or, as none is under way once its id can be known, InvalidRequest."""
        if self.rest != "cancel":
            raise NotFound("there is nothing at this path")
        message = "only responses in the background are cancelled, and none are served: hang up instead"
        raise InvalidRequest(message, code="unsupported_operation")

    def _input_items(self, found: KeptResponse) -> Mapping[str, Any]:
        """A page of them, the newest first unless it is asked for otherwise."""
        items = [_with_id(item, index, self.response_id) for index, item in enumerate(found.items)]
        if self.query.get("order") != ["asc"]:
            items.reverse()
        after = self.query.get("after", [""])[0]
        ids = [item.get("id") for item in items]
        if after and after not in ids:
            raise InvalidRequest("after names no item", code="invalid_value", param="after")
        start = ids.index(after) + 1 if after else 0
        page = items[start : start + self._limit()]
        return {
            "object": "list",
            "data": page,
            "first_id": page[0].get("id") if page else None,
            "last_id": page[-1].get("id") if page else None,
            "has_more": start + len(page) < len(items),
        }

    def _limit(self) -> int:
        text = self.query.get("limit", [str(_PAGE)])[0]
        if text not in _PAGES:
            raise InvalidRequest(f"limit must be 1 to {_LARGEST_PAGE}", code="invalid_value", param="limit")
        return int(text)


def _with_id(item: Any, index: int, response: str) -> dict[str, Any]:
    """An item as it is listed: whole, whatever short form it was sent in."""
    listed: dict[str, Any] = {"type": "message", **item}
    kind = str(listed["type"])
    listed.setdefault("id", f"{_ID_PREFIXES.get(kind, 'item')}_{response.removeprefix('resp_')[:24]}{index:04x}")
    listed.setdefault("status", "completed")
    if kind == "message" and isinstance(listed.get("content"), str):
        listed["content"] = _parts(listed["content"], is_assistant=listed.get("role") == "assistant")
    return listed


def _parts(text: str, *, is_assistant: bool) -> Sequence[Mapping[str, Any]]:
    if is_assistant:
        return [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return [{"type": "input_text", "text": text}]
