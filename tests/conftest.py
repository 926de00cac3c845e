"""The cast of the whole-house tests: a gateway started by the app's own runner, a scripted provider, and a tenant."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
import uvloop

from gateway.app import Running, running
from gateway.budget.limits import Limits
from gateway.core.ledger.operations import Balance
from gateway.settings import Settings
from tests.alone import Turnstile, is_alone
from tests.faults.chaosprov import Chaosprov

POLICY = """
version: 1
providers:
  chaos:
    dialect: openai
    base_url: {provider}
    key: sk-chaos-canary
    allow_private: true
    timeouts: {{connect: 1s, headers: 2s, first_token: 2s, idle: 2s, total: 20s}}
  demo: {{dialect: demo}}
models:
  demo: {{use: demo/demo, price: {{in: 1, out: 2}}}}
  ok: {{use: chaos/ok, price: {{in: 1, out: 2}}}}
  "fault/*": {{use: "chaos/fault/*", price: {{in: 1, out: 2}}}}
"""


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the loop that production runs on."""
    return {"uvloop": uvloop.new_event_loop}


ROOM = pytest.StashKey[Turnstile]()


def pytest_configure(config: pytest.Config) -> None:
    """Of several workers, none runs a test while another runs one that is to be alone.

    Each gateway and client reads the authorities that it trusts, and a system's take 20 ms. Here they are one, and it has signed
    nothing.
    """
    os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "authority.pem")
    if hasattr(config, "workerinput"):
        config.stash[ROOM] = Turnstile(
            Path(config.getoption("basetemp")).parent
        )  # the one folder that all workers know


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files with tests that are to be alone come first, so that in the end no worker waits for another."""
    if ROOM in config.stash:
        first = {item.path for item in items if is_alone(item)}
        items.sort(key=lambda item: item.path not in first)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Outermost, so that the wait counts for no timeout."""
    room = item.config.stash.get(ROOM, None)
    if room is None:
        return (yield)
    room.enter(alone=is_alone(item))
    try:
        return (yield)
    finally:
        room.leave(next_alone=nextitem is not None and is_alone(nextitem))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test of what Redis answers, however busy the machine; how long a caller waits is said by store/test_redis.py."""
    monkeypatch.setattr("gateway.store.redis.server.LIMIT", 10.0)
    monkeypatch.setattr("gateway.store.redis.connect.SOCKET", 10.0)


@dataclass
class House:
    """A running gateway and where its policy lies."""

    worker: Running
    policies: Path
    data: Path

    @property
    def url(self) -> str:
        return self.worker.url

    @property
    def key(self) -> str:
        assert self.worker.key is not None
        return self.worker.key.reveal()

    async def records(self) -> list[Mapping[str, Any]]:
        """The durable records, oldest first."""
        page = await self.worker.journal.latest(limit=1000)
        return list(reversed(page.records))

    async def only_record(self) -> Mapping[str, Any]:
        """The one record there is; it may still be on its way."""
        while not (records := await self.records()):
            await asyncio.sleep(0.01)
        assert len(records) == 1
        return records[0]

    async def adopt(self, policy: str) -> None:
        """Adds a file to the policy and puts it into force."""
        (self.policies / "more.yaml").write_text(f"version: 1\n{policy}")
        await self.worker.watch.reload()
        assert self.worker.policy.last_error is None, self.worker.policy.last_error

    async def balances(self) -> dict[str, Balance]:
        """Every account, by name."""
        return {each.account: each for each in (await self.worker.budgets.balances(Limits()))[0]}

    def account(self) -> tuple[int, int]:
        """What the ready-made key's tenant has spent (nano-USD), and its calls under way."""
        tally = self.worker.budgets.tallies().get("default")
        return (tally.spent, tally.open) if tally else (0, 0)


def settings(policies: Path, data: Path, environment: Mapping[str, str] | None = None) -> Settings:
    return Settings(
        policies=policies,
        host="127.0.0.1",
        port=0,
        admin_host="127.0.0.1",
        admin_port=0,
        store="embedded",
        data=data,
        workers=1,
        share_port=False,
        drain_delay=0,
        drain_timeout=5,
        auth_max_stale=300,
        escrow=True,
        max_body=8 * 1024 * 1024,
        log_level="info",
        admin_key=None,
        environment=environment or {},
    )


@pytest.fixture
async def provider() -> AsyncIterator[Chaosprov]:
    async with Chaosprov() as provider:
        yield provider


@pytest.fixture
async def house(tmp_path: Path, provider: Chaosprov) -> AsyncIterator[House]:
    """After each test nothing may be held: no call under way, no upstream exchange open, no connection left behind."""
    policies, data = tmp_path / "policies", tmp_path / "data"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY.format(provider=provider.base_url))
    async with AsyncExitStack() as open_things:
        worker = await open_things.enter_async_context(running(settings(policies, data), records_to=None))
        yield House(worker, policies, data)
        await worker.server.drain(2)
        assert worker.pool.open_exchanges == 0
        assert all(tally.open == 0 for tally in worker.budgets.tallies().values())
        assert not worker.budgets.held(), "a call has ended and still holds money"
    async with asyncio.timeout(2):
        await provider.idle()


@pytest.fixture
async def sdk(house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client, as an application would make it, but without retries of its own."""
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=house.key, max_retries=0) as client:
        yield client
