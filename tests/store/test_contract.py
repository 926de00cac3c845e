"""What every store promises, tried on each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.cache.purges import Purges
from gateway.core.claim import Conflict, Fresh, Pending, Stored
from gateway.core.secret import Secret
from gateway.core.tasks import Tasks
from gateway.core.tenant import VirtualKey
from gateway.policy.stored import StoredTemplates
from gateway.store.contract import FILES, POLICIES, REPLAY_LIMIT, OpenError, Store
from gateway.store.open import open_store
from gateway.store.synchronise import Followers, announce, synchronise
from tests.store.conftest import Opens

pytestmark = pytest.mark.usefixtures("patient")

KEY = VirtualKey(
    id="k1",
    name="ci é\u2028",
    tenant="acme/search",
    fingerprint="ab" * 32,
    models=("a", "b*"),
    created=1.5,
    expires=2.5,
)
ANSWER = Stored(200, (("content-type", "text/event-stream"), ("x", "é")), b"data: \x00\xff\n\n")


async def test_the_pepper_is_made_once_and_the_same_for_all(opens: Opens) -> None:
    first, second = await asyncio.gather(opens(), opens())

    assert first.pepper == second.pepper
    assert len(first.pepper.reveal()) == 64


async def test_a_pepper_that_is_given_is_used(opens: Opens) -> None:
    given = Secret("a secret of our own choice")

    assert (await opens(pepper=given)).pepper == given
    assert (await opens()).pepper != given


async def test_a_pepper_that_is_too_short_is_refused(opens: Opens) -> None:
    with pytest.raises(OpenError, match="LLMGW_SECRET"):
        await opens(pepper=Secret("short"))


async def test_a_created_key_is_read_back_as_it_was_by_another_worker(store: Store, other: Store) -> None:
    bare = VirtualKey(id="k2", name="", tenant="t", fingerprint="cd" * 32)
    await store.keys.create(KEY)
    await store.keys.create(bare)

    change, keys = await other.keys.load(since=0)

    assert list(keys) == [KEY, bare]
    assert change == (await other.changes()).keys


async def test_only_what_changed_since_is_loaded(store: Store, other: Store) -> None:
    await store.keys.create(KEY)
    change, _ = await other.keys.load(since=0)
    assert await other.keys.load(since=change) == (change, [])

    await store.keys.create(replace(KEY, id="k2"))
    assert await store.keys.revoke("k1")

    later, keys = await other.keys.load(since=change)
    assert later == change + 2
    assert [(key.id, key.revoked) for key in keys] == [("k2", False), ("k1", True)]


async def test_more_keys_than_fit_in_one_answer_are_all_loaded(store: Store, other: Store) -> None:
    for number in range(1100):
        await store.keys.create(replace(KEY, id=f"k{number}"))

    _, keys = await other.keys.load(since=0)

    assert [key.id for key in keys] == [f"k{number}" for number in range(1100)]


async def test_revoking_a_key_that_does_not_exist_says_so(store: Store) -> None:
    before = await store.changes()

    assert not await store.keys.revoke("nothing")

    assert await store.changes() == before


async def test_each_change_is_counted_and_nothing_else(store: Store, other: Store) -> None:
    before = await other.changes()

    await store.keys.create(KEY)
    created = await other.changes()
    await store.cooldowns.publish("openai/gpt-4o", time.time() + 60, "rate limit")
    rested = await other.changes()

    assert created.keys == before.keys + 1
    assert (rested.keys, rested.cooldowns) == (created.keys, before.cooldowns + 1)
    assert await store.changes() == rested


async def test_a_published_cooldown_is_seen_by_others_until_it_has_passed(store: Store, other: Store) -> None:
    soon, passed = time.time() + 60, time.time() - 1
    await store.cooldowns.publish("a/b c", soon, "five errors in a row")
    await store.cooldowns.publish("c/d", passed, "was long ago")

    assert await other.cooldowns.cooldowns() == {"a/b c": soon}
    assert await other.cooldowns.reasons() == {"a/b c": "five errors in a row"}


async def test_a_cooldown_can_be_ended_early(store: Store, other: Store) -> None:
    await store.cooldowns.publish("a/b", time.time() + 60, "tired")
    await store.cooldowns.publish("a/b", 0.0, "well again")

    assert await other.cooldowns.cooldowns() == {}


async def test_the_first_claim_is_fresh_and_the_next_finds_it_pending_then_stored(store: Store, other: Store) -> None:
    first = await store.replays.claim("acme", "key", "hash")
    assert isinstance(first, Fresh)
    assert await other.replays.claim("acme", "key", "hash") == Pending()

    await store.replays.finish(first.claim, ANSWER)

    assert await other.replays.claim("acme", "key", "hash") == ANSWER


async def test_of_many_claims_at_once_one_is_fresh(store: Store, other: Store) -> None:
    claims = [each.replays.claim("acme", "key", "hash") for each in (store, other) * 20]

    outcomes = await asyncio.gather(*claims)

    assert sum(isinstance(outcome, Fresh) for outcome in outcomes) == 1
    assert sum(outcome == Pending() for outcome in outcomes) == 39


async def test_another_body_under_the_same_key_is_a_conflict_while_pending_and_after(store: Store) -> None:
    first = await store.replays.claim("acme", "key", "hash")
    assert isinstance(first, Fresh)
    assert await store.replays.claim("acme", "key", "other") == Conflict()

    await store.replays.finish(first.claim, ANSWER)

    assert await store.replays.claim("acme", "key", "other") == Conflict()


async def test_one_scope_never_sees_the_keys_of_another(store: Store) -> None:
    for scope, key in (("acme", "xkey"), ("acmex", "key"), ("ac", "mexkey"), ("acme:x", "key"), ("acme", ":xkey")):
        assert isinstance(await store.replays.claim(scope, key, "hash"), Fresh)


async def test_an_abandoned_claim_can_be_made_again(store: Store, other: Store) -> None:
    first = await store.replays.claim("acme", "key", "hash")
    assert isinstance(first, Fresh)

    await store.replays.abandon(first.claim)

    assert isinstance(await other.replays.claim("acme", "key", "other"), Fresh)


async def test_an_answer_that_is_too_large_is_not_kept_and_frees_the_key(store: Store) -> None:
    first = await store.replays.claim("acme", "key", "hash")
    assert isinstance(first, Fresh)

    await store.replays.finish(first.claim, replace(ANSWER, body=bytes(REPLAY_LIMIT + 1)))

    assert isinstance(await store.replays.claim("acme", "key", "hash"), Fresh)


async def test_the_largest_answer_is_kept_whole(store: Store) -> None:
    first = await store.replays.claim("acme", "key", "hash")
    assert isinstance(first, Fresh)
    answer = replace(ANSWER, body=bytes(range(256)) * (REPLAY_LIMIT // 256))

    await store.replays.finish(first.claim, answer)

    assert await store.replays.claim("acme", "key", "hash") == answer


async def test_who_lost_a_claim_can_neither_finish_nor_abandon_what_another_holds(store: Store) -> None:
    first = await store.replays.claim("acme", "key", "hash")
    assert isinstance(first, Fresh)
    await store.replays.abandon(first.claim)
    assert isinstance(await store.replays.claim("acme", "key", "hash"), Fresh)

    await store.replays.finish(first.claim, ANSWER)
    await store.replays.abandon(first.claim)

    assert not await store.replays.renew(first.claim)
    assert await store.replays.claim("acme", "key", "hash") == Pending()


async def test_a_stored_answer_is_not_lost_by_a_late_abandon(store: Store) -> None:
    first = await store.replays.claim("acme", "key", "hash")
    assert isinstance(first, Fresh)
    await store.replays.finish(first.claim, ANSWER)

    await store.replays.abandon(first.claim)

    assert await store.replays.claim("acme", "key", "hash") == ANSWER


async def test_a_claim_can_be_held_longer(store: Store) -> None:
    first = await store.replays.claim("acme", "key", "hash")
    assert isinstance(first, Fresh)

    assert await store.replays.renew(first.claim)


async def test_hostile_names_are_only_names(store: Store) -> None:
    for key in ("", "\udc80", "a" * 100_000, "*", "{llmgw}", "\x00\r\nFLUSHALL\r\n", "'; DROP TABLE replays; --"):
        assert isinstance(await store.replays.claim("acme", key, "hash"), Fresh)
        assert await store.replays.claim("acme", key, "hash") == Pending()


async def test_instances_say_which_policy_version_they_run(store: Store, other: Store) -> None:
    await store.versions.announce("host:1", "v1 β")
    await other.versions.announce("host:2", "v1 β")
    await store.versions.announce("host:1", "v2")

    assert await other.versions.versions() == {"host:1": "v2", "host:2": "v1 β"}


async def test_a_caller_that_gives_up_harms_no_one_else(store: Store) -> None:
    """Commands cancelled at random points, then every reply must still belong to its question."""
    for number in range(10):
        await store.keys.create(replace(KEY, id=f"k{number}"))

    async def given_up(number: int) -> None:
        work = asyncio.ensure_future(store.keys.load(since=number % 10))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    async def asked(number: int) -> tuple[int, list[str]]:
        change, keys = await store.keys.load(since=number)
        return change, [key.id for key in keys]

    for _ in range(30):
        crowd = [given_up(number) for number in range(14)]
        *_, first, last = await asyncio.gather(*crowd, asked(8), asked(9))
        assert first == (10, ["k8", "k9"])
        assert last == (10, ["k9"])


class Watched:
    """What a worker was told by `synchronise`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.revoked = asyncio.Event()
        self.confirmed = asyncio.Event()
        self.resting: asyncio.Queue[Mapping[str, float]] = asyncio.Queue()

    async def refresh(self) -> None:
        _, keys = await self._store.keys.load(since=0)
        if any(key.revoked for key in keys):
            self.revoked.set()

    def confirm(self, asked: float) -> None:
        assert time.monotonic() - asked < 5
        self.confirmed.set()


