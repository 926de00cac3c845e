from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from gateway.auth.keyring import REFUSALS, Keyring
from gateway.auth.tenants import Organisation, Tenants
from gateway.auth.virtual_key import mint, ready_made_admin_key, ready_made_key, virtual_key
from gateway.auth.wanted import Wanted
from gateway.core.clock import Clock
from gateway.core.errors import Forbidden, GatewayError, Overloaded, Unauthenticated
from gateway.core.secret import Secret
from gateway.core.tasks import Tasks
from gateway.core.tenant import Tenant, VirtualKey

PEPPER = Secret("a pepper for the tests")
ANYONE = Tenants()


@dataclass
class Shelf:
    """A key store in memory that can go away and counts how often it was asked."""

    keys: dict[str, tuple[int, VirtualKey]] = field(default_factory=dict)
    change: int = 0
    asked: int = 0
    away: bool = False
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answering.set()

    async def load(self, *, since: int) -> tuple[int, Sequence[VirtualKey]]:
        self.asked += 1
        await self.answering.wait()
        if self.away:
            raise Overloaded("away", code="store_unavailable")
        return self.change, [key for change, key in self.keys.values() if change > since]

    def put(self, key: VirtualKey) -> None:
        self.change += 1
        self.keys[key.id] = (self.change, key)

    def create(self, *, name: str = "", tenant: str = "acme", expires: float | None = None) -> Secret:
        key, text = mint(Wanted(name=name, tenant=tenant, expires=expires), PEPPER, now=0.0)
        self.put(key)
        return text

    def revoke(self, text: Secret) -> None:
        id = text.reveal()[9:19]
        self.put(replace(self.keys[id][1], revoked=True))


@dataclass
class Time:
    """A clock that runs as usual and can be put forward."""

    ahead: float = 0.0

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: time.monotonic() + self.ahead, now=lambda: time.time() + self.ahead)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def time_passes() -> Time:
    return Time()


@pytest.fixture
async def keyring(shelf: Shelf, time_passes: Time) -> AsyncIterator[Keyring]:
    tasks = Tasks()
    standing = virtual_key(ready_made_key(PEPPER), Wanted(name="ready-made"), PEPPER)
    yield Keyring(shelf, PEPPER, tasks=tasks, standing=[standing], clock=time_passes.clock())
    await tasks.close()


async def refused(keyring: Keyring, credential: Secret | None) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await keyring.identify(credential, ANYONE)
    return caught.value


async def test_a_key_just_created_works_at_once(keyring: Keyring, shelf: Shelf) -> None:
    for _ in range(3):
        text = shelf.create(name="ci", tenant="acme/search")

        tenant = await keyring.identify(text, ANYONE)

        assert tenant == Tenant("acme", "search", text.reveal()[9:19], "ci")


async def test_a_known_key_is_identified_without_asking_the_store_or_waiting(keyring: Keyring, shelf: Shelf) -> None:
    text = shelf.create()
    first = await keyring.identify(text, ANYONE)

    identifying = keyring.identify(text, ANYONE)
    with pytest.raises(StopIteration) as done:
        identifying.send(None)

    assert done.value.value is first
    assert shelf.asked == 1


async def test_unknown_revoked_expired_and_malformed_keys_get_the_same_answer(keyring: Keyring, shelf: Shelf) -> None:
    revoked, expired = shelf.create(), shelf.create(expires=1.0)
    shelf.revoke(revoked)
    unknown = mint(Wanted(), PEPPER, now=0.0)[1]
    shapeless = [
        Secret(text) for text in ("", "x", "sk-llmgw-", "Bearer", "a" * 100_000, "\udc80", "'; DROP TABLE keys")
    ]

    answers = [await refused(keyring, each) for each in (None, unknown, revoked, expired, *shapeless)]

    assert {type(each) for each in answers} == {Unauthenticated}
    assert {(e.status, e.type, e.code, e.param, e.message) for e in answers} == {
        (401, "invalid_request_error", "invalid_api_key", None, "Incorrect API key provided.")
    }


async def test_junk_never_reaches_the_store(keyring: Keyring, shelf: Shelf) -> None:
    good = shelf.create().reveal()

    for junk in ("", "sk-other", good[:-1], good[:-1] + "-", good + "x", good.replace("s", "S", 1)):
        await refused(keyring, Secret(junk))

    assert shelf.asked == 0


async def test_many_unknown_keys_at_once_ask_the_store_once(keyring: Keyring, shelf: Shelf) -> None:
    unknown = [mint(Wanted(), PEPPER, now=0.0)[1] for _ in range(200)]

    await asyncio.gather(*(refused(keyring, each) for each in unknown))

    assert shelf.asked == 1


async def test_a_key_that_was_refused_is_refused_again_without_asking(keyring: Keyring, shelf: Shelf) -> None:
    unknown = mint(Wanted(), PEPPER, now=0.0)[1]

    for _ in range(50):
        await refused(keyring, unknown)

    assert shelf.asked == 1


