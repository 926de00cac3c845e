"""Amazon Bedrock's Converse and ConverseStream."""

from __future__ import annotations

from collections.abc import Mapping
from time import time
from urllib.parse import quote

from gateway.core.call import Call
from gateway.core.deployment import Deployment
from gateway.core.errors import InvalidRequest, UpstreamError
from gateway.upstream.dialects.bedrock.failure import failure
from gateway.upstream.dialects.bedrock.request import body
from gateway.upstream.dialects.bedrock.signature import signed
from gateway.upstream.dialects.bedrock.translation import Translation
from gateway.upstream.dialects.dialect import Outgoing


class Bedrock:
    """Implements `dialects.dialect.Dialect`."""

    stream_type = b"application/vnd.amazon.eventstream"

    def request(self, call: Call, deployment: Deployment, cap: int | None, *, now: float) -> Outgoing:
        model, provider = deployment.upstream_model, deployment.provider
        if model in (".", ".."):
            raise InvalidRequest("this is not the name of a model", code="model_not_found", param="model")
        written, dropped = body(call, model, cap)
        path = f"/model/{quote(model, safe='')}/{'converse-stream' if call.stream else 'converse'}"
        headers: tuple[tuple[str, str], ...] = ()
        if provider.signing is not None:
            headers = signed(
                provider.signing,
                authority=provider.authority,
                path=f"{provider.path}{path}",
                query=provider.query,
                content_type="application/json",
                body=written,
                now=now,
            )
        return Outgoing(path, written, headers, dropped)

    def translation(self, call: Call) -> Translation:
        return Translation(call, int(time()))

    def failure(
        self, status: int, body: bytes, headers: Mapping[bytes, bytes], *, secrets: tuple[str, ...], now: float
    ) -> UpstreamError:
        return failure(status, body, headers, secrets=secrets, now=now)
