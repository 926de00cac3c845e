"""The versions of the policy that were in force: since when, who brought each, and why."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path as FilePath
from typing import Protocol

import msgspec

from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.policy.current import Current
from gateway.policy.mistakes import PolicyError
from gateway.policy.source.folder import contents, version_of, with_stored
from gateway.policy.source.written_out import masked
from gateway.store.contract import FILES

EVERY = 0.5
"""Seconds between two looks at the version in force."""
LARGEST = 256 * 1024
"""Bytes of the files of one version, compressed; of more, the text is not kept."""
AT_START = "found when the gateway was started"
BY_HAND = "the folder was changed"


class Version(msgspec.Struct, frozen=True, array_like=True):
    """`at` in UTC seconds. `is_whole`: its files are kept as they were, and can be put into force again; not so where they had
    credentials written out, which are not kept."""

    version: str
    at: float
    who: str
    why: str
    is_whole: bool
    packed: bytes

    def files(self) -> Mapping[str, str]:
        """The text of each, `${NAME}` as it was written."""
        return _decode_files(zlib.decompress(self.packed))


class Policies(Protocol):
    """See gateway.store.contract.PolicyStore. Both raise Overloaded."""

    async def keep(self, version: str, who: str, value: bytes) -> None: ...
    async def kept(self) -> Sequence[bytes]: ...


class History:
    """One worker of each machine runs it. The files of a version are those of `folder.with_stored`."""

    def __init__(
        self,
        folder: FilePath,
        store: Policies,
        current: Current,
        clock: Clock,
        stored: Callable[[], Mapping[str, bytes]] = dict,
    ) -> None:
        self._folder = folder
        self._store = store
        self._current = current
        self._clock = clock
        self._stored = stored

    async def run(self) -> None:
        """Notes what is put into force by changing the folder, until it is cancelled."""
        noted, why = "", AT_START
        while True:
            version = self._current.current.version
            if version != noted:
                with suppress(Overloaded, PolicyError):
                    files = with_stored(await asyncio.to_thread(contents, self._folder), self._stored())
                    if version_of(files.items()) == version:
                        await self.note(files, who=FILES, why=why)
                        noted, why = version, BY_HAND
            await asyncio.sleep(EVERY)

    async def note(self, files: Mapping[str, bytes], *, who: str, why: str) -> None:
        """Keeps a version, unless it is the last one. Raises Overloaded."""
        made = await asyncio.to_thread(_made, files, who, why, self._clock.now())
        await self._store.keep(made.version, who, _encode(made))

    async def versions(self) -> Sequence[Version]:
        """The last one first; those that another version of the gateway wrote are left out. Raises Overloaded."""
        found: list[Version] = []
        for value in await self._store.kept():
            with suppress(msgspec.DecodeError):
                found.append(_decode(value))
        return found

    async def find(self, version: str) -> Version | None:
        """As it was last in force. Raises Overloaded."""
        return next((each for each in await self.versions() if each.version == version), None)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Version).decode
_decode_files = msgspec.msgpack.Decoder(dict[str, str]).decode


def _made(files: Mapping[str, bytes], who: str, why: str, at: float) -> Version:
    told = {_sayable(name): content.decode(errors="replace") for name, content in files.items()}
    texts, is_whole = masked(told)
    is_whole = is_whole and told.keys() == files.keys()
    packed = zlib.compress(_encode(texts))
    if len(packed) > LARGEST:
        packed, is_whole = zlib.compress(_encode({})), False
    return Version(version_of(files.items()), at, who, why, is_whole, packed)


def _sayable(name: str) -> str:
    """Names of files may be any bytes."""
    return name.encode("utf-8", "replace").decode()
