"""The semantic cache as admins see it, and the word of a user that an answer was wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.cache.claim import Cache
from gateway.cache.keep import Keeper
from gateway.cache.purges import Purges
from gateway.cache.replay import Replays
from gateway.cache.rules import CacheRules, Rule
from gateway.cache.semantic.asked import NO_SEMANTIC, Meanings, SemanticRule
from gateway.cache.semantic.tier import Semantic
from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.tasks import Tasks
from gateway.ingress.admin.meanings import MeaningRoutes
from gateway.ingress.admin.server import PREFIX, serve
from gateway.ingress.listening import bind
from gateway.store.contract import Store
from gateway.store.open import open_store
from tests.admin.conftest import refused
from tests.cache.semantic.worker import EARNS, INSTALL, INSTALL_TOO, asked, kept, looked, name, ready, worker
from tests.conftest import House

EARNING = Rule(ttl=60.0, semantic=SemanticRule(ttl=60.0, max_error=0.05))
CALLS: Mapping[str, Mapping[str, Any]] = {
    "req_exact": {"cache_entry": name(1), "cache_kind": "exact", "cache_answer": None},
    "req_meaning": {"cache_entry": name(1), "cache_kind": "semantic", "cache_answer": None},
    "req_older": {"cache_entry": name(1), "cache_kind": "exact", "cache_answer": "ce_older"},
    "req_other": {"cache_entry": name(2), "cache_kind": "exact", "cache_answer": None},
}
"""The records of calls, by id."""


class Rules:
    """The policy's section in force."""

    def __init__(self) -> None:
        self.current = CacheRules()


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a call waits is a matter of the tests that say so."""
    monkeypatch.setattr("gateway.cache.semantic.tier.LIMIT", 30.0)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store("embedded", tmp_path / "data")
    yield store
    await store.close()


@pytest.fixture
async def meanings(store: Store) -> AsyncIterator[Semantic]:
    """It compares every answer that it could serve, and serves none."""
    one = await ready(worker(store.meanings, random=lambda: 0.0), EARNS)
    yield one
    await one.close()


@pytest.fixture
def rules() -> Rules:
    return Rules()


async def client(meanings: Meanings, store: Store, rules: Rules) -> AsyncIterator[aiohttp.ClientSession]:
    application = web.Application()
    clock, tasks = Clock(), Tasks()
    keeper = Keeper(store.cache, Purges(store.cache), store.pepper, clock)
    cache = Cache(Replays(store.replays, tasks), keeper, tasks, clock, meanings)

    async def find(id: str) -> Mapping[str, Any] | None:
        return CALLS.get(id)

    application.add_routes(MeaningRoutes(meanings, cache, find, lambda: rules.current, lambda asking: True).routes())
    sock = bind("127.0.0.1", 0)
    end = await serve(application, sock)
    async with aiohttp.ClientSession(base_url=f"http://127.0.0.1:{sock.getsockname()[1]}") as session:
        yield session
    await end()


@pytest.fixture
async def asking(meanings: Semantic, store: Store, rules: Rules) -> AsyncIterator[aiohttp.ClientSession]:
    """An admin's client."""
    async for session in client(meanings, store, rules):
        yield session


async def told(asking: aiohttp.ClientSession) -> dict[str, Any]:
    async with asking.get(f"{PREFIX}cache/semantic") as reply:
        assert reply.status == 200, await reply.text()
        found: dict[str, Any] = await reply.json()
        return found


async def report(asking: aiohttp.ClientSession, entry: str, body: object) -> Mapping[str, Any]:
    async with asking.post(f"{PREFIX}cache/entries/{entry}:report", json=body) as reply:
        assert reply.status == 200, await reply.text()
        found: Mapping[str, Any] = await reply.json()
        return found


async def test_what_a_route_has_learnt_is_told_apart_from_what_this_worker_has_seen(
    asking: aiohttp.ClientSession, meanings: Semantic
) -> None:
    await kept(meanings, INSTALL, rule=EARNS)
    found = await looked(meanings, asked(INSTALL_TOO, rule=EARNS))
    await meanings.learn(found, b'{"choices":[{"message":{"content":"a"}}]}', b'{"choices":[]}')
    await looked(meanings, asked("How do I install PostgreSQL 16 on Ubuntu?", rule=EARNS))

    seen = await told(asking)

    (route,) = seen["routes"]
    own = route.pop("this_worker")
    assert (route["route"], route["template"], route["state"], route["threshold"]) == (
        "support",
        None,
        "learning",
        None,
    )
    assert (route["compared"], route["wrong"], route["labels"], route["labels_to_learn"]) == (1, 1, 1, 330)
    assert (route["max_error"], route["bound"], route["confidence"]) == (0.05, 1.0, 0.95)
    assert sum(count for _, count in own["histogram"]) == 2
    (wrong,), (missed,) = own["wrong_examples"], own["near_misses"]
    assert (wrong["name"], wrong["question"], wrong["neighbour"]) == (name(1), INSTALL_TOO, INSTALL)
    assert (missed["name"], missed["what"]) == (name(1), "guard_number")
    assert own["reasons"] == {"no_neighbour": 1, "audit": 1, "guard_number": 1}
    assert seen["this_worker"]["figures"]["entries"] == 1


