"""Clients of a gateway: many at once, each with a random mix of everything that is billed."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.ledger.oracle import marked

CHAT, COMPLETIONS, EMBEDDINGS = "/chat/completions", "/completions", "/embeddings"
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Key:
    """A virtual key, and the name under which the provider's count knows it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """One call to make. `path` is below `/v1`."""

    path: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the client saw. `status` 0: the connection broke. `is_whole`: a stream that ended with [DONE]."""

    status: int
    code: str
    seconds: float
    is_whole: bool = True
    is_stopped: bool = False
    degraded: str = ""
    began: float = 0.0
    key: str = ""

    @property
    def word(self) -> str:
        return f"{self.status} {self.code}".strip()


@dataclass(slots=True)
class Replies:
    """All replies of one run."""

    all: list[Reply] = field(default_factory=list)

    def words(self) -> Counter[str]:
        return Counter(reply.word for reply in self.all)

    def share(self, word: str) -> float:
        return self.words()[word] / max(1, len(self.all))

    def others_than(self, *words: str) -> list[str]:
        """The replies that are none of these, and streams that just broke off."""
        wrong = [reply.word for reply in self.all if reply.word not in words]
        return wrong + [
            f"{reply.word} is not whole" for reply in self.all if reply.status == 200 and not reply.is_whole
        ]


def mixed(key: Key, number: int, dice: random.Random, *, model: str = "random", cap: int = 48) -> Request:
    """A random call: whole or streamed, several choices, without a cap, an embedding, a plain completion."""
    text = marked(key.name, f"call {number} " + "word " * dice.randint(0, 30))
    kind = dice.choice(("whole", "stream", "several", "uncapped", "embedding", "completion", "counted stream"))
    if kind == "embedding":
        return Request(EMBEDDINGS, {"model": model, "input": text})
    if kind == "completion":
        return Request(COMPLETIONS, {"model": model, "prompt": text, "max_tokens": dice.randint(1, cap)})
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
    if kind != "uncapped":
        body["max_tokens"] = dice.randint(1, cap)
    if kind == "several":
        body |= {"n": 4, "max_tokens": dice.randint(1, cap // 4)}
    if "stream" in kind or (kind in ("uncapped", "several") and dice.random() < 0.5):
        body["stream"] = True
    if kind == "counted stream":
        body["stream_options"] = {"include_usage": True}
    return Request(CHAT, body)


def chat(key: Key, text: str, *, model: str, stream: bool = False, cap: int | None = None) -> Request:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": marked(key.name, text)}]}
    return Request(CHAT, body | ({"stream": True} if stream else {}) | ({"max_tokens": cap} if cap else {}))


async def send(session: aiohttp.ClientSession, url: str, key: Key, request: Request) -> Reply:
    """Makes one call and reads its answer to the end."""
    began = time.monotonic()
    try:
        async with session.post(
            url + request.path, json=request.body, headers={"Authorization": f"Bearer {key.text}"}
        ) as answer:
            said = await answer.read()
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        return Reply(0, type(error).__name__, time.monotonic() - began, False, began=began, key=key.name)
    return Reply(
        status=answer.status,
        code=_code(said) if answer.status >= 400 else "",
        seconds=time.monotonic() - began,
        is_whole=not request.body.get("stream") or answer.status >= 400 or b"data: [DONE]" in said,
        is_stopped=b'"stopped_by"' in said,
        degraded=answer.headers.get("x-llmgw-degraded", ""),
        began=began,
        key=key.name,
    )


def new_session() -> aiohttp.ClientSession:
    """Keeps its connections; every client has its own when `limit` of them talk at once."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=PATIENCE))


async def closed_loop(
    url: str,
    keys: Sequence[Key],
    *,
    clients: int,
    calls: int,
    draw: Callable[[Key, int, random.Random], Request],
    may_end: Callable[[], bool] = lambda: True,
) -> Replies:
    """`clients` at once, each with its own connection, until all `calls` have been made and it `may_end`."""
    replies, numbers = Replies(), itertools.count()

    async def client(number: int) -> None:
        dice = random.Random(number)
        key = keys[number % len(keys)]
        async with new_session() as session:
            while (call := next(numbers)) < calls or not may_end():
                replies.all.append(await send(session, url, key, draw(key, call, dice)))

    await asyncio.gather(*(client(number) for number in range(clients)))
    return replies


async def open_loop(
    url: str,
    keys: Sequence[Key],
    *,
    per_second: float,
    seconds: float,
    draw: Callable[[Key, int, random.Random], Request],
) -> Replies:
    """Calls that begin when they are due, whatever has become of those before; a key's turn comes round."""
    replies, dice = Replies(), random.Random(7)
    async with new_session() as session, asyncio.TaskGroup() as calls:
        for number, key in _in_turn(keys, int(per_second * seconds)):
            due = number / per_second
            if number == 0:
                start = time.monotonic()
            await asyncio.sleep(max(0.0, start + due - time.monotonic()))
            calls.create_task(_noted(replies, session, url, key, draw(key, number, dice)))
    return replies


async def _noted(replies: Replies, session: aiohttp.ClientSession, url: str, key: Key, request: Request) -> None:
    replies.all.append(await send(session, url, key, request))


def _in_turn(keys: Sequence[Key], count: int) -> Iterator[tuple[int, Key]]:
    return zip(range(count), itertools.cycle(keys), strict=False)


def _code(said: bytes) -> str:
    try:
        return str(json.loads(said)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return "no envelope"
