"""A server that speaks as much of Redis's protocol as a search module needs, for none can be installed here.

It checks the words of FT.CREATE and FT.SEARCH as RediSearch and Valkey-search document them, and answers in their shape; how
such a module searches it does not tell.
"""

from __future__ import annotations

import asyncio
import re
import struct
import time
from collections.abc import Callable
from types import TracebackType

Reply = bytes | int | list["Reply"] | None | Exception
QUERY = re.compile(r"@partition:\{([0-9a-f]+)\}=>\[KNN (\d+) @(\w+) \$vector AS distance\]$")


class FakeSearch:
    """`tells`: COMMAND INFO may be asked."""

    def __init__(self, *, tells: bool = True) -> None:
        self._tells = tells
        self._hashes: dict[bytes, dict[bytes, bytes]] = {}
        self._ends: dict[bytes, float] = {}
        self._indexes: dict[bytes, tuple[bytes, bytes, int]] = {}
        self._commands: dict[bytes, Callable[..., Reply]] = {
            b"COMMAND": self._command,
            b"HSET": self._hset,
            b"PEXPIREAT": self._pexpireat,
            b"UNLINK": self._unlink,
            b"SCAN": self._scan,
            b"FT.CREATE": self._create,
            b"FT.SEARCH": self._search,
        }

    async def __aenter__(self) -> FakeSearch:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            words = []
            for _ in range(int(head[1:])):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2])
            writer.write(_written(self._answer(words)))
            await writer.drain()
        writer.close()

    def _answer(self, words: list[bytes]) -> Reply:
        command = self._commands.get(words[0].upper())
        return command(*words[1:]) if command else ValueError(f"unknown command '{words[0].decode()}'")

    def _command(self, word: bytes, name: bytes) -> Reply:
        assert word == b"INFO"
        if not self._tells:
            return ValueError("NOPERM this user has no permissions to run the 'command|info' command")
        return [[name.lower(), -1] if name in self._commands else None]

    def _hset(self, key: bytes, *fields: bytes) -> Reply:
        self._hashes[key] = dict(zip(fields[::2], fields[1::2], strict=True))
        return len(fields) // 2

    def _pexpireat(self, key: bytes, milliseconds: bytes) -> Reply:
        self._ends[key] = int(milliseconds) / 1000
        return 1

    def _unlink(self, *keys: bytes) -> Reply:
        return sum(self._hashes.pop(key, None) is not None for key in keys)

    def _scan(self, cursor: bytes, match: bytes, pattern: bytes, count: bytes, _: bytes) -> Reply:
        assert (cursor, match, count) == (b"0", b"MATCH", b"COUNT")
        return [b"0", [key for key in self._hashes if key.startswith(pattern.removesuffix(b"*"))]]

    def _create(self, name: bytes, *words: bytes) -> Reply:
        if name in self._indexes:
            return ValueError("Index already exists")
        assert words[:4] == (b"ON", b"HASH", b"PREFIX", b"1")
        assert words[5:8] == (b"SCHEMA", b"partition", b"TAG")
        assert words[9:12] == (b"VECTOR", b"HNSW", b"6")
        options = dict(zip(words[12::2], words[13::2], strict=True))
        assert options.keys() == {b"TYPE", b"DIM", b"DISTANCE_METRIC"}
        self._indexes[name] = (words[4], words[8], int(options[b"DIM"]))
        return b"OK"

    def _search(self, name: bytes, query: bytes, *words: bytes) -> Reply:
        if name not in self._indexes:
            return ValueError(f"{name.decode()}: no such index")
        prefix, field, dimensions = self._indexes[name]
        asked = QUERY.match(query.decode())
        assert asked is not None
        assert words[:5] == (b"RETURN", b"2", b"name", b"value", b"LIMIT")
        assert words[7:10] == (b"PARAMS", b"2", b"vector")
        assert words[11:] == (b"DIALECT", b"2")
        partition, most, wanted = asked.groups()
        assert wanted.encode() == field
        vector = _numbers(words[10])
        assert len(vector) == dimensions
        scored = []
        for key, fields in self._hashes.items():
            is_alive = self._ends.get(key, float("inf")) > time.time()
            if key.startswith(prefix) and is_alive and fields[b"partition"] == partition.encode() and field in fields:
                near = sum(a * b for a, b in zip(vector, _numbers(fields[field]), strict=True))
                scored.append((1 - near, key, fields))
        scored.sort(key=lambda one: one[:2])
        reply: list[Reply] = [len(scored)]
        for _, key, fields in scored[: int(most)]:
            reply += [key, [b"name", fields[b"name"], b"value", fields[b"value"]]]
        return reply


def _numbers(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(vector) // 4}f", vector)


def _written(reply: Reply) -> bytes:
    if isinstance(reply, Exception):
        return f"-ERR {reply}\r\n".encode()
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if reply is None:
        return b"*-1\r\n"
    return b"*%d\r\n" % len(reply) + b"".join(map(_written, reply))
