"""Workers with a semantic cache, as the tests start them: a real store, and an embedder that hears only which words are said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from zlib import crc32

import numpy as np

from gateway.cache.key import Target
from gateway.cache.semantic.asked import Asked, Found, SemanticRule
from gateway.cache.semantic.embedder import Embedder, Vector, unit
from gateway.cache.semantic.kept.shelf import Bounds
from gateway.cache.semantic.outside import Embeds, Judges, Shares
from gateway.cache.semantic.reading import read
from gateway.cache.semantic.tier import Parts, Semantic
from gateway.core.clock import Clock
from gateway.store.contract import away

ORG, OTHER_ORG = "a" * 16, "b" * 16
PEPPER = b"pepper" * 8
TARGET = Target("chat", "gpt-4o-mini", "support")
SERVES = SemanticRule(ttl=3600.0, threshold=0.9)
EARNS = SemanticRule(ttl=3600.0, max_error=0.05)
FOREVER = 2.0**33
INSTALL = "How do I install PostgreSQL on Ubuntu?"
INSTALL_TOO = "How can I install PostgreSQL on Ubuntu?"
OTHER = "What is the capital of France today's students learn?"


class Words:
    """A text is the sum of its words that carry meaning."""

    name = "words"
    dimensions = 256

    def embed(self, text: str) -> Vector | None:
        vector = np.zeros(self.dimensions, dtype=np.float32)
        for word in read(text).stems:
            vector[crc32(word.encode("utf-8", "replace")) % self.dimensions] += 1
        return unit(vector)


class Sometimes:
    """A part of a store, whose commands do not reach it while `is_away`, and have no answer while `is_mute`."""

    def __init__(self, part: Any) -> None:
        self._part = part
        self.is_away = self.is_mute = False

    def __getattr__(self, command: str) -> Callable[..., Any]:
        async def send(*words: Any, **options: Any) -> Any:
            if self.is_away:
                raise away()
            reply = await getattr(self._part, command)(*words, **options)
            if self.is_mute:
                raise away()
            return reply

        return send


class Shared:
    """What a store shares, with some of it replaced."""

    def __init__(self, shares: Shares, **parts: Any) -> None:
        self.neighbours = parts.get("neighbours", shares.neighbours)
        self.earned = parts.get("earned", shares.earned)
        self._nearest = parts.get("nearest")
        self._shares = shares

    async def nearest(self) -> Any:
        return self._nearest


def worker(
    shares: Shares,
    *,
    random: Callable[[], float] = lambda: 0.99,
    load: Callable[[], Embedder] = Words,
    bounds: Bounds | None = None,
    embeds: Embeds | None = None,
    judges: Judges | None = None,
    clock: Clock | None = None,
) -> Semantic:
    """`random` near 1 compares nothing, and 0 everything."""
    return Semantic(
        Parts(
            shares,
            PEPPER,
            lambda: Words().embed,
            load,
            "words",
            embeds=embeds,
            judges=judges,
            clock=clock or Clock(),
            random=random,
            bounds=bounds or Bounds(),
        )
    )


def asked(text: str = INSTALL, *, rule: SemanticRule = SERVES, org: str = ORG, **more: Any) -> Asked:
    """`scope`, `target` and `before` (earlier messages) may be given; the rest are fields of the request."""
    scope = more.pop("scope", ("team", org, "search"))
    target = more.pop("target", TARGET)
    messages = [*more.pop("before", ()), {"role": "user", "content": text}]
    return Asked(scope, target, {"model": "x", "messages": messages, **more}, org, target.route, rule)


def name(number: int, org: str = ORG) -> str:
    return f"{org}:{number:064x}"


def document(text: str) -> bytes:
    return b'{"object":"chat.completion","choices":[{"message":{"role":"assistant","content":"%b"}}]}' % text.encode()


async def ready(one: Semantic, rule: SemanticRule = SERVES) -> Semantic:
    """With its embedder and the store's log loaded."""
    one.begin(rule)
    if rule.embedder is None:
        await one._local.start()
    await one._replica.catch_up()
    return one


async def step(*workers: Semantic) -> None:
    """What each does within half a second."""
    for one in workers:
        await one._replica.catch_up()
        await one._routes.flush(all=True)


async def kept(one: Semantic, text: str = INSTALL, number: int = 1, *, answer: str = "a text", **more: Any) -> Found:
    """A miss whose answer was kept; `expires` may be given, and what `asked` takes."""
    expires = more.pop("expires", FOREVER)
    call = asked(text, **more)
    found = await looked(one, call)
    await one.keep(found, name(number, call.org), expires, document(answer))
    return found


async def looked(one: Semantic, call: Asked) -> Found:
    """As the cache is asked on a machine that is not busy."""
    while True:
        found = await one.look(call)
        if found.reason not in ("slow", "busy"):
            return found
        await asyncio.sleep(0.01)


async def verdicts(one: Semantic, calls: Iterable[Asked]) -> list[str]:
    return [(await looked(one, call)).verdict for call in calls]


def with_rule(call: Asked, **changes: Any) -> Asked:
    return replace(call, rule=replace(call.rule, **changes))
