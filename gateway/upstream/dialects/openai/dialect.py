"""OpenAI's chat completions, completions and embeddings: the gateway's own terms."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.call import Call
from gateway.core.deployment import Deployment
from gateway.core.errors import UpstreamError
from gateway.upstream.dialects.dialect import Outgoing
from gateway.upstream.dialects.openai.failure import failure
from gateway.upstream.dialects.openai.foreign import plain_body
from gateway.upstream.dialects.openai.request import PATHS, request_body


class OpenAI:
    """Implements `dialects.dialect.Dialect`."""

    stream_type = b"text/event-stream"

    def request(self, call: Call, deployment: Deployment, cap: int | None, *, now: float) -> Outgoing:
        if call.dialect != "openai":
            body, lost = plain_body(call, deployment, cap)
            return Outgoing(PATHS[call.operation], body, dropped=lost)
        media = "application/json" if call.form is None else call.form.media
        dropped: list[str] = []
        body = request_body(call, deployment, cap, dropped=dropped)
        return Outgoing(PATHS[call.operation], body, dropped=tuple(dropped), media=media)

    def translation(self, call: Call) -> None:
        return None

    def failure(
        self, status: int, body: bytes, headers: Mapping[bytes, bytes], *, secrets: tuple[str, ...], now: float
    ) -> UpstreamError:
        return failure(status, body, headers, secrets=secrets, now=now)
