"""Whatever a provider's embedder does, a call is not kept waiting, and nothing wrong is kept (row K6)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.cache.semantic.desk import Unable
from gateway.cache.semantic.embed import remote
from gateway.cache.semantic.tier import Semantic
from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.store.sqlite.meanings import SqliteMeanings
from tests.cache.semantic.worker import INSTALL, INSTALL_TOO, SERVES, Words, asked, kept, looked, ready, worker

RULE = replace(SERVES, embedder="openai/text-embedding-3-small")


class Provider:
    """Answers as `Words` does, unless it is told what to do: to raise, never to end, or to reply something else."""

    def __init__(self) -> None:
        self.does: Any = None
        self.asked = 0

    async def embed(self, model: str, text: str) -> Sequence[float]:
        assert model == RULE.embedder
        self.asked += 1
        if isinstance(self.does, Exception):
            raise self.does
        if self.does == "nothing":
            await asyncio.Event().wait()
        if self.does is not None:
            reply: Sequence[float] = self.does
            return reply
        vector = Words().embed(text)
        assert vector is not None
        return [float(number) for number in 3 * vector]


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def one(provider: Provider, tmp_path: Path) -> AsyncIterator[Semantic]:
    shares = SqliteMeanings(tmp_path, Clock())
    one = await ready(worker(shares, embeds=provider), RULE)
    yield one
    await one.close()
    await shares.close()


async def test_a_providers_embedder_finds_what_is_near(one: Semantic) -> None:
    await kept(one, INSTALL, rule=RULE)

    assert (await looked(one, asked(INSTALL_TOO, rule=RULE))).verdict == "serve"
    assert (await looked(one, asked(INSTALL_TOO, rule=replace(RULE, embedder=None)))).verdict == "none"


async def test_it_is_not_asked_where_nothing_can_be_near(one: Semantic, provider: Provider) -> None:
    await kept(one, INSTALL, rule=RULE)
    before = provider.asked

    assert (await looked(one, asked("Which languages does Django use?", rule=RULE))).reason == "no_neighbour"
    assert provider.asked == before


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (Overloaded("down"), "failed"),
        (OSError("reset"), "failed"),
        (ValueError("no JSON"), "failed"),
        ("nothing", "slow"),
        ([], "failed"),
        ([0.0] * 256, "failed"),
        ([float("nan")] * 256, "failed"),
        ([float("inf")] * 256, "failed"),
        ([10**400] * 256, "failed"),
        (["1"] * 256, "failed"),
        ([True] * 256, "failed"),
        ([1.0] * 255, "failed"),
        ([1.0] * 100_000, "failed"),
        ("garbage", "failed"),
        ({"data": []}, "failed"),
        (7, "failed"),
    ],
)
async def test_what_it_does_wrong_is_a_miss_and_counted(
    one: Semantic, provider: Provider, does: Any, reason: str
) -> None:
    await kept(one, INSTALL, rule=RULE)
    provider.does = does

    found = await one.look(asked(INSTALL_TOO, rule=RULE))
    await one.keep(found, found.asked.org + ":1", time.time() + 99)

    assert (found.verdict, found.reason) == ("none", reason)
    assert one.figures()[f"embedder_{reason}"] >= 1
    assert one.figures()["entries"] == 1
    assert one.figures()[f"not_kept_{reason}"] == 1
    provider.does = None
    assert (await looked(one, asked(INSTALL_TOO, rule=RULE))).verdict == "serve"


async def test_one_that_fails_again_and_again_is_left_alone_for_a_while(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = remote.Remote("openai/text-embedding-3-small", provider)
    provider.does = OSError("down")
    now = 100.0
    monkeypatch.setattr("gateway.cache.semantic.embed.remote.time.monotonic", lambda: now)
    for _ in range(20):
        with pytest.raises(Unable):
            await embedder.embed("x")
    assert provider.asked == remote.FAILURES

    now += remote.REST
    provider.does = [0.6, 0.8]
    assert (await embedder.embed("x")) is not None
    assert embedder.counts == {"slow": 0, "failed": remote.FAILURES}


async def test_without_anyone_to_ask_it_says_so(tmp_path: Path) -> None:
    shares = SqliteMeanings(tmp_path, Clock())
    one = await ready(worker(shares), RULE)

    assert (await looked(one, asked(INSTALL, rule=RULE))).reason == "missing"
    await one.close()
    await shares.close()
