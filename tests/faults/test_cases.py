"""Every row of `cases/` holds. `LLMGW_SLOW_FAULTS=1` also runs the rows that wait for long deadlines, all at once."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.faults.case import Case, load
from tests.faults.chaosprov import Chaosprov
from tests.faults.gateway_process import GatewayUnderTest, serve
from tests.faults.harness import run
from tests.faults.pitfalls import pitfalls, policy

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = os.environ.get("LLMGW_SLOW_FAULTS") == "1"


@dataclass(frozen=True)
class Scene:
    """The provider, a gateway in front of it, and one more whose policy is strict."""

    provider: Chaosprov
    gateway: GatewayUnderTest
    strict: GatewayUnderTest

    def for_case(self, case: Case) -> GatewayUnderTest:
        return self.strict if case.strict else self.gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("gateways")
    async with Chaosprov() as provider, pitfalls(provider) as addresses:
        lax, strict = (policy(provider, addresses, strict=strict) for strict in (False, True))
        async with serve(folder / "lax", lax) as gateway, serve(folder / "strict", strict) as strict_gateway:
            yield Scene(provider, gateway, strict_gateway)


def runs() -> list[object]:
    """A parameter for each run of each row, named like the row."""
    cases = [case for case in load() if case.is_data and not case.slow]
    whole = [(case, False) for case in cases if case.expect]
    streams = [(case, True) for case in cases if case.stream_expect]
    order = {case.id: number for number, case in enumerate(cases)}
    both = sorted(whole + streams, key=lambda pair: order[pair[0].id])
    return [pytest.param(case, stream, id=f"{case.id}{'-stream' if stream else ''}") for case, stream in both]


@pytest.mark.parametrize(("case", "stream"), runs())
async def test_a_row_holds(scene: Scene, case: Case, stream: bool) -> None:
    await run(case, gateway=scene.for_case(case), provider=scene.provider, stream=stream)


@pytest.mark.skipif(not SLOW, reason="takes a minute: LLMGW_SLOW_FAULTS=1 runs it")
async def test_the_slow_rows_hold(scene: Scene) -> None:
    slow = [case for case in load() if case.slow and case.is_data]

    async with asyncio.TaskGroup() as group:
        for case in slow:
            group.create_task(run(case, gateway=scene.gateway, provider=scene.provider, stream=False))


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def nothing_is_left(scene: Scene) -> AsyncIterator[None]:
    """No row leaves the provider with an answer that somebody still holds open."""
    yield
    unfinished = [call.model for call in scene.provider.calls if call.ended_at is None]
    assert unfinished == []
