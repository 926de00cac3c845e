"""Sends a message of our own to a URL of the policy, over the same checked connections as calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import orjson

from gateway.core.deployment import Provider
from gateway.core.errors import UpstreamError
from gateway.upstream.wire import Wire

DEADLINE = 10.0
TRIES = 3
AGAIN = 1.0

log = logging.getLogger("llmgw.webhook")


async def post(wire: Wire, target: Provider, message: Mapping[str, object]) -> None:
    """Tries a few times, and logs it when none has worked."""
    reason = ""
    for attempt in range(TRIES):
        await asyncio.sleep(AGAIN * attempt)
        try:
            status = await _post(wire, target, orjson.dumps(message))
        except UpstreamError as error:
            reason = error.message
        else:
            if status < 300:
                return
            reason = f"it answered {status}"
    log.error("a webhook was not delivered", extra={"host": target.host, "reason": reason})


async def _post(wire: Wire, target: Provider, body: bytes) -> int:
    exchange = await wire.acquire(target, fresh=True)
    try:
        exchange.phase, exchange.deadline = "the webhook", asyncio.get_running_loop().time() + DEADLINE
        exchange.send(_head(target, len(body)) + body)
        return (await exchange.head()).status
    finally:
        wire.release(target, exchange)


def _head(target: Provider, length: int) -> bytes:
    path = f"{target.path or '/'}{'?' + target.query if target.query else ''}"
    headers = "".join(f"{name}: {secret.reveal()}\r\n" for name, secret in target.headers)
    port = "" if target.port == (443 if target.tls else 80) else f":{target.port}"
    return (
        f"POST {path} HTTP/1.1\r\nhost: {target.host}{port}\r\n{headers}content-type: application/json\r\n"
        f"user-agent: llmgw\r\ncontent-length: {length}\r\n\r\n"
    ).encode("latin-1")
