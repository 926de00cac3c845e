"""The same Idempotency-Key gets the same answer, which is asked for and paid for once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.cache.answered import Given
from gateway.cache.hits import Hit, Replayed
from gateway.cache.replay import Replays
from gateway.core.bill import Bill
from gateway.core.call import Call, Operation
from gateway.core.claim import Claim, Conflict, Fresh, Pending, Stored
from gateway.core.errors import Conflict as CallConflict
from gateway.core.errors import Overloaded
from gateway.core.money import FREE
from gateway.core.tasks import Tasks
from gateway.core.tenant import Tenant
from gateway.core.usage import Usage

ACME = Tenant(org="acme", team=None, key_id="k1", key_name="ci")
TEXT = "text/event-stream; charset=utf-8"


FREE_OF_CHARGE = Bill(Usage(0, 0), 0)


class Shelf:
    """A store that says `found` to each claim, and remembers what it was told. While `away` it says nothing."""

    def __init__(self) -> None:
        self.found: Fresh | Pending | Conflict | Stored = Fresh(Claim("n", "t", "h"))
        self.away = False
        self.claimed: list[tuple[str, str, str]] = []
        self.finished: list[Stored] = []
        self.abandoned = 0

    async def claim(self, scope: str, key: str, body_hash: str) -> Fresh | Pending | Conflict | Stored:
        self._answer()
        self.claimed.append((scope, key, body_hash))
        return self.found

    async def renew(self, claim: Claim) -> bool:
        self._answer()
        return True

    async def finish(self, claim: Claim, answer: Stored) -> None:
        self._answer()
        self.finished.append(answer)

    async def abandon(self, claim: Claim) -> None:
        self._answer()
        self.abandoned += 1

    def _answer(self) -> None:
        if self.away:
            raise Overloaded("the store is away")


def call(key: str | None = "i1", body: bytes = b"{}", operation: Operation = Operation.CHAT) -> Call:
    return Call(id="r", operation=operation, received=0, model="m", body=body, fields={}, idempotency_key=key)


def answer(content_type: str) -> Given:
    given = Hit()
    given.content_type = content_type
    return given


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def replays(shelf: Shelf) -> AsyncIterator[Replays]:
    """After each test no task is left, the renewal of a lease included."""
    tasks = Tasks()
    yield Replays(shelf, tasks)
    await asyncio.sleep(0)
    assert len(tasks) == 0


async def test_a_call_without_a_key_is_not_looked_up(shelf: Shelf, replays: Replays) -> None:
    async with replays.claim(ACME, call(None)) as claim:
        claim.keep(b"x")
        await claim.complete(b"y", answer(TEXT), FREE_OF_CHARGE)

    assert claim.hit is None
    assert (shelf.claimed, shelf.finished, shelf.abandoned) == ([], [], 0)


async def test_an_answer_is_kept_with_every_byte_the_client_got(shelf: Shelf, replays: Replays) -> None:
    async with replays.claim(ACME, call()) as claim:
        assert claim.hit is None
        claim.keep(b"data: a\n\n")
        claim.keep(b"data: b\n\n")
        await claim.complete(b"data: [DONE]\n\n", answer(TEXT), FREE_OF_CHARGE)

    body = b"data: a\n\ndata: b\n\ndata: [DONE]\n\n"
    assert (shelf.finished, shelf.abandoned) == ([Stored(200, (("content-type", TEXT),), body)], 0)


async def test_an_answer_that_was_not_completed_frees_its_key(shelf: Shelf, replays: Replays) -> None:
    async def break_off() -> None:
        async with replays.claim(ACME, call()) as claim:
            claim.keep(b"data: a\n\n")
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await break_off()

    assert (shelf.finished, shelf.abandoned) == ([], 1)


async def test_a_client_that_leaves_frees_its_key_all_the_same(shelf: Shelf, replays: Replays) -> None:
    async def answer() -> None:
        async with replays.claim(ACME, call()):
            await asyncio.Event().wait()

    answering = asyncio.ensure_future(answer())
    while not shelf.claimed:
        await asyncio.sleep(0)
    answering.cancel()
    await asyncio.wait([answering])

    assert answering.cancelled()
    assert (shelf.finished, shelf.abandoned) == ([], 1)


@pytest.mark.parametrize(("size", "kept"), [(1024 * 1024, 1), (1024 * 1024 + 1, 0)])
async def test_an_answer_over_a_mebibyte_is_not_kept(shelf: Shelf, replays: Replays, size: int, kept: int) -> None:
    async with replays.claim(ACME, call()) as claim:
        claim.keep(b"x" * (size - 1))
        await claim.complete(b"x", answer(TEXT), FREE_OF_CHARGE)

    assert (len(shelf.finished), shelf.abandoned) == (kept, 1 - kept)


async def test_a_repeated_call_gets_the_kept_answer_for_nothing(shelf: Shelf, replays: Replays) -> None:
    shelf.found = Stored(200, (("content-type", TEXT),), b"data: a\n\n")

    async with replays.claim(ACME, call()) as claim:
        assert claim.hit is not None
        async with claim.hit as answer:
            chunks = [chunk async for chunk in answer.chunks()]

    assert chunks == [b"data: a\n\n"]
    assert (answer.is_stream, answer.content_type, answer.ending(5, Usage(0, 0)), answer.produced()) == (
        True,
        TEXT,
        b"",
        [],
    )
    assert (answer.usage, answer.deployment.price) == (Usage(0, 0), FREE)
    assert (shelf.finished, shelf.abandoned) == ([], 0)


def test_a_kept_document_is_not_a_stream() -> None:
    kept = Replayed(Stored(200, (("content-type", "application/json"),), b"{}"))

    assert (kept.is_stream, kept.content_type) == (False, "application/json")


@pytest.mark.parametrize("found", [Pending(), Conflict()])
async def test_a_key_that_is_in_use_or_was_used_otherwise_is_a_conflict(
    shelf: Shelf, replays: Replays, found: Pending | Conflict
) -> None:
    shelf.found = found

    with pytest.raises(CallConflict) as refused:
        async with replays.claim(ACME, call()):
            pytest.fail("the call was answered")

    assert (refused.value.status, refused.value.code) == (409, "idempotency_conflict")
    assert shelf.abandoned == 0


async def test_a_store_that_is_away_refuses_the_call_before_it_begins(shelf: Shelf, replays: Replays) -> None:
    shelf.away = True

    with pytest.raises(Overloaded):
        async with replays.claim(ACME, call()):
            pytest.fail("the call was answered")


async def test_a_store_that_goes_away_meanwhile_takes_nothing_from_the_answer(shelf: Shelf, replays: Replays) -> None:
    async with replays.claim(ACME, call()) as claim:
        shelf.away = True
        await claim.complete(b"{}", answer("application/json"), FREE_OF_CHARGE)

    assert shelf.finished == []


async def test_the_same_key_for_another_caller_body_or_operation_is_told_apart(shelf: Shelf, replays: Replays) -> None:
    other = Tenant(org="acme", team=None, key_id="k2", key_name="ci")
    for tenant, each in (
        (ACME, call()),
        (other, call()),
        (ACME, call(body=b"{ }")),
        (ACME, call(operation=Operation.EMBEDDINGS)),
        (ACME, call("i2")),
    ):
        async with replays.claim(tenant, each):
            pass

    assert [claim[:2] for claim in shelf.claimed] == [
        ("k1", "i1"),
        ("k2", "i1"),
        ("k1", "i1"),
        ("k1", "i1"),
        ("k1", "i2"),
    ]
    assert len({body_hash for _, _, body_hash in shelf.claimed}) == 3
