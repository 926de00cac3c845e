"""The semantic cache of one worker, running.

What is kept here only says which entry of the cache may serve: whoever asks fetches that entry by its exact name, and checks it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from gateway.cache.key import Sharing
from gateway.cache.semantic import decision, eligible
from gateway.cache.semantic.answer import fingerprint
from gateway.cache.semantic.asked import Asked, Found, SemanticRule
from gateway.cache.semantic.desk import Desk, Unable
from gateway.cache.semantic.earned import Choice
from gateway.cache.semantic.embed.local import Local
from gateway.cache.semantic.embed.remote import Remote
from gateway.cache.semantic.embedder import Embedder, Vector
from gateway.cache.semantic.kept.overflow import Overflow, merged
from gateway.cache.semantic.kept.replica import Quick, Replica
from gateway.cache.semantic.kept.row import Row, pack
from gateway.cache.semantic.kept.shelf import Bounds, Hit
from gateway.cache.semantic.near import Near
from gateway.cache.semantic.outside import Embeds, Judges, Shares
from gateway.cache.semantic.proof.route import Route
from gateway.cache.semantic.proof.routes import Routes
from gateway.cache.semantic.reading import read
from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.tasks import Tasks

LIMIT = 0.1
"""Seconds that a call waits at most."""
FLUSH = 2.0
"""Seconds between two writings of what routes have earned."""
CLOSING = 1.0
"""Seconds for the last of them."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What it is made of. `pepper` is the store's secret, 1 to 64 bytes. `load_quick` and `load_local` load the embedders, in a
    thread; `local` is the latter's name. `random` gives numbers from 0 to 1."""

    shares: Shares
    pepper: bytes
    load_quick: Callable[[], Quick | None]
    load_local: Callable[[], Embedder]
    local: str
    embeds: Embeds | None = None
    judges: Judges | None = None
    clock: Clock = field(default_factory=Clock)
    random: Callable[[], float] = random.random
    bounds: Bounds = field(default_factory=Bounds)


