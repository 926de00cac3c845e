"""A kept answer is found by the meaning of its question, within its partition, and by nobody who waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cache.semantic.asked import NO_SEMANTIC, REASONS, Asked
from gateway.cache.semantic.embedder import Embedder
from gateway.cache.semantic.kept import row as rows
from gateway.cache.semantic.kept.row import Row
from gateway.cache.semantic.tier import Semantic
from gateway.cache.semantic.weights import NotInstalled
from gateway.core.clock import Clock
from gateway.store.sqlite.meanings import SqliteMeanings
from tests.cache.semantic.worker import (
    EARNS,
    INSTALL,
    INSTALL_TOO,
    ORG,
    OTHER_ORG,
    PEPPER,
    SERVES,
    TARGET,
    Shared,
    Sometimes,
    Words,
    asked,
    document,
    kept,
    looked,
    name,
    ready,
    step,
    verdicts,
    worker,
)

Starts = Callable[..., Awaitable[Semantic]]


@pytest.fixture
async def shares(tmp_path: Path) -> AsyncIterator[SqliteMeanings]:
    shares = SqliteMeanings(tmp_path, Clock())
    yield shares
    await shares.close()


@pytest.fixture
async def starts(shares: SqliteMeanings) -> AsyncIterator[Starts]:
    """Starts one more worker on the store."""
    started: list[Semantic] = []

    async def starts(**parts: Any) -> Semantic:
        one = worker(parts.pop("shares", shares), **parts)
        started.append(one)
        return await ready(one)

    yield starts
    for one in started:
        await one.close()


async def test_an_answer_is_served_to_the_question_in_other_words(starts: Starts) -> None:
    one = await starts()
    first = await kept(one, INSTALL)
    assert (first.verdict, first.reason, first.question) == ("none", "no_neighbour", INSTALL)

    found = await looked(one, asked(INSTALL_TOO))

    assert (found.verdict, found.name, found.neighbour, found.question) == ("serve", name(1), INSTALL, INSTALL_TOO)
    assert found.similarity == pytest.approx(1.0, abs=0.01)
    assert found.reason in REASONS


async def test_a_hit_makes_no_entry(starts: Starts) -> None:
    one = await starts()
    await kept(one, INSTALL)
    hit = await looked(one, asked(INSTALL_TOO))

    await one.keep(hit, name(2), time.time() + 99, b"{}")

    assert one.figures()["entries"] == 1


async def test_what_is_kept_by_one_worker_is_found_by_the_others_and_after_a_restart(starts: Starts) -> None:
    one, other = await starts(), await starts()
    await kept(one, INSTALL)
    await step(other)

    assert (await looked(other, asked(INSTALL_TOO))).name == name(1)
    assert (await looked(await starts(), asked(INSTALL_TOO))).name == name(1)


@pytest.mark.parametrize(
    "other",
    [
        asked(INSTALL_TOO, scope=("team", ORG, "other")),
        asked(INSTALL_TOO, scope=("key", ORG, "search", "k1")),
        asked(INSTALL_TOO, org=OTHER_ORG),
        asked(INSTALL_TOO, target=replace(TARGET, model="gpt-4o")),
        asked(INSTALL_TOO, target=replace(TARGET, template="t@2")),
        asked(INSTALL_TOO, target=replace(TARGET, deployments=(("openai", "gpt"),))),
        asked(INSTALL_TOO, before=[{"role": "system", "content": "Be brief."}]),
        asked(INSTALL_TOO, temperature=0.1),
        asked(INSTALL_TOO, response_format={"type": "json_object"}),
        asked(INSTALL_TOO, max_tokens=5),
    ],
)
async def test_another_partition_is_never_seen(starts: Starts, other: Asked) -> None:
    one = await starts()
    await kept(one, INSTALL)

    assert (await looked(one, other)).verdict == "none"


async def test_the_last_turn_is_found_within_the_same_history_and_never_across(starts: Starts) -> None:
    one = await starts()
    history = [{"role": "user", "content": "I use Linux."}, {"role": "assistant", "content": "Good."}]
    others = [
        [{"role": "user", "content": "I use Linux!"}, history[1]],
        [history[0], {"role": "assistant", "content": "Good!"}],
        [*history, *history],
        [],
    ]
    await kept(one, INSTALL, before=history)

    assert (await looked(one, asked(INSTALL_TOO, before=history))).verdict == "serve"
    assert await verdicts(one, [asked(INSTALL_TOO, before=other) for other in others]) == ["none"] * 4
    assert (await looked(one, asked("Why does it fail on Ubuntu servers?", before=history))).reason == "points_back"


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (asked("How do I reset my account password?"), "personal"),
        (asked(INSTALL, seed=1), "needs_exactness"),
        (asked(INSTALL, tools=[{"type": "function"}]), "has_tools"),
        (asked("如何重置 PostgreSQL 的密码 Ubuntu?"), "foreign_script"),
        (asked("\ud800 lone surrogates install Ubuntu?"), "foreign_script"),
        (asked("long " * 200), "too_long"),
        (asked(""), "too_short"),
    ],
)
async def test_what_is_not_eligible_is_not_asked_for_and_not_kept(starts: Starts, call: Asked, reason: str) -> None:
    one = await starts()

    found = await one.look(call)
    await one.keep(found, name(1), time.time() + 99)

    assert (found.verdict, found.reason, found.question) == ("none", reason, "")
    assert one.figures()["entries"] == 0


async def test_the_guard_says_what_keeps_a_near_question_apart(starts: Starts) -> None:
    one = await starts()
    await kept(one, "How do I install PostgreSQL 15 on Ubuntu servers with all the extensions and tools?")

    found = await looked(
        one, asked("How do I install PostgreSQL 16 on Ubuntu servers with all the extensions and tools?")
    )

    assert (found.verdict, found.reason) == ("none", "guard_number")
    assert one.state()[0]["near_misses"][-1]["what"] == "guard_number"


async def test_beside_another_answer_nothing_is_served_where_answers_repeat(starts: Starts) -> None:
    one = await starts()
    await kept(one, INSTALL, 1, answer="billing")
    await one.keep(
        replace(await looked(one, asked(INSTALL_TOO)), verdict="pass"),
        name(2),
        time.time() + 99,
        b'{"choices":[{"message":{"content":"technical"}}]}',
    )

    assert (await looked(one, asked("How to install PostgreSQL on Ubuntu?"))).reason == "contested"


async def test_what_has_expired_is_not_found(starts: Starts) -> None:
    now = time.time()
    clock = Clock(now=lambda: now)
    one = await starts(clock=clock)
    await kept(one, INSTALL, expires=now + 50)
    await kept(one, INSTALL, 2, rule=replace(SERVES, ttl=70), scope=("key", ORG, "", "k"))
    assert (await looked(one, asked(INSTALL_TOO))).verdict == "serve"

    now += 60
    assert (await looked(one, asked(INSTALL_TOO))).verdict == "none"
    assert (await looked(one, asked(INSTALL_TOO, scope=("key", ORG, "", "k")))).verdict == "serve"
    now += 20
    assert (await looked(one, asked(INSTALL_TOO, scope=("key", ORG, "", "k")))).verdict == "none"


async def test_a_reported_entry_is_gone_everywhere_and_counts_as_a_wrong_hit(starts: Starts) -> None:
    one, other = await starts(), await starts()
    await kept(one, INSTALL)
    await step(other)
    assert await verdicts(other, [asked(INSTALL_TOO)]) == ["serve"]

    await other.report(name(1), bad=True)
    await step(one, other)

    assert await verdicts(other, [asked(INSTALL_TOO)]) == ["none"]
    assert await verdicts(one, [asked(INSTALL_TOO)]) == ["none"]
    await step(one)
    assert [route["wrong"] for route in (*one.state(), *other.state())] == [1, 1]


async def test_a_report_leaves_the_answer_that_has_taken_the_place_of_the_wrong_one(starts: Starts) -> None:
    one = await starts()
    await kept(one, INSTALL)
    assert await verdicts(one, [asked(INSTALL_TOO)]) == ["serve"]

    await one.report(name(1), bad=True, is_replaced=True)

    assert await verdicts(one, [asked(INSTALL_TOO)]) == ["serve"]
    assert [route["wrong"] for route in one.state()] == [1]


async def test_a_report_by_a_worker_that_did_not_serve_it_counts_too(starts: Starts) -> None:
    one, other = await starts(), await starts()
    await kept(one, INSTALL)
    await step(other)
    await verdicts(one, [asked(INSTALL_TOO)])
    await verdicts(other, [asked("Which languages does Django use?")])

    await other.report(name(1), bad=True)
    await other.report(name(1), bad=True)
    await other.report(name(9), bad=True)

    assert [route["wrong"] for route in other.state()] == [1]


async def test_praise_changes_nothing(starts: Starts) -> None:
    one = await starts()
    await kept(one, INSTALL)

    await one.report(name(1), bad=False)

    assert await verdicts(one, [asked(INSTALL_TOO)]) == ["serve"]
    assert one.figures()["reported_good"] == 1


async def test_forgotten_entries_are_gone_everywhere_with_their_texts(starts: Starts, tmp_path: Path) -> None:
    one, other = await starts(), await starts()
    await kept(one, INSTALL, rule=EARNS)
    await kept(one, INSTALL, 2, rule=EARNS, org=OTHER_ORG)
    await step(other)
    assert await verdicts(other, [asked(INSTALL_TOO, rule=EARNS)]) == ["pass"]
    assert other.state()[0]["near_misses"]

    await other.forget([name(1), name(7)])
    await step(one)

    assert await verdicts(one, [asked(INSTALL_TOO, rule=EARNS)]) == ["none"]
    assert not other.state()[0]["near_misses"]
    await other.forget_org(OTHER_ORG)
    await step(one)
    assert one.figures()["entries"] == other.figures()["entries"] == 0
    logged, _ = await SqliteMeanings(tmp_path, Clock()).neighbours.after("", limit=99)
    assert [one.value for one in logged if one.value] == []


async def test_nobody_waits_for_the_embedder_to_load(shares: SqliteMeanings) -> None:
    goes_on = asyncio.Event()
    loop = asyncio.get_running_loop()

    def load() -> Embedder:
        asyncio.run_coroutine_threadsafe(goes_on.wait(), loop).result()
        return Words()

    one = worker(shares, load=load)
    assert (await one.look(asked())).reason in ("loading", "busy", "slow")
    goes_on.set()
    await ready(one)
    await kept(one, INSTALL)

    assert (await looked(one, asked(INSTALL_TOO))).verdict == "serve"
    await one.close()


async def test_nobody_waits_for_an_embedder_that_hangs(shares: SqliteMeanings, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    class Hangs(Words):
        def embed(self, text: str) -> Any:
            released.wait()
            return super().embed(text)

    one, other = await ready(worker(shares, load=Hangs)), await ready(worker(shares))
    await kept(other, INSTALL)
    await step(one)
    monkeypatch.setattr("gateway.cache.semantic.tier.LIMIT", 0.01)

    assert (await one.look(asked(INSTALL_TOO))).reason == "slow"

    released.set()
    monkeypatch.setattr("gateway.cache.semantic.tier.LIMIT", 30.0)
    assert (await looked(one, asked(INSTALL_TOO))).verdict == "serve"
    await one.close()
    await other.close()


async def test_without_its_weights_it_finds_nothing_and_says_so(starts: Starts) -> None:
    def load() -> Embedder:
        raise NotInstalled("install one of: x")

    one, other = await starts(load=load), await starts()
    await kept(other, INSTALL)
    await step(one)

    assert (await looked(one, asked(INSTALL_TOO))).reason == "missing"
    assert (await kept(one, "Which languages does Django use?", 5)).reason == "no_neighbour"
    assert one.figures()["not_kept_missing"] == 1


async def test_a_row_that_was_written_by_a_stranger_or_damaged_is_not_taken(
    starts: Starts, shares: SqliteMeanings
) -> None:
    one = await starts()
    await kept(one, INSTALL)
    (logged,), _ = await shares.neighbours.after("", limit=9)
    assert logged.value is not None
    strangers = [
        b"",
        b"\x80\x04\x95pickle",
        logged.value[:-1],
        logged.value[:-1] + bytes([logged.value[-1] ^ 1]),
        b"x" * 70_000,
    ]
    for number, value in enumerate(strangers, 10):
        await shares.neighbours.add(name(number), value, expires=time.time() + 99)
    await shares.neighbours.add(name(20), logged.value, expires=time.time() + 99)  # whole, and moved
    for number, vector in enumerate((b"", b"\x00" * 8, b"\xff\x7f" * 4, b"odd"), 30):  # nothing, 0, NaN
        row = Row(b"p", "support", "text", vector, time.time() + 99)
        value = rows.write(row, name=name(number), pepper=PEPPER)
        await shares.neighbours.add(name(number), value, expires=time.time() + 99)

    await step(one)

    assert one.figures()["entries"] == 1
    assert one.figures()["damaged"] == len(strangers) + 1 + 4


async def test_an_entry_of_another_organisation_is_never_a_candidate(starts: Starts, shares: SqliteMeanings) -> None:
    """Whatever a row says of its partition."""
    one = await starts()
    found = await kept(one, INSTALL)
    await one.forget([name(1)])
    assert found.partition
    vector = rows.pack(Words().embed(INSTALL))  # type: ignore[arg-type]
    row = Row(found.partition, "support", INSTALL, vector, time.time() + 99)
    foreign = name(1, OTHER_ORG)
    await shares.neighbours.add(foreign, rows.write(row, name=foreign, pepper=PEPPER), expires=time.time() + 99)
    await step(one)

    assert (await looked(one, asked(INSTALL_TOO))).verdict == "none"
    await one.keep(found, foreign, time.time() + 99)
    assert one.figures()["entries"] == 1


async def test_a_keep_that_is_cancelled_anywhere_leaves_all_or_nothing(starts: Starts) -> None:
    one, other = await starts(), await starts()
    found = await looked(one, asked(INSTALL))
    for steps in range(12):
        task = asyncio.create_task(one.keep(found, name(1), time.time() + 99, b"{}"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await step(one, other)

        seen = {(await looked(each, asked(INSTALL_TOO))).verdict for each in (one, other)}
        assert len(seen) == 1
        await one.forget([name(1)])
        await step(one, other)
    await one.keep(found, name(1), time.time() + 99, b"{}")

    assert (await looked(one, asked(INSTALL_TOO))).verdict == "serve"


async def test_too_many_at_once_are_turned_away_and_not_kept_waiting(starts: Starts) -> None:
    one = await starts()
    await kept(one, INSTALL)

    found = await asyncio.gather(*(one.look(asked(INSTALL_TOO)) for _ in range(300)))

    assert {each.reason for each in found} <= {"near", "busy", "slow"}
    assert any(each.reason == "busy" for each in found)
    assert (await looked(one, asked(INSTALL_TOO))).verdict == "serve"


async def test_a_store_that_is_away_is_borne(starts: Starts, shares: SqliteMeanings) -> None:
    log = Sometimes(shares.neighbours)
    one = await starts(shares=Shared(shares, neighbours=log))
    await kept(one, INSTALL)
    log.is_away = True
    found = await kept(one, "Which languages does Django use?", 2)
    await one.forget([name(2)])
    await one.forget_org(OTHER_ORG)

    assert found.verdict == "none"
    assert one.figures()["not_kept_store"] == 1
    assert one.figures()["not_forgotten"] == 2
    assert (await looked(one, asked(INSTALL_TOO))).verdict == "serve"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=400) | st.text("?'\"<>{}[]()\\|`$\x00\n @A1.,-", max_size=400))
async def test_a_text_is_only_a_text(starts: Starts, text: str) -> None:
    one = await starts()
    found = await looked(one, asked(text))
    await one.keep(found, name(1), time.time() + 99, text.encode("utf-8", "replace"))
    again = await looked(one, asked(text))

    assert again.verdict in ("none", "serve")
    assert again.reason in REASONS
    await one.forget([name(1)])


async def test_the_one_that_is_off_finds_and_keeps_nothing() -> None:
    NO_SEMANTIC.begin(SERVES)
    found = await NO_SEMANTIC.look(asked())
    await NO_SEMANTIC.keep(found, name(1), 1.0)
    await NO_SEMANTIC.learn(found, b"", b"")
    await NO_SEMANTIC.report(name(1), bad=True)
    await NO_SEMANTIC.forget([name(1)])
    await NO_SEMANTIC.forget_org(ORG)
    await NO_SEMANTIC.close()

    assert (found.verdict, found.reason) == ("none", "off")
    assert NO_SEMANTIC.state() == []
    assert NO_SEMANTIC.figures() == {}


async def test_what_others_forget_is_taken_from_the_examples_too(starts: Starts) -> None:
    one, other = await starts(), await starts()
    await kept(one, INSTALL, rule=EARNS)
    assert await verdicts(one, [asked(INSTALL_TOO, rule=EARNS)]) == ["pass"]
    await step(other)

    await other.forget([name(1)])
    await step(one)

    assert one.state()[0]["near_misses"] == []


async def test_an_embedder_whose_file_is_broken_is_missing_and_not_loading_for_ever(shares: SqliteMeanings) -> None:
    def load() -> Embedder:
        raise _Foreign("protobuf")

    one = worker(shares, load=load)
    one.begin(SERVES)
    await asyncio.gather(one._local.start(), return_exceptions=True)
    await one._replica.catch_up()
    await one.keep(await looked(one, asked(INSTALL)), name(1), time.time() + 99)

    assert one.figures()["not_kept_missing"] == 1
    await one.close()


async def test_what_was_learnt_while_the_store_was_away_is_written_later(
    shares: SqliteMeanings, starts: Starts
) -> None:
    earned = Sometimes(shares.earned)
    one = await starts(shares=Shared(shares, earned=earned), random=lambda: 0.0)
    await kept(one, INSTALL)
    found = await looked(one, asked(INSTALL_TOO))
    earned.is_away = True
    await one.learn(found, document("a"), document("b"))
    await one._routes.flush()
    earned.is_away = False

    await one._routes.flush()

    other = await starts()
    await looked(other, asked(INSTALL_TOO))
    await step(other)
    assert [state["wrong"] for state in other.state()] == [1]


async def test_no_call_ends_by_an_embedder_that_fails(shares: SqliteMeanings) -> None:
    class Broken(Words):
        def embed(self, text: str) -> Any:
            raise _Foreign("the runtime's own")

    one, other = await ready(worker(shares, load=Broken)), await ready(worker(shares))
    await kept(other, INSTALL)
    await step(one)

    found = await looked(one, asked(INSTALL_TOO))
    await one.keep(found, name(2), time.time() + 99)

    assert (found.verdict, found.reason) == ("none", "failed")
    assert one.figures()["failed"] == 2
    await one.close()
    await other.close()


class _Foreign(Exception):
    """What a library of others may raise."""
