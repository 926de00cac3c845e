"""Commands to a Redis, none of which is ever cancelled or waited for too long.

A pooled connection whose command was cancelled can hand its reply to the next caller, so a command runs in a task of
its own and only the wait for it ends early.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from redis.asyncio import RedisCluster
from redis.asyncio.client import PubSub
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import NoScriptError, RedisClusterException, RedisError, ResponseError, SlotNotCoveredError

from gateway.core.errors import Overloaded
from gateway.core.tasks import Tasks
from gateway.store.breaker import Breaker
from gateway.store.contract import away
from gateway.store.redis.connect import CONNECTIONS, Client, Link
from gateway.store.redis.names import CACHE

LIMIT = 0.08
"""Seconds a caller waits at most."""
GRACE = 8
"""Rounds of the event loop more, for an answer that came in time while the loop was busy."""
WAITING = 1000
"""Commands that may be under way."""
QUIET = 30.0
"""Seconds without a push after which the subscription is made anew: its connection may have died unnoticed."""
SILENT = 5.0
"""Seconds without a message after which a connection is asked whether it is still there."""
AGAIN = 0.5
"""Seconds before subscribing again when that failed."""
NO_ANSWER = (RedisError, RedisClusterException, SlotNotCoveredError, OSError, TimeoutError, RuntimeError)
"""What a command ends with when it has no answer, a cluster's own kinds included; RuntimeError is uvloop's, for a connection
that was lost in the meantime."""


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script that Redis keeps under the hash of its text."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> Script:
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class Server:
    """`close` waits for what is under way, then closes the link."""

    def __init__(self, link: Link, *, name: str) -> None:
        self._link = link
        self._client = link.client
        self._breaker = Breaker(name, time.monotonic)
        self._turns = asyncio.Semaphore(CONNECTIONS - 1)
        self._tasks = Tasks()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._listening = Tasks()

    async def command(
        self,
        *words: bytes | str | int | float,
        tolerates: tuple[type[ResponseError], ...] = (),
        on: ClusterNode | None = None,
    ) -> Any:
        """The reply, which may be an error that is tolerated. Raises Overloaded when there is none within LIMIT seconds.

        `on`: one of `primaries`, for a command that names no key.
        """
        if len(self._under_way) >= WAITING or not self._breaker.admits():
            raise away()
        task = self._tasks.start(self._attempt(words, time.monotonic() + LIMIT, tolerates, on), name="redis")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.wait({task}, timeout=LIMIT)
        for _ in range(GRACE):
            if task.done():
                break
            await asyncio.sleep(0)
        result = task.result() if task.done() else _Failed(TimeoutError("no answer in time"))
        if isinstance(result, _Failed):
            self._breaker.failed(result.error)
            raise away()
        self._breaker.succeeded()
        return result

    async def primaries(self) -> Mapping[str, ClusterNode | None]:
        """The nodes that have a part of the data each, by name. Raises Overloaded."""
        if not isinstance(self._client, RedisCluster):
            return {"": None}
        if not self._client.get_primaries():
            await self.command("EXISTS", CACHE)  # any command makes it ask for the nodes
        return {node.name: node for node in self._client.get_primaries()}

    async def table(self, key: str) -> Mapping[str, str]:
        """A hash, whole. Raises Overloaded."""
        reply = await self.command("HGETALL", key)
        return {name.decode(): value.decode() for name, value in reply.items()}

    async def script(self, text: str, keys: tuple[str, ...], *arguments: bytes | str | int | float) -> Any:
        """The reply of a Lua script, which runs whole or not at all. Raises Overloaded."""
        return await self.command("EVAL", text, len(keys), *keys, *arguments)

    async def kept_script(self, script: Script, keys: Sequence[bytes | str], *arguments: bytes | str | int) -> Any:
        """As `script`, and its text is sent only when Redis does not have it."""
        reply = await self.command("EVALSHA", script.sha, len(keys), *keys, *arguments, tolerates=(NoScriptError,))
        if isinstance(reply, NoScriptError):
            reply = await self.command("EVAL", script.text, len(keys), *keys, *arguments)
        return reply

    def listen(self, channel: str, woken: asyncio.Event) -> None:
        """Sets `woken` at each message on the channel, from now on. Nothing depends on it: messages may be lost."""
        self._listening.start(_listen(self._client, channel, woken), name="redis pushes")

    async def hear(self, channel: str, told: Callable[[bytes], None], listening: Callable[[bool], None]) -> None:
        """Gives the messages on the channel, and says when it begins and ceases to hear any. Until it is cancelled."""
        while True:
            began = time.monotonic()
            try:
                await self.primaries()
                async with aclosing(self._client.pubsub()) as subscription:
                    await subscription.subscribe(channel)
                    await _hear(subscription, told, listening)
            except (*NO_ANSWER, Overloaded):
                _end_if_cancelled()
                await asyncio.sleep(began + AGAIN - time.monotonic())
            finally:
                listening(False)

    async def close(self) -> None:
        await self._listening.close()
        if self._under_way:
            await asyncio.wait(self._under_way)
        await self._link.close()

    async def _attempt(
        self,
        words: tuple[bytes | str | int | float, ...],
        deadline: float,
        tolerates: tuple[type[ResponseError], ...],
        on: ClusterNode | None,
    ) -> Any:
        async with self._turns:
            if time.monotonic() > deadline:
                return _Failed(TimeoutError("no connection in time"))
            try:
                if on is not None:
                    return await self._client.execute_command(*words, target_nodes=on)
                return await self._client.execute_command(*words)
            except NO_ANSWER as error:
                return error if isinstance(error, tolerates) else _Failed(error)


async def _hear(subscription: PubSub, told: Callable[[bytes], None], listening: Callable[[bool], None]) -> None:
    """Returns when the connection is silent although it was asked whether it is there."""
    is_asked = False
    while True:
        message = await subscription.get_message(timeout=SILENT)
        if message is None and is_asked:
            return
        if message is None:
            await subscription.ping()
        elif message["type"] == "message":
            told(message["data"])
        elif message["type"] == "subscribe":
            listening(True)
        is_asked = message is None


async def _listen(client: Client, channel: str, woken: asyncio.Event) -> None:
    while True:
        try:
            async with aclosing(client.pubsub()) as subscription:
                await subscription.subscribe(channel)
                while await subscription.get_message(timeout=QUIET) is not None:
                    woken.set()
        except NO_ANSWER:
            _end_if_cancelled()
            await asyncio.sleep(AGAIN)


def _end_if_cancelled() -> None:
    """A connection that fails while its task is being cancelled hides that; whoever goes on then is never rid of."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
