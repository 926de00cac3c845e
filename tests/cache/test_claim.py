"""What is answered from what was kept, and for whom; what is not; and that nothing the store does harms a call."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.cache import flights, hits
from gateway.cache.flights import Flight, Joined
from gateway.cache.key import Sharing
from gateway.core.deployment import Deployment, Model
from gateway.core.errors import Unavailable
from gateway.core.tenant import Tenant
from tests.cache.shelves import (
    ACME,
    BODY,
    DOCUMENT,
    ELSEWHERE,
    MODEL,
    PROVIDER,
    Back,
    Drawer,
    Held,
    Stage,
    Told,
    call,
)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture(autouse=True)
def graceless(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that has been kept is found in the store, not with those under way."""
    monkeypatch.setattr(flights, "GRACE", 0.0)


async def settled(stage: Stage) -> None:
    await stage.settled()
    await asyncio.sleep(0.001)


async def twice(stage: Stage, first: dict[str, Any], second: dict[str, Any], **options: Any) -> str:
    """The result of the second call."""
    await stage.answer(call(**first))
    await settled(stage)
    claim, _ = await stage.answer(call(**second), **options)
    return claim.result


async def test_the_same_call_is_answered_once(stage: Stage) -> None:
    first, got = await stage.answer()
    await settled(stage)
    second, again = await stage.answer()

    assert (first.result, first.reason, second.result, second.kind) == ("miss", "new", "hit", "exact")
    assert stage.asked == 1
    assert second.saved is not None
    assert second.saved[0] == 50
    one, other = orjson.loads(got), orjson.loads(again)
    assert one.pop("id") != other.pop("id")
    assert one.pop("created") != other.pop("created")
    assert one == other


async def test_without_a_rule_nothing_is_kept(stage: Stage) -> None:
    stage.rules = replace(stage.rules, default=None)

    assert await twice(stage, {}, {}) == "bypass"
    assert not stage.drawer.kept


@pytest.mark.parametrize("sharing", Sharing)
@pytest.mark.parametrize(
    ("tenant", "widest"),
    [
        (ACME, "key"),
        (replace(ACME, key_id="k2"), "team"),
        (replace(ACME, key_id="k2", team="sales"), "org"),
        (replace(ACME, key_id="k2", team=None), "org"),
        (replace(ACME, org="globex"), None),
    ],
)
async def test_an_answer_is_shared_as_far_as_the_policy_says(
    stage: Stage, sharing: Sharing, tenant: Tenant, widest: str | None
) -> None:
    stage.rule(sharing=sharing)
    order = ["key", "team", "org"]
    is_shared = widest is not None and order.index(sharing.value) >= order.index(widest)

    assert await twice(stage, {}, {}, tenant=tenant) == ("hit" if is_shared else "miss")


async def test_a_model_that_is_answered_by_another_deployment_has_other_answers(stage: Stage) -> None:
    await stage.answer()
    await settled(stage)
    other = Model("small", (Deployment("lab/small", PROVIDER, "small-2", None),))

    async with stage.claim(call(), model=other) as claim:
        assert claim.hit is None


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({"temperature": 1.5}, {}),
        ({"n": 2}, {}),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, {}),
        ({}, {"held": Held(is_clamped=True)}),
        ({}, {"held": Held(is_stopped=True)}),
        ({}, {"deployment": ELSEWHERE}),
        ({}, {"body": BODY.replace(b'"stop"', b'"length"')}),
        ({}, {"body": BODY.replace(b'"stop"', b'"content_filter"')}),
        ({}, {"body": BODY.replace(b'"Paris"', b'""')}),
        ({"headers": {b"cache-control": b"no-store"}}, {}),
    ],
)
async def test_what_is_not_kept(stage: Stage, change: dict[str, Any], options: dict[str, Any]) -> None:
    await stage.answer(call(**change), **options)
    await settled(stage)

    assert not stage.drawer.kept
    assert not len(stage.cache.flights)