async def test_the_memory_of_refused_keys_is_bounded(keyring: Keyring) -> None:
    for number in range(REFUSALS + 10):
        keyring._refuse(number.to_bytes(4, "big"))

    assert len(keyring._refused) == REFUSALS


async def test_a_revoked_key_is_refused_after_the_next_refresh(keyring: Keyring, shelf: Shelf) -> None:
    text = shelf.create()
    await keyring.identify(text, ANYONE)
    shelf.revoke(text)

    await keyring.refresh()

    assert isinstance(await refused(keyring, text), Unauthenticated)


async def test_a_key_expires_by_itself(keyring: Keyring, shelf: Shelf, time_passes: Time) -> None:
    text = shelf.create(expires=time.time() + 60)
    await keyring.identify(text, ANYONE)

    time_passes.ahead = 61.0

    assert isinstance(await refused(keyring, text), Unauthenticated)


async def test_with_the_store_away_an_unknown_key_is_never_called_wrong(keyring: Keyring, shelf: Shelf) -> None:
    unknown = mint(Wanted(), PEPPER, now=0.0)[1]
    shelf.away = True

    error = await refused(keyring, unknown)

    assert (error.status, error.type, error.code) == (503, "server_error", "auth_unavailable")


async def test_a_remembered_refusal_ends_when_the_store_goes_away(
    keyring: Keyring, shelf: Shelf, time_passes: Time
) -> None:
    unknown = mint(Wanted(), PEPPER, now=0.0)[1]
    await refused(keyring, unknown)

    shelf.away = True
    time_passes.ahead = 5.0

    assert (await refused(keyring, unknown)).code == "auth_unavailable"


async def test_a_store_that_does_not_answer_holds_nobody_up(keyring: Keyring, shelf: Shelf) -> None:
    shelf.answering.clear()

    error = await refused(keyring, mint(Wanted(), PEPPER, now=0.0)[1])

    assert error.code == "auth_unavailable"
    shelf.answering.set()


async def test_known_keys_are_served_while_the_store_is_away_but_not_for_ever(
    keyring: Keyring, shelf: Shelf, time_passes: Time
) -> None:
    text = shelf.create()
    await keyring.identify(text, ANYONE)
    shelf.away = True

    time_passes.ahead = 290.0
    assert (await keyring.identify(text, ANYONE)).org == "acme"
    time_passes.ahead = 310.0
    assert (await refused(keyring, text)).code == "auth_unavailable"


async def test_a_store_that_says_nothing_changed_keeps_keys_fresh(
    keyring: Keyring, shelf: Shelf, time_passes: Time
) -> None:
    text = shelf.create()
    await keyring.identify(text, ANYONE)

    time_passes.ahead = 310.0
    keyring.confirm(time.monotonic() + 310.0)

    assert (await keyring.identify(text, ANYONE)).org == "acme"


async def test_a_standing_key_needs_no_store(keyring: Keyring, shelf: Shelf, time_passes: Time) -> None:
    shelf.away = True
    time_passes.ahead = 1e6

    for _ in range(2):
        assert (await keyring.identify(ready_made_key(PEPPER), ANYONE)).key_name == "ready-made"


async def test_an_admin_key_makes_no_calls(keyring: Keyring) -> None:
    error = await refused(keyring, ready_made_admin_key(PEPPER))

    assert isinstance(error, Forbidden)
    assert (error.status, error.code) == (403, "not_found")


async def test_a_new_policy_is_obeyed_from_the_next_call_on(keyring: Keyring, shelf: Shelf) -> None:
    text = shelf.create(tenant="acme")
    await keyring.identify(text, Tenants({"acme": Organisation("acme")}, declared=True))

    with pytest.raises(Forbidden):
        await keyring.identify(text, Tenants({"acme": Organisation("acme", blocked=True)}, declared=True))

    narrowed = Tenants({"acme": Organisation("acme", models=("a",))}, declared=True)
    assert (await keyring.identify(text, narrowed)).models == (("a",),)


async def test_a_store_that_was_put_back_in_time_is_read_anew(keyring: Keyring, shelf: Shelf) -> None:
    kept, lost = shelf.create(), shelf.create()
    await keyring.identify(lost, ANYONE)
    del shelf.keys[lost.reveal()[9:19]]
    shelf.change = 1

    await keyring.refresh()

    assert (await keyring.identify(kept, ANYONE)).org == "acme"
    assert isinstance(await refused(keyring, lost), Unauthenticated)


async def test_no_credential_appears_in_an_error(keyring: Keyring) -> None:
    text = mint(Wanted(), PEPPER, now=0.0)[1]

    error = await refused(keyring, text)

    assert text.reveal()[9:] not in repr(error) + error.message