class Semantic:
    """See asked.Meanings. Whoever makes it closes it; nothing is loaded or read before the first call asks."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._tasks = Tasks()
        self._desk = Desk()
        self._local = Local(parts.local, parts.load_local, self._desk, self._tasks)
        self._remotes: dict[str, Remote] = {}
        self._replica = Replica(
            *(parts.shares.neighbours, self._desk, parts.load_quick, self._forget_examples),
            pepper=parts.pepper,
            clock=parts.clock,
            bounds=parts.bounds,
        )
        self._overflow: Overflow | None = None
        self._routes = Routes(parts.shares.earned, parts.judges, parts.random, pepper=parts.pepper)
        self._counts: Counter[str] = Counter()
        self._has_begun = False

    def begin(self, rule: SemanticRule) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._tasks.start(self._run(), name="semantic index")
            self._tasks.start(self._flush(), name="semantic flush")
        if rule.embedder is None:
            self._local.start()

    async def look(self, asked: Asked) -> Found:
        self.begin(asked.rule)
        embedder = self._embedder(asked.rule)
        route = self._routes.of(asked, asked.rule.embedder or self._parts.local)
        found = self._eligible(asked)
        if isinstance(found, tuple):
            question, nothing = found
            found = await self._within(self._find(question, nothing, embedder, route), nothing)
        route.note(found)
        if found.verdict == "serve" and found.name is not None:
            self._routes.note_served(found.name, route, found.similarity or 0.0)
        return found

    async def keep(self, found: Found, name: str, expires: float, document: bytes = b"") -> None:
        if found.verdict == "serve" or not found.partition or not name.startswith(f"{found.asked.org}:"):
            return
        ends = min(expires, self._parts.clock.now() + found.asked.rule.ttl)
        try:
            vector = found.vector or await self._packed(found)
            if vector is None:
                return
            row = Row(found.partition, found.asked.route, found.question, vector, ends, _answer(document))
            for crowded_out in await self._replica.add(name, row):
                if self._overflow is not None:
                    await self._overflow.add(*crowded_out)
        except Unable as unable:
            self._counts[f"not_kept_{unable.reason}"] += 1
        except Overloaded:
            self._counts["not_kept_store"] += 1

    async def learn(self, found: Found, kept: bytes, real: bytes) -> None:
        if found.verdict == "shadow":
            route = self._routes.of(found.asked, found.asked.rule.embedder or self._parts.local)
            await self._routes.learn(route, found, kept, real)

    async def report(self, name: str, *, bad: bool, is_replaced: bool = False) -> None:
        self._counts["reported_bad" if bad else "reported_good"] += 1
        if bad:
            await self._tasks.finish(self._report(name, is_replaced=is_replaced), name="semantic report")

    async def forget(self, names: Collection[str]) -> None:
        self._forget_examples(frozenset(names))
        try:
            await self._replica.remove(names)
            if self._overflow is not None:
                await self._overflow.remove(names)
        except (Overloaded, Unable):  # others will see for themselves that the entries are gone
            self._counts["not_forgotten"] += len(names)

    async def forget_org(self, org: str) -> None:
        for route in self._routes:
            route.forget(org=org)
        try:
            await self._replica.remove_org(org)
            if self._overflow is not None:
                await self._overflow.remove_org(org)
        except (Overloaded, Unable):
            self._counts["not_forgotten"] += 1

    def state(self) -> list[dict[str, Any]]:
        """One for each route, model and template: that whose rule was used last."""
        latest = {(route.route, route.model, route.template): route for route in self._routes}
        return [route.state() for route in latest.values()]

    def figures(self) -> dict[str, int]:
        remotes: Counter[str] = Counter()
        for remote in self._remotes.values():
            remotes.update({f"embedder_{word}": count for word, count in remote.counts.items()})
        damaged = self._replica.damaged + (0 if self._overflow is None else self._overflow.damaged)
        here = {"entries": len(self._replica), "damaged": damaged, "failed": self._desk.failed}
        return {**here, **remotes, **self._counts, **self._routes.counts}

    async def close(self) -> None:
        """Writes what was learnt, if the store lets it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING):
                await self._routes.flush(all=True)
        await self._tasks.close()
        self._desk.close()

    def _forget_examples(self, names: frozenset[str]) -> None:
        for route in self._routes:
            route.forget(names=names)

    async def _report(self, name: str, *, is_replaced: bool) -> None:
        row = None
        with suppress(Unable):
            row = self._replica.shelf.get(name)
        await self._routes.report(name, None if row is None else row.route)
        if not is_replaced:
            await self.forget([name])

    def _embedder(self, rule: SemanticRule) -> Local | Remote | None:
        if rule.embedder is None:
            return self._local
        if self._parts.embeds is None:
            return None
        if rule.embedder not in self._remotes:
            self._remotes[rule.embedder] = Remote(rule.embedder, self._parts.embeds)
        return self._remotes[rule.embedder]

    def _eligible(self, asked: Asked) -> Found | tuple[eligible.Question, Found]:
        is_shared = asked.scope[0] != Sharing.KEY.value
        question = eligible.question(asked.fields, hottest=asked.hottest, shared=is_shared)
        if isinstance(question, str):
            return Found("none", question, asked)
        name = asked.rule.embedder or self._parts.local
        part = eligible.partition(self._parts.pepper, asked.scope, asked.target, question, name)
        return question, Found("none", "no_neighbour", asked, question=question.text, partition=part)

    async def _within(self, finding: Awaitable[Found], nothing: Found) -> Found:
        try:
            async with asyncio.timeout(LIMIT):
                return await finding
        except TimeoutError:
            return replace(nothing, reason="slow")
        except Unable as unable:
            return replace(nothing, reason=unable.reason)

    async def _find(
        self, question: eligible.Question, nothing: Found, embedder: Local | Remote | None, route: Route
    ) -> Found:
        if embedder is None:
            raise Unable("missing")
        part, text, shelf = nothing.partition, question.text, self._replica.shelf
        is_far, is_full = await self._desk.ask(lambda: (shelf.is_far(part, text), shelf.is_full(part)))
        spills = is_full and self._overflow is not None
        if is_far and not spills:
            return nothing
        vector = await embedder.embed(text)
        if vector is None:
            return replace(nothing, reason="misread", partition=b"")
        nothing = replace(nothing, vector=pack(vector))
        least, now = decision.search_floor(route.floor), self._parts.clock.now()
        hits = await self._desk.ask(lambda: shelf.search(part, vector, least=least, now=now))
        if spills:
            hits = await self._with_overflow(hits, nothing, vector, least)
        hits = [hit for hit in hits if hit.name.startswith(f"{nothing.asked.org}:")]
        if not hits:
            return nothing
        decided = await self._desk.ask(lambda: _decide(question, hits, route.floor))
        return _found(nothing, hits, decided, route)

    async def _with_overflow(self, hits: list[Hit], nothing: Found, vector: Vector, least: float) -> list[Hit]:
        if self._overflow is None:
            return hits
        now = self._parts.clock.now()
        try:
            more = await self._overflow.search(nothing.partition, nothing.asked.org, vector, least=least, now=now)
        except Overloaded:
            return hits
        return merged(hits, more)

    async def _packed(self, found: Found) -> bytes | None:
        embedder = self._embedder(found.asked.rule)
        if embedder is None:
            raise Unable("missing")
        vector = await embedder.embed(found.question)
        return None if vector is None else pack(vector)

    async def _run(self) -> None:
        """Keeps asking what the server can search, for it may be away when this starts."""
        following = self._tasks.start(self._replica.run(), name="semantic log")
        while True:
            try:
                nearest = await self._parts.shares.nearest()
            except Overloaded:
                await asyncio.sleep(FLUSH)
                continue
            self._overflow = None if nearest is None else Overflow(nearest, pepper=self._parts.pepper)
            await following
            return

    async def _flush(self) -> None:
        while True:
            await self._routes.flush()
            await asyncio.sleep(FLUSH)