async def test_a_client_may_want_a_new_answer_which_is_kept_then(stage: Stage) -> None:
    header = {"headers": {b"cache-control": b"no-cache"}}

    assert await twice(stage, {}, header) == "miss"
    await settled(stage)
    assert (await stage.answer())[0].result == "hit"
    assert stage.asked == 2


def saying(text: str) -> bytes:
    return BODY.replace(b"Paris", text.encode())


@pytest.mark.parametrize("ends_first", ["the new one", "the old one"])
async def test_a_new_answer_is_kept_though_an_identical_call_is_under_way(stage: Stage, ends_first: str) -> None:
    old_goes_on, new_goes_on = asyncio.Event(), asyncio.Event()
    old = asyncio.ensure_future(stage.answer(body=saying("old"), pause=old_goes_on))
    await asyncio.sleep(0.01)
    fresh = call(headers={b"cache-control": b"no-cache"})
    new = asyncio.ensure_future(stage.answer(fresh, body=saying("new"), pause=new_goes_on))
    await asyncio.sleep(0.01)
    late = asyncio.ensure_future(stage.answer())
    await asyncio.sleep(0.01)
    order = [(new_goes_on, new), (old_goes_on, old)]
    for goes_on, task in order if ends_first == "the new one" else reversed(order):
        goes_on.set()
        await task
        await settled(stage)

    assert stage.asked == 2
    assert (await new)[0].reason == "no_cache"
    assert b"new" in (await late)[1]
    claim, got = await stage.answer()
    assert (claim.kind, b"new" in got) == ("exact", True)


async def test_the_old_answer_is_kept_if_the_new_one_fails(stage: Stage) -> None:
    pause = asyncio.Event()
    old = asyncio.ensure_future(stage.answer(body=saying("old"), pause=pause))
    await asyncio.sleep(0.01)
    with pytest.raises(Unavailable):
        async with stage.claim(call(headers={b"cache-control": b"no-cache"})):
            raise Unavailable("it is away")
    pause.set()
    await old
    await settled(stage)

    assert b"old" in (await stage.answer())[1]
    assert stage.asked == 1


async def test_a_new_answer_is_kept_though_the_old_one_has_only_just_been_made(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flights, "GRACE", 60.0)
    await stage.answer()
    await stage.settled()
    first = dict(stage.drawer.kept)
    await stage.answer(call(headers={b"cache-control": b"no-cache"}), body=orjson.dumps({**DOCUMENT, "id": "second"}))
    await stage.settled()

    assert stage.drawer.kept.keys() == first.keys()
    assert stage.drawer.kept != first


async def test_orders_to_forget_kill_what_was_made_before_them_and_nothing_made_after(stage: Stage) -> None:
    await stage.answer()
    await settled(stage)
    stage.told.order(team="search")

    claim, _ = await stage.answer()
    assert (claim.result, claim.reason) == ("miss", "purged")
    await settled(stage)
    assert (await stage.answer())[0].result == "hit"


async def test_an_answer_that_was_under_way_when_it_was_ordered_to_forget_is_forgotten(stage: Stage) -> None:
    pause = asyncio.Event()
    under_way = asyncio.ensure_future(stage.answer(pause=pause))
    await asyncio.sleep(0.01)
    stage.told.order(org="acme")
    pause.set()
    await under_way
    await settled(stage)

    assert (await stage.answer())[0].result == "miss"


@pytest.mark.parametrize("damage", [b"", b"garbage", b"lgc1" + bytes(99)])
async def test_what_cannot_be_trusted_is_a_miss(stage: Stage, damage: bytes) -> None:
    await stage.answer()
    await settled(stage)
    for name in stage.drawer.kept:
        stage.drawer.kept[name] = damage

    claim, _ = await stage.answer()
    assert (claim.result, claim.reason) == ("miss", "corrupt")


