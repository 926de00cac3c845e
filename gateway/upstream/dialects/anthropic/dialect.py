"""Anthropic's Messages API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from time import time

from gateway.core.call import Call
from gateway.core.deployment import Deployment
from gateway.core.errors import UpstreamError
from gateway.upstream.dialects.anthropic.failure import failure
from gateway.upstream.dialects.anthropic.relayed import relayed_body
from gateway.upstream.dialects.anthropic.request import body_of
from gateway.upstream.dialects.anthropic.stream import Translated
from gateway.upstream.dialects.dialect import Outgoing

_PATH = "/v1/messages"
_VERSION = ("anthropic-version", "2023-06-01")
"""What is written here is of this version: the one of 2026-10-21 refuses a temperature, top_p and top_k of every model."""
_PASSED_ON = (b"anthropic-beta", b"anthropic-version")
_PLAIN = re.compile(rb"[A-Za-z0-9_.:, -]{1,1024}")


class Anthropic:
    """Implements `dialects.dialect.Dialect`."""

    stream_type = b"text/event-stream"

    def request(self, call: Call, deployment: Deployment, cap: int | None, *, now: float) -> Outgoing:
        dropped: list[str] = []
        if call.dialect == "anthropic" and call.native is not None:
            headers = _headers(call, deployment, _PASSED_ON)
            body = relayed_body(call.native, call, deployment, cap, dropped=dropped)
            return Outgoing(_PATH, body, headers, tuple(dropped))
        headers = _headers(call, deployment, _PASSED_ON[:1])
        body = body_of(call, deployment, cap, dropped=dropped)
        return Outgoing(_PATH, body, headers, tuple(dropped))

    def translation(self, call: Call) -> Translated:
        return Translated(created=int(time()))

    def failure(
        self, status: int, body: bytes, headers: Mapping[bytes, bytes], *, secrets: tuple[str, ...], now: float
    ) -> UpstreamError:
        return failure(status, body, headers, secrets=secrets, now=now)


def _headers(call: Call, deployment: Deployment, names: tuple[bytes, ...]) -> tuple[tuple[str, str], ...]:
    """The version, and of the client's own headers those of `names`. What the policy sets goes before both."""
    fixed = {name for name, _ in deployment.provider.headers}
    said = {
        name.decode(): call.headers[name].decode() for name in names if _PLAIN.fullmatch(call.headers.get(name, b""))
    }
    return tuple((name, value) for name, value in {**dict([_VERSION]), **said}.items() if name not in fixed)