def _decide(question: eligible.Question, hits: list[Hit], floor: float) -> decision.Decision:
    rows = {hit.name: hit.row for hit in hits}

    def kept(name: str) -> decision.Kept:
        return decision.Kept(read(rows[name].question), rows[name].answer)

    near = [Near(hit.name, hit.score) for hit in hits]
    return decision.decide(question.reading, near, kept, floor=floor, threshold=None)


def _found(nothing: Found, hits: list[Hit], decided: decision.Decision, route: Route) -> Found:
    near = decided.near
    if near is None:
        reason = _word(decided.veto)
        first = hits[0]
        seen = replace(nothing, reason=reason, similarity=first.score, name=first.name, neighbour=first.row.question)
        return nothing if reason == "no_neighbour" else seen
    question = next(hit.row.question for hit in hits if hit.name == near.id)
    candidate = replace(nothing, similarity=near.score, name=near.id, neighbour=question)
    choice = route.choose(near.score)
    if choice is Choice.SERVE:
        return replace(candidate, verdict="serve", reason="near")
    if choice is Choice.COMPARE:
        return replace(candidate, verdict="shadow", reason="audit")
    return replace(candidate, verdict="pass", reason="not_earned")


def _word(veto: str | None) -> str:
    if veto is None:
        return "no_neighbour"
    return veto if veto == decision.CONTESTED else f"guard_{veto}"


def _answer(document: bytes) -> bytes | None:
    try:
        whole = orjson.loads(document)
    except orjson.JSONDecodeError:
        return None
    return fingerprint(whole) if isinstance(whole, dict) else None
