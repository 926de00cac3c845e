"""Responses that are kept, so that they can be fetched again and gone on from: by those who share answers, and nobody else.

What is kept stands under a digest of who may see it and its id, sealed and compressed. Another tenant's are as good as none.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

import msgspec
import orjson

from gateway.cache.key import Sharing, canonical, scope_of
from gateway.core.errors import NotFound, Overloaded
from gateway.core.seal import seal, unseal
from gateway.core.secret import Secret
from gateway.core.tenant import Tenant

TTL = 30 * 86_400.0
"""Seconds for which a response is kept."""
MOST = 8 * 1024 * 1024
"""Bytes of the largest one, compressed."""
_LARGEST = 64 * 1024 * 1024
_OFFLOADED = 64 * 1024

log = logging.getLogger("llmgw.ingress")


class Values(Protocol):
    """Values for a time, by name. Each raises Overloaded when the store is away, slow or full."""

    async def get(self, name: str) -> bytes | None: ...

    async def put(self, name: str, value: bytes, *, ttl: float) -> None: ...

    async def remove(self, name: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """`response` is the object as its client got it; `items` are those that it answers, the oldest first."""

    response: Mapping[str, Any]
    items: Sequence[Any]

    @property
    def conversation(self) -> list[Any]:
        """What a further call goes on from."""
        return [*self.items, *(_said_again(item) for item in self.response.get("output") or ())]


class KeptResponses:
    """One for each worker."""

    def __init__(self, values: Values, pepper: Secret) -> None:
        self._values = values
        self._pepper = blake2b(pepper.reveal().encode(), digest_size=32, person=b"responses").digest()

    async def find(self, tenant: Tenant, id: str) -> KeptResponse | None:
        name = self._name(tenant, id)
        value = await self._values.get(name)
        body = None if value is None else unseal(value, place=name, pepper=self._pepper)
        if body is None:
            return None
        unpacked = await asyncio.to_thread(_unpacked, body) if len(body) > _OFFLOADED else _unpacked(body)
        return KeptResponse(unpacked["response"], unpacked["items"])

    async def keep(self, tenant: Tenant, response: bytes, items: Sequence[Any]) -> None:
        """What is too large, or finds the store away, is not kept: its client has its answer all the same."""
        told = orjson.loads(response)
        if not isinstance(told, dict) or not isinstance(told.get("id"), str):
            return  # nobody could ask for it
        text = msgspec.json.encode({"response": told, "items": items})
        body = await asyncio.to_thread(zlib.compress, text, 1) if len(text) > _OFFLOADED else zlib.compress(text, 1)
        name = self._name(tenant, told["id"])
        if len(body) > MOST or len(text) > _LARGEST:
            log.warning("a response is too large to be kept", extra={"response": told["id"], "bytes": len(body)})
            return
        try:
            await self._values.put(name, seal(body, place=name, pepper=self._pepper), ttl=TTL)
        except Overloaded as error:
            log.warning("a response could not be kept", extra={"response": told["id"], "reason": error.code})

    async def remove(self, tenant: Tenant, id: str) -> None:
        """Raises NotFound."""
        if not await self._values.remove(self._name(tenant, id)):
            raise no_response(id)

    def _name(self, tenant: Tenant, id: str) -> str:
        place = canonical([scope_of(tenant, Sharing.TEAM), id])
        return blake2b(place, digest_size=32, key=self._pepper).hexdigest()


def no_response(id: str) -> NotFound:
    return NotFound(f"there is no response {id[:128]!r}", code="response_not_found", param="response_id")


def _unpacked(body: bytes) -> Any:
    return orjson.loads(zlib.decompressobj().decompress(body, _LARGEST))


def _said_again(item: Any) -> Any:
    """An item of an output as one of an input: without the ids by which only who kept it knows it."""
    if not isinstance(item, dict) or item.get("type") == "reasoning":
        return item
    return {name: value for name, value in item.items() if name not in ("id", "status")}