async def test_an_answer_moved_to_another_organisations_place_is_a_miss(stage: Stage) -> None:
    await stage.answer()
    await stage.answer(tenant=replace(ACME, org="globex"), body=BODY.replace(b"Paris", b"Lyon"))
    await settled(stage)
    ours, theirs = sorted(stage.drawer.kept)
    stage.drawer.kept[ours], stage.drawer.kept[theirs] = stage.drawer.kept[theirs], stage.drawer.kept[ours]

    assert (await stage.answer())[0].reason == "corrupt"


async def test_a_store_that_is_away_costs_nothing_but_the_hit() -> None:
    stage = Stage(Drawer(away=True))

    claim, got = await stage.answer()
    await settled(stage)

    assert (claim.result, claim.reason, got) == ("bypass", "store_away", BODY)


async def test_nothing_is_given_that_may_have_been_ordered_to_forget(stage: Stage) -> None:
    await stage.answer()
    await settled(stage)
    stage.told.current = False

    claim, _ = await stage.answer()
    assert (claim.result, claim.reason) == ("bypass", "unsure")


@pytest.mark.parametrize("first", [{}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}])
@pytest.mark.parametrize("second", [{}, {"stream": True}])
async def test_a_stream_and_a_document_are_one_answer(
    stage: Stage, first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert await twice(stage, first, second) == "hit"


async def test_identical_calls_under_way_are_one(stage: Stage) -> None:
    calls = [stage.answer(call(stream=True)) for _ in range(20)]
    claims = await asyncio.gather(*calls)

    assert stage.asked == 1
    assert sorted({(claim.result, claim.kind) for claim, _ in claims}, key=str) == [("hit", "joined"), ("miss", None)]
    assert {got for _, got in claims} == {claims[0][1]}
    assert all(claim.saved == (50, claim.saved[1]) for claim, _ in claims if claim.saved is not None)


async def test_a_late_call_gets_the_beginning_and_then_what_comes(stage: Stage) -> None:
    pause = asyncio.Event()
    leader = asyncio.ensure_future(stage.answer(call(stream=True), pause=pause))
    await asyncio.sleep(0.01)
    async with stage.claim(call(stream=True)) as claim:
        assert claim.hit is not None
        chunks = claim.hit.chunks()
        first = await anext(chunks)
        assert b"assistant" in first
        assert b"Paris" not in first
        pause.set()
        rest = [chunk async for chunk in chunks]
    assert b"Paris" in b"".join(rest)
    await leader


@pytest.mark.parametrize("stream", [True, False])
async def test_one_who_listened_knows_what_that_saved_however_soon_it_has_the_answer(
    stage: Stage, stream: bool
) -> None:
    pause = asyncio.Event()
    leader = asyncio.ensure_future(stage.answer(call(stream=stream), pause=pause))
    await asyncio.sleep(0.01)
    follower = asyncio.ensure_future(stage.answer(call(stream=stream)))
    await asyncio.sleep(0.01)
    pause.set()
    claim, _ = await follower
    await leader

    assert claim.kind == "joined"
    assert claim.saved is not None
    assert claim.saved[0] == 50


@pytest.mark.parametrize("kind", ["joined", "exact"])
async def test_one_who_leaves_early_has_saved_nothing_that_is_known(stage: Stage, kind: str) -> None:
    pause = asyncio.Event()
    leader = asyncio.ensure_future(stage.answer(pause=pause))
    await asyncio.sleep(0.01)
    if kind == "exact":
        pause.set()
        await leader
        await settled(stage)
    claim = stage.claim(call())
    await claim.__aenter__()
    assert claim.kind == kind
    left = asyncio.CancelledError()
    await claim.__aexit__(type(left), left, None)
    pause.set()
    await leader

    assert claim.saved is None


async def test_what_came_before_a_late_call_reaches_it_piece_by_piece() -> None:
    asked = call(stream=True)
    flight = Flight((True, False), 0)
    for _ in range(100):
        flight.add(b"x" * 10_000)
    flight.land(b"", cost=0, took=0)

    pieces = [piece async for piece in Joined(flight, asked, now=0).chunks()]
    assert sum(map(len, pieces)) == 1_000_000
    assert max(map(len, pieces)) < hits.PIECE + 10_000


async def test_a_kept_answer_is_streamed_piece_by_piece() -> None:
    message = {"role": "assistant", "content": "x" * 1_000_000}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    document = orjson.dumps({"object": "chat.completion", "choices": [choice]})

    pieces = [piece async for piece in hits.Rendered(document, call(stream=True), now=0).chunks()]
    assert max(map(len, pieces)) < hits.PIECE + 1000
    assert b"[DONE]" not in pieces[-1]


async def test_calls_that_want_it_in_another_form_wait_for_the_whole(stage: Stage) -> None:
    claims = await asyncio.gather(*[stage.answer(call(stream=number % 2 == 0)) for number in range(10)])

    assert stage.asked == 1
    documents = [orjson.loads(got) for claim, got in claims if not got.startswith(b"data:")]
    assert {document["choices"][0]["message"]["content"] for document in documents} == {"Paris"}


async def test_one_answer_that_is_not_kept_serves_those_of_its_form_and_the_others_share_another(stage: Stage) -> None:
    stage.rule(largest=10)
    await asyncio.gather(*[stage.answer(call(stream=number % 2 == 0)) for number in range(10)])

    assert stage.asked == 2


async def test_a_leader_that_is_gone_is_followed_by_another(stage: Stage) -> None:
    pause = asyncio.Event()

    async def leader() -> None:
        async with stage.claim(call()):
            await pause.wait()

    leading = asyncio.ensure_future(leader())
    await asyncio.sleep(0.01)
    following = [asyncio.ensure_future(stage.answer()) for _ in range(5)]
    await asyncio.sleep(0.01)
    leading.cancel()
    claims = await asyncio.gather(*following)

    assert stage.asked == 1
    assert sorted(claim.result for claim, _ in claims) == ["hit"] * 4 + ["miss"]


async def test_a_clamped_answer_is_nobody_elses(stage: Stage) -> None:
    pause = asyncio.Event()
    clamped = asyncio.ensure_future(stage.answer(held=Held(is_clamped=True), pause=pause))
    other = asyncio.ensure_future(stage.answer())
    claim, _ = await other
    pause.set()
    await clamped

    assert claim.result == "miss"
    assert stage.asked == 2


async def test_when_the_provider_fails_all_hear_it_once(stage: Stage) -> None:
    pause = asyncio.Event()

    async def leader() -> None:
        async with stage.claim(call()):
            await pause.wait()
            raise Unavailable("gone", status=502)

    leading = asyncio.ensure_future(leader())
    await asyncio.sleep(0.01)
    following = [asyncio.ensure_future(stage.answer()) for _ in range(5)]
    await asyncio.sleep(0.01)
    pause.set()
    results = await asyncio.gather(leading, *following, return_exceptions=True)

    assert all(isinstance(result, Unavailable) for result in results)
    assert len({id(result) for result in results}) == 6
    assert stage.asked == 0
    assert (await stage.answer())[0].result == "miss"


async def test_an_answer_that_breaks_off_breaks_off_for_those_who_listen(stage: Stage) -> None:
    pause = asyncio.Event()

    async def leader() -> None:
        async with stage.claim(call(stream=True)) as claim:
            claim.keep(b"data: {}\n\n")
            await pause.wait()
            raise Unavailable("gone", status=502)

    leading = asyncio.ensure_future(leader())
    await asyncio.sleep(0.01)
    following = asyncio.ensure_future(stage.answer(call(stream=True)))
    await asyncio.sleep(0.01)
    pause.set()
    results = await asyncio.gather(leading, following, return_exceptions=True)

    assert all(isinstance(result, Unavailable) for result in results)


async def test_a_client_that_leaves_ends_the_call_once_nobody_listens(stage: Stage) -> None:
    pause, reply, left = asyncio.Event(), Back(), []

    async def leader() -> None:
        async with stage.claim(call(), reply=reply):
            await pause.wait()

    leading = asyncio.ensure_future(leader())
    await asyncio.sleep(0.01)
    following = asyncio.ensure_future(stage.answer())
    await asyncio.sleep(0.01)
    assert reply.audience is not None
    assert reply.audience.listeners == 1
    reply.audience.leave = lambda: left.append(True)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    pause.set()
    await leading

    assert left == [True]


async def test_a_thousand_cancelled_calls_leave_nothing(stage: Stage) -> None:
    async def given_up(number: int) -> None:
        work = asyncio.ensure_future(stage.answer(call(stream=number % 3 == 0, seed=number % 7)))
        for _ in range(number % 11):
            await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    await asyncio.gather(*[given_up(number) for number in range(1000)])
    await settled(stage)
    stage.asked = 0
    claims = await asyncio.gather(*[stage.answer(call(seed=number % 7)) for number in range(70)])

    assert stage.asked <= 7
    assert all(orjson.loads(got)["choices"] == DOCUMENT["choices"] for _, got in claims)


async def test_a_reported_answer_is_gone_at_once_though_it_has_only_just_been_made(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flights, "GRACE", 60.0)
    await stage.answer()
    await stage.settled()
    hit, _ = await stage.answer()
    assert hit.result == "hit"

    assert await stage.cache.report(hit.entry, is_good=False, by_meaning=False)
    assert (await stage.answer())[0].result == "miss"


@pytest.mark.parametrize("which", ["the maker", "a hit"])
async def test_a_late_report_leaves_the_answer_that_has_taken_the_place(stage: Stage, which: str) -> None:
    made, _ = await stage.answer()
    await settled(stage)
    hit, _ = await stage.answer()
    judged = made if which == "the maker" else hit
    assert judged.answer is not None
    assert await stage.cache.report(judged.entry, is_good=False, by_meaning=False, answer=judged.answer)
    await stage.answer()
    await settled(stage)

    assert not await stage.cache.report(judged.entry, is_good=False, by_meaning=False, answer=judged.answer)
    newer, _ = await stage.answer()
    assert newer.result == "hit"
    assert newer.answer != judged.answer
    assert await stage.cache.report(newer.entry, is_good=False, by_meaning=False, answer=newer.answer)
    assert (await stage.answer())[0].result == "miss"


@pytest.mark.parametrize("which", ["the maker", "one that joined"])
async def test_a_report_reaches_an_answer_that_is_only_about_to_be_kept(stage: Stage, which: str) -> None:
    goes_on = asyncio.Event()
    making = asyncio.create_task(stage.answer(pause=goes_on))
    await asyncio.sleep(0)
    joining = asyncio.create_task(stage.answer())
    await asyncio.sleep(0.01)
    stage.drawer.is_kept.clear()
    goes_on.set()
    (made, _), (joined, _) = await asyncio.gather(making, joining)
    assert joined.kind == "joined"
    assert not stage.drawer.kept
    judged = made if which == "the maker" else joined

    reporting = asyncio.create_task(
        stage.cache.report(judged.entry, is_good=False, by_meaning=False, answer=judged.answer)
    )
    await asyncio.sleep(0.01)
    stage.drawer.is_kept.set()

    assert await reporting
    assert not stage.drawer.kept


async def test_two_workers_of_one_store_share_answers_but_not_flights() -> None:
    drawer, told = Drawer(), Told()
    one, other = Stage(drawer, told), Stage(drawer, told)
    await one.answer()
    await settled(one)

    assert (await other.answer())[0].result == "hit"
    assert MODEL.name == "small"


async def test_a_number_that_no_float_holds_is_passed_on_to_all_and_not_kept(stage: Stage) -> None:
    body = BODY.replace(b'"created":1', b'"created":1,"odd":1e999,"big":123456789012345678901234567890')
    answers = await asyncio.gather(*[stage.answer(body=body) for _ in range(3)])
    await settled(stage)

    assert stage.asked == 1
    assert all(b"1e999" in got and b"123456789012345678901234567890" in got for _, got in answers)
    assert not stage.drawer.kept
