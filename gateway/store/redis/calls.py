"""The call records of all replicas, as a stream in Redis that is cut off at its old end."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from gateway.store.redis.names import CALLS
from gateway.store.redis.server import Server

APPEND = """
for i = 3, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'origin', ARGV[2], 'record', ARGV[i])
end
return 1
"""
END = """
if redis.call('EXISTS', KEYS[1]) == 0 then return {'0-0', 0} end
local said, found = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for i = 1, #said, 2 do found[said[i]] = said[i + 1] end
return {found['last-generated-id'], found['entries-added'] or 0}
"""
LARGEST = 64 * 1024 * 1024
"""Bytes of a record that are read, whatever it says."""


class RedisCalls:
    """See contract.CallStream. It has a server of its own: what is slow here makes no call think that the store is away."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def append(self, origin: str, records: Sequence[bytes], *, keep: int) -> None:
        await self._server.script(APPEND, (CALLS,), keep, origin, *[zlib.compress(record, 1) for record in records])

    async def after(self, place: str, *, limit: int) -> Sequence[tuple[str, str, bytes]]:
        milliseconds, _, number = place.partition("-")
        begin = f"{milliseconds}-{int(number) + 1}"
        reply = await self._server.command("XRANGE", CALLS, begin, "+", "COUNT", limit)
        return [(id.decode(), *_fields(fields)) for id, fields in reply]

    async def end(self) -> tuple[str, int]:
        id, added = await self._server.script(END, (CALLS,))
        return id.decode(), added

    async def close(self) -> None:
        await self._server.close()


def _fields(fields: Sequence[bytes] | dict[bytes, bytes]) -> tuple[str, bytes]:
    named = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    try:
        record = zlib.decompressobj().decompress(named.get(b"record", b""), LARGEST)
    except zlib.error:
        record = b""
    return named.get(b"origin", b"").decode(errors="replace"), record