async def test_rules_of_which_no_call_has_come_are_named(
    asking: aiohttp.ClientSession, meanings: Semantic, rules: Rules
) -> None:
    rules.current = CacheRules(EARNING, {"support": EARNING, "legal": None, "faq": EARNING, "plain": Rule(ttl=60.0)})
    assert (await told(asking))["unseen"] == ["default", "support", "faq"]

    await looked(meanings, asked(INSTALL, rule=EARNS))

    assert (await told(asking))["unseen"] == ["default", "faq"]


async def test_a_route_without_a_rule_of_its_own_has_seen_the_default_one(
    asking: aiohttp.ClientSession, meanings: Semantic, rules: Rules
) -> None:
    rules.current = CacheRules(EARNING, {})

    await looked(meanings, asked(INSTALL, rule=EARNS))

    assert (await told(asking))["unseen"] == []


async def test_an_answer_that_is_reported_as_wrong_is_removed_and_counts_once(
    asking: aiohttp.ClientSession, meanings: Semantic, store: Store
) -> None:
    await store.cache.put(name(1), b"kept", ttl=60.0)
    await kept(meanings, INSTALL, rule=EARNS)

    assert await report(asking, name(1), {"bad": True}) == {"removed": 1}
    assert await report(asking, name(1), {"bad": True}) == {"removed": 0}

    assert await store.cache.get(name(1)) is None
    assert meanings.figures()["entries"] == 0
    assert [each["wrong"] for each in (await told(asking))["routes"]] == [1]


@pytest.mark.parametrize(("call", "wrong"), [("req_exact", 0), ("req_meaning", 1)])
async def test_an_answer_counts_as_a_wrong_hit_only_if_the_call_got_it_by_its_meaning(
    asking: aiohttp.ClientSession, meanings: Semantic, store: Store, call: str, wrong: int
) -> None:
    await store.cache.put(name(1), b"kept", ttl=60.0)
    await kept(meanings, INSTALL, rule=EARNS)

    assert await report(asking, name(1), {"bad": True, "request_id": call}) == {"removed": 1}

    assert meanings.figures()["entries"] == 0
    assert [each["wrong"] for each in (await told(asking))["routes"]] == [wrong]


async def test_an_answer_that_is_not_the_one_of_the_call_stays(asking: aiohttp.ClientSession, store: Store) -> None:
    await store.cache.put(name(1), b"newer", ttl=60.0)

    assert await report(asking, name(1), {"bad": True, "request_id": "req_older"}) == {"removed": 0}

    assert await store.cache.get(name(1)) == b"newer"


async def test_praise_removes_nothing(asking: aiohttp.ClientSession, meanings: Semantic, store: Store) -> None:
    await store.cache.put(name(1), b"kept", ttl=60.0)

    assert await report(asking, name(1), {"bad": False}) == {"removed": 0}

    assert await store.cache.get(name(1)) == b"kept"
    assert meanings.figures()["reported_good"] == 1


@pytest.mark.parametrize(
    ("entry", "body", "answer"),
    [
        (name(1), {}, (400, "missing_parameter")),
        (name(1), {"bad": "yes"}, (400, "invalid_type")),
        (name(1), {"bad": 1}, (400, "invalid_type")),
        (name(1), {"bad": True, "why": "x"}, (400, "unknown_parameter")),
        (name(1)[:-1], {"bad": True}, (404, "not_found")),
        ("%2e%2e", {"bad": True}, (404, "not_found")),
        (name(1), {"bad": True, "request_id": 1}, (400, "invalid_type")),
        (name(1), {"bad": True, "request_id": "req_unknown"}, (404, "call_not_found")),
        (name(1), {"bad": True, "request_id": "req_other"}, (404, "call_not_found")),
    ],
)
async def test_a_report_that_does_not_say_what_it_means_is_refused(
    asking: aiohttp.ClientSession, meanings: Semantic, entry: str, body: object, answer: tuple[int, str]
) -> None:
    async with asking.post(f"{PREFIX}cache/entries/{entry}:report", json=body) as reply:
        assert await refused(reply) == answer

    assert "reported_bad" not in meanings.figures()


async def test_a_report_that_could_remove_nothing_counts_nothing(
    asking: aiohttp.ClientSession, meanings: Semantic, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(names: object) -> int:
        raise Overloaded("the store is away")

    monkeypatch.setattr(store.cache, "remove", away)

    async with asking.post(f"{PREFIX}cache/entries/{name(1)}:report", json={"bad": True}) as reply:
        assert reply.status == 503
    assert "reported_bad" not in meanings.figures()


async def test_without_a_semantic_cache_there_is_nothing_to_tell(store: Store, rules: Rules) -> None:
    async for session in client(NO_SEMANTIC, store, rules):
        nothing = {"is_installed": True, "routes": [], "unseen": [], "this_worker": {"figures": {}}}
        assert await told(session) == nothing
        assert await report(session, name(1), {"bad": True}) == {"removed": 0}


async def test_a_policy_that_asks_for_it_is_told_of_in_the_gateway_itself(
    house: House, admin: aiohttp.ClientSession
) -> None:
    await house.adopt("cache: {default: {semantic: {max_error: 5%}}}")

    assert (await told(admin))["unseen"] == ["default"]