@pytest.mark.alone
async def test_a_worker_hears_of_revocations_and_cooldowns_within_a_second(store: Store, other: Store) -> None:
    tasks = Tasks()
    watched = Watched(other)
    followers = Followers(watched, watched.resting.put_nowait, Purges(other.cache), StoredTemplates(other.templates))
    tasks.start(synchronise(other, followers), name="synchronise")
    await store.keys.create(KEY)
    assert await watched.resting.get() == {}
    await watched.confirmed.wait()

    until = time.time() + 60
    async with asyncio.timeout(1.0):
        await store.keys.revoke("k1")
        await watched.revoked.wait()
    async with asyncio.timeout(1.0):
        await store.cooldowns.publish("a/b", until, "tired")
        assert await watched.resting.get() == {"a/b": until}

    await tasks.close()


async def test_a_worker_announces_its_version_by_itself(store: Store, other: Store) -> None:
    tasks = Tasks()
    rounds: asyncio.Queue[None] = asyncio.Queue()

    def version() -> str:
        rounds.put_nowait(None)
        return "v7"

    tasks.start(announce(store, "host:1", version, every=0.01), name="announce")
    await rounds.get()
    await rounds.get()

    assert await other.versions.versions() == {"host:1": "v7"}
    await tasks.close()


async def test_what_was_written_outlives_the_workers(opens: Opens, url: str, tmp_path: Path) -> None:
    store = await open_store(url, tmp_path)
    await store.keys.create(KEY)
    pepper = store.pepper
    first = await store.replays.claim("acme", "key", "hash")
    assert isinstance(first, Fresh)
    await store.replays.finish(first.claim, ANSWER)
    await store.close()

    again = await opens()

    assert again.pepper == pepper
    assert list((await again.keys.load(since=0))[1]) == [KEY]
    assert await again.replays.claim("acme", "key", "hash") == ANSWER


async def test_policies_are_kept_the_last_first_and_no_more_than_so_many(store: Store, other: Store) -> None:
    for number in range(POLICIES + 2):
        await store.policies.keep(f"v{number}", "admin", b"%d \x00" % number)

    found = await other.policies.kept()

    assert len(found) == POLICIES
    assert (found[0], found[-1]) == (b"%d \x00" % (POLICIES + 1), b"2 \x00")


async def test_the_last_policy_is_kept_once_and_somebody_s_word_goes_before_the_folder_s(
    store: Store, other: Store
) -> None:
    await store.policies.keep("v1", FILES, b"found")
    await other.policies.keep("v1", FILES, b"found by another")
    assert await store.policies.kept() == [b"found"]

    await other.policies.keep("v1", "admin", b"applied")
    await store.policies.keep("v1", FILES, b"found again")
    await store.policies.keep("v1", "admin", b"applied twice")
    assert await store.policies.kept() == [b"applied"]

    await store.policies.keep("v2", FILES, b"changed")
    await store.policies.keep("v1", "admin", b"back")
    assert await store.policies.kept() == [b"back", b"changed", b"applied"]
