"""OpenAI's responses. What is no chat goes to the same provider's other paths, as OpenAI's own dialect has them."""

from __future__ import annotations

from collections.abc import Mapping
from time import time

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment
from gateway.core.errors import UpstreamError
from gateway.upstream.dialects.dialect import Outgoing
from gateway.upstream.dialects.openai.failure import failure
from gateway.upstream.dialects.openai.request import PATHS, request_body
from gateway.upstream.dialects.responses.native import native_body
from gateway.upstream.dialects.responses.request import responses_body
from gateway.upstream.dialects.responses.translation import ResponsesTranslation

_PATH = "/responses"


class Responses:
    """Implements `dialects.dialect.Dialect`."""

    stream_type = b"text/event-stream"

    def request(self, call: Call, deployment: Deployment, cap: int | None, *, now: float) -> Outgoing:
        if call.operation is not Operation.CHAT:
            return Outgoing(PATHS[call.operation], request_body(call, deployment, cap))
        if call.native is not None and call.dialect == "responses":
            return Outgoing(_PATH, native_body(call.native, deployment, cap))
        body, dropped = responses_body(call, deployment, cap)
        return Outgoing(_PATH, body, dropped=dropped)

    def translation(self, call: Call) -> ResponsesTranslation | None:
        return ResponsesTranslation(int(time())) if call.operation is Operation.CHAT else None

    def failure(
        self, status: int, body: bytes, headers: Mapping[bytes, bytes], *, secrets: tuple[str, ...], now: float
    ) -> UpstreamError:
        return failure(status, body, headers, secrets=secrets, now=now)
