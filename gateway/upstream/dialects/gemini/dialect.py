"""Gemini's generateContent and its embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from time import time

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment
from gateway.core.errors import UpstreamError
from gateway.upstream.dialects.dialect import Outgoing, Translation
from gateway.upstream.dialects.gemini.embeddings import Embeddings
from gateway.upstream.dialects.gemini.failure import failure
from gateway.upstream.dialects.gemini.request import request
from gateway.upstream.dialects.gemini.translation import Translation as ChatTranslation


class Gemini:
    """Implements `dialects.dialect.Dialect`."""

    stream_type = b"text/event-stream"

    def request(self, call: Call, deployment: Deployment, cap: int | None, *, now: float) -> Outgoing:
        return request(call, deployment.upstream_model, cap)

    def translation(self, call: Call) -> Translation:
        return Embeddings(call) if call.operation is Operation.EMBEDDINGS else ChatTranslation(call, int(time()))

    def failure(
        self, status: int, body: bytes, headers: Mapping[bytes, bytes], *, secrets: tuple[str, ...], now: float
    ) -> UpstreamError:
        return failure(status, body, headers, secrets=secrets, now=now)
