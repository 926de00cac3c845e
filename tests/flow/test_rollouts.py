"""A new version of a template gets a part of the conversations, and no more of them once it is shown to be worse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from gateway.template.rollout.rollouts import Held
from tests.admin.conftest import admin_of, created, on_redis, opened
from tests.conftest import POLICY, House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Status
from tests.flow.client import post
from tests.flow.troupe import Part, Troupe, playing
from tests.redis_server import RedisServer, redis_server

MODELS = """
providers:
  stage: {{dialect: openai, base_url: "{url}", allow_private: true}}
models:
  actor: {{use: stage/actor, price: {{in: 1, out: 4}}}}
"""
TEMPLATE = """
mode: prepend
versions:
  1: {{messages: [{{system: You are v1.}}]}}
  2: {{messages: [{{system: You are v2.}}]}}
  3: {{messages: [{{system: You are v3.}}]}}
labels: {{production: 1}}
{rollout}
"""
HALF = "rollout: {weights: {1: 50, 2: 50}}"


class Play:
    """A house whose template `support` has three versions, each a part of the troupe's."""

    def __init__(self, house: House, troupe: Troupe) -> None:
        self.house = house
        self.key: str | None = None
        self.troupe = troupe
        self.number = 0

    async def stage(self, rollout: str = HALF) -> None:
        folder = self.house.policies / "templates"
        folder.mkdir(exist_ok=True)
        (folder / "support.yaml").write_text(TEMPLATE.format(rollout=rollout))
        await self.house.adopt(MODELS.format(url=self.troupe.base_url))
        await self.settled()

    async def ask(self, text: str | None = None, **headers: str) -> httpx.Response:
        """A new conversation, unless it is said what the first message is."""
        self.number += 1
        messages = [{"role": "user", "content": text or f"question {self.number}"}]
        told = {"x_llmgw_template": "support", **headers}
        return await post(
            self.house, {"model": "actor", "messages": messages, "max_tokens": 50}, token=self.key, **told
        )

    async def versions(self, conversations: int) -> list[str]:
        """Which version each of so many new ones gets."""
        return [(await self.ask()).headers["x-llmgw-template"] for _ in range(conversations)]

    async def until_stepped_back(self, *, most: int) -> int:
        """After how many conversations."""
        for number in range(most):
            await self.ask()
            if number % 10 == 9:
                await self.settled()
                if self.stepped_back():
                    return number + 1
        raise AssertionError(f"after {most} conversations nobody was stepped back")

    async def settled(self) -> None:
        """Until what calls came to has been counted, and told to the other workers."""
        worker = self.house.worker
        async with asyncio.timeout(20):
            while any(task.get_name() == "shadow" for task in asyncio.all_tasks()):
                await asyncio.sleep(0.01)
        await self.house.records()
        await worker.rollouts.flush(worker.policy.current.templates.named, everything=True)

    def held(self) -> Held:
        worker = self.house.worker
        return worker.rollouts.held(worker.policy.current.templates.named["support"])

    def stepped_back(self) -> frozenset[int]:
        return self.held().stepped_back


@pytest.fixture
async def troupe() -> AsyncIterator[Troupe]:
    async with playing(Troupe()) as troupe:
        yield troupe


@pytest.fixture
async def play(house: House, troupe: Troupe) -> Play:
    return Play(house, troupe)


@pytest.fixture
async def admin(house: House) -> AsyncIterator[aiohttp.ClientSession]:
    async with admin_of(house) as session:
        yield session


async def order(admin: aiohttp.ClientSession, verb: str, status: int = 200, **body: object) -> Any:
    seen = body.pop("seen", None)
    headers = {} if seen is None else {"If-Match": f'"{seen}"'}
    body.setdefault("reason", "the test says so")
    async with admin.post(f"/admin/v1/templates/support:{verb}", json=body, headers=headers) as reply:
        told = await reply.json()
        assert reply.status == status, told
        return told


async def shown(admin: aiohttp.ClientSession) -> Any:
    async with admin.get("/admin/v1/templates/support") as reply:
        assert reply.status == 200, await reply.text()
        return await reply.json()


def by_version(told: Mapping[str, Any]) -> dict[int, Any]:
    return {each["version"]: each for each in told["versions"]}


async def test_a_version_that_fails_is_stepped_back_and_everybody_is_served_the_old_one(play: Play) -> None:
    play.troupe.parts[2] = Part(fails=0.6)
    await play.stage()
    before = set(await play.versions(20))

    await play.until_stepped_back(most=300)

    assert before == {"support@1", "support@2"}
    assert play.stepped_back() == {2}
    assert set(await play.versions(20)) == {"support@1"}


async def test_a_version_that_costs_twice_as_much_is_stepped_back(play: Play) -> None:
    play.troupe.parts[2] = Part(tokens=200)
    await play.stage("rollout: {weights: {1: 50, 2: 50}, step_back: {latency: none, cost: 1.5x}}")

    await play.until_stepped_back(most=200)

    assert set(await play.versions(20)) == {"support@1"}


async def test_a_version_that_is_equal_is_left_alone(play: Play) -> None:
    for part in play.troupe.parts.values():
        part.fails = 0.1
    await play.stage("rollout: {weights: {1: 50, 2: 50}, step_back: {latency: none}}")

    assert set(await play.versions(150)) == {"support@1", "support@2"}
    await play.settled()
    assert play.stepped_back() == frozenset()


async def test_a_conversation_stays_on_its_version_until_that_is_stepped_back(play: Play) -> None:
    await play.stage()
    first = [(await play.ask(f"hello {number}")).headers["x-llmgw-template"] for number in range(10)]
    again = [(await play.ask(f"hello {number}")).headers["x-llmgw-template"] for number in range(10)]
    assert again == first
    assert len(set(first)) == 2

    play.troupe.parts[2].fails = 1
    await play.until_stepped_back(most=100)
    later = [(await play.ask(f"hello {number}")).headers["x-llmgw-template"] for number in range(10)]
    assert set(later) == {"support@1"}


async def test_a_version_that_cannot_be_rendered_is_stepped_back(play: Play) -> None:
    await play.stage(HALF)
    file = play.house.policies / "templates" / "support.yaml"
    written = file.read_text().replace("You are v2.", '"You are v2. {{ customer.name }}"')
    file.write_text(written + "variables: {customer: {type: object, required: false, example: {name: Ann}}}\n")
    await play.house.worker.watch.reload()
    assert play.house.worker.policy.last_error is None
    await play.settled()

    await play.until_stepped_back(most=100)

    assert {(await play.ask()).status_code for _ in range(10)} == {200}
    failed = [record for record in await play.house.records() if record["status"] == 400]
    assert {record["template"] for record in failed} == {"support@2"}


async def test_answers_that_callers_find_bad_step_a_version_back(play: Play) -> None:
    await play.stage("rollout: {weights: {1: 50, 2: 50}, step_back: {latency: none}}")
    for _ in range(80):
        reply = await play.ask()
        rating = "good" if reply.headers["x-llmgw-template"] == "support@1" else "bad"
        body = {"request_id": reply.headers["x-request-id"], "rating": rating}
        assert (await post(play.house, body, path="/v1/feedback")).status_code == 200
    await play.settled()

    assert play.stepped_back() == {2}


async def test_each_version_has_its_figures(play: Play, admin: aiohttp.ClientSession) -> None:
    play.troupe.parts[2] = Part(tokens=60)
    await play.stage("rollout: {weights: {1: 50, 2: 50}, step_back: {cost: none, latency: none}}")
    got = await play.versions(30)
    await play.ask(x_llmgw_template="support@3")
    await play.settled()

    rows = {row["version"]: row for row in (await shown(admin))["figures"]}

    assert {number: row["calls"] for number, row in rows.items()} == {
        1: got.count("support@1"),
        2: got.count("support@2"),
        3: 1,
    }
    assert (rows[1]["cost_nano_usd"]["value"], rows[2]["cost_nano_usd"]["value"]) == (180_000, 340_000)
    assert rows[2]["output_tokens"] == {"value": 60, "low": 60, "high": 60}
    assert rows[1]["errors"]["value"] == 0
    assert 0 < rows[1]["errors"]["high"] < 0.5
    assert rows[1]["latency_p50_ms"]["value"] > 0
    assert rows[1]["feedback"] == {"value": None, "low": None, "high": None}


async def test_promote_and_rollback_take_effect_at_once_and_reset_goes_back_to_the_file(
    play: Play, admin: aiohttp.ClientSession
) -> None:
    await play.stage()

    told = await order(admin, "promote", version=3)
    assert set(await play.versions(5)) == {"support@3"}
    assert {number: each["share"] for number, each in by_version(told).items()} == {1: 0, 2: 0, 3: 1}
    assert (told["override"]["kind"], told["override"]["who"]) == ("promote", "admin")
    assert told["override"]["reason"] == "the test says so"

    await order(admin, "rollback")
    assert set(await play.versions(5)) == {"support@1"}
    assert (await play.ask(x_llmgw_template="support@3")).headers["x-llmgw-template"] == "support@3"

    told = await order(admin, "reset")
    assert told["override"] is None
    assert set(await play.versions(20)) == {"support@1", "support@2"}


async def test_a_promotion_moves_conversations_that_had_begun(play: Play, admin: aiohttp.ClientSession) -> None:
    await play.stage()
    await play.ask("hello", x_llmgw_conversation="c1")
    await order(admin, "promote", version=3)

    reply = await play.ask("hello", x_llmgw_conversation="c1")

    assert reply.headers["x-llmgw-template"] == "support@3"
    (record,) = [each for each in await play.house.records() if each["template"] == "support@3"]
    assert record["prompt"]["reason"] == "override"


async def test_a_template_without_a_rollout_is_promoted_too(play: Play, admin: aiohttp.ClientSession) -> None:
    await play.stage("")
    assert set(await play.versions(3)) == {"support@1"}

    await order(admin, "promote", version=2)
    assert set(await play.versions(3)) == {"support@2"}
    assert (await play.ask(x_llmgw_template="support@production")).headers["x-llmgw-template"] == "support@2"


async def test_a_changed_file_counts_alone(play: Play, admin: aiohttp.ClientSession) -> None:
    await play.stage()
    await order(admin, "promote", version=3)

    await play.stage("rollout: {weights: {1: 40, 2: 60}}")

    assert set(await play.versions(20)) == {"support@1", "support@2"}
    assert (await shown(admin))["override"] is None


async def test_a_reset_begins_anew_after_a_step_back(play: Play, admin: aiohttp.ClientSession) -> None:
    play.troupe.parts[2].fails = 1
    await play.stage()
    await play.until_stepped_back(most=100)
    told = by_version(await shown(admin))[2]
    assert told["stepped_back"]["measure"] == "errors"
    assert (told["stepped_back"]["current"], told["share"]) == (1, 0)

    play.troupe.parts[2].fails = 0
    told = by_version(await order(admin, "reset"))[2]
    assert told["stepped_back"] is None
    assert [(each["pairs"], each["evidence"]) for each in told["evidence"]] == [(0, 1)] * 4
    assert set(await play.versions(20)) == {"support@1", "support@2"}

    play.troupe.parts[2].fails = 1
    await play.until_stepped_back(most=100)


@pytest.mark.parametrize("verb", ["promote", "rollback", "reset"])
async def test_who_has_not_seen_the_last_change_changes_nothing(
    play: Play, admin: aiohttp.ClientSession, verb: str
) -> None:
    await play.stage()
    seen = (await shown(admin))["etag"]
    await order(admin, "promote", version=2, seen=seen)
    body = {"version": 3} if verb == "promote" else {}

    refused = await order(admin, verb, 409, seen=seen, **body)

    assert refused["error"]["code"] == "version_conflict"
    assert set(await play.versions(5)) == {"support@2"}
    policy = play.house.worker.policy.current.version
    await order(admin, verb, seen=policy, **body)


@pytest.mark.parametrize(
    ("verb", "body", "status", "code"),
    [
        ("promote", {"version": 9}, 404, "template_not_found"),
        ("promote", {"version": "2"}, 400, "invalid_type"),
        ("promote", {}, 400, "invalid_type"),
        ("promote", {"version": 1}, 409, "version_in_force"),
        ("rollback", {"version": 1}, 400, "unknown_parameter"),
        ("rollback", {}, 409, "no_version_before"),
        ("reset", {"reason": ""}, 400, "missing_parameter"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(
    play: Play, admin: aiohttp.ClientSession, verb: str, body: dict[str, object], status: int, code: str
) -> None:
    await play.stage("")

    assert (await order(admin, verb, status, **body))["error"]["code"] == code


async def test_a_template_that_is_not_there_is_said_to_be_none(play: Play, admin: aiohttp.ClientSession) -> None:
    await play.stage()
    async with admin.get("/admin/v1/templates/other") as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (404, "template_not_found")
    async with admin.get("/admin/v1/templates") as reply:
        assert [each["template"] for each in (await reply.json())["templates"]] == ["support"]


async def test_a_shadow_is_asked_beside_calls_and_serves_nobody(play: Play, admin: aiohttp.ClientSession) -> None:
    play.troupe.parts[3] = Part(fails=0.5, tokens=30)
    await play.stage("rollout: {weights: {1: 100}, shadow: {version: 3, share: 100%, budget: 1 USD/day}}")

    got = await play.versions(12)
    await play.settled()

    assert set(got) == {"support@1"}
    assert play.troupe.asked[3] == 12
    rows = {(row["version"], row["shadow"]): row for row in (await shown(admin))["figures"]}
    assert (rows[1, False]["calls"], rows[3, True]["calls"]) == (12, 12)
    assert 0 < rows[3, True]["errors"]["value"] < 1
    assert rows[3, True]["output_tokens"]["value"] == 30
    ours = [record for record in await play.house.records() if record["org"] == "llmgw"]
    assert {(record["template"], record["prompt"]["reason"], *record["tags"]) for record in ours} == {
        ("support@3", "shadow", "shadow")
    }


async def test_a_shadow_ends_with_its_budget(play: Play) -> None:
    await play.stage("rollout: {weights: {1: 100}, shadow: {version: 3, share: 100%, budget: 0.001 USD/day}}")

    await play.versions(15)
    await play.settled()

    assert 0 < play.troupe.asked[3] < 10, "each costs 180,000 of 1,000,000 nano-USD"


async def test_rollouts_are_metrics(play: Play, admin: aiohttp.ClientSession) -> None:
    play.troupe.parts[2].fails = 1
    await play.stage()
    await play.until_stepped_back(most=100)

    async with admin.get("/metrics") as reply:
        text = await reply.text()

    assert 'llmgw_template_rollout_share_ratio{template="support",version="1"} 1' in text
    assert 'llmgw_template_rollout_stepped_back{template="support",version="2"} 1' in text
    assert 'llmgw_template_rollout_evidence_ratio{measure="errors",template="support",version="2"} 1' in text


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


async def test_two_gateways_on_one_redis_agree_and_one_that_starts_later_does_too(
    tmp_path: Path, redis: RedisServer, troupe: Troupe, patient: None
) -> None:
    troupe.parts[2].fails = 1
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY.format(provider="http://127.0.0.1:9/v1"))

    async with AsyncExitStack() as open_things:

        async def begun(name: str) -> Play:
            house = await open_things.enter_async_context(opened(on_redis(policies, tmp_path / name, redis)))
            return Play(house, troupe)

        one, other = await begun("one"), await begun("other")
        admin = await open_things.enter_async_context(admin_of(one.house))
        key = (await created(admin, name="both"))["key"]
        for each in (one, other):
            each.key = key
            await each.stage()

        while not (one.stepped_back() or other.stepped_back()):
            await one.ask()
            await other.ask()
            await one.settled()
            await other.settled()
            assert one.number < 60
        await heard(lambda: one.stepped_back() == other.stepped_back() == {2})
        later = await begun("later")
        assert later.stepped_back() == {2}

        await order(admin, "promote", version=3)
        later.key = key
        await heard(lambda: later.held().is_overridden and other.held().is_overridden)
        assert {*await other.versions(3), *await later.versions(3)} == {"support@3"}


async def heard(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.02)


async def test_a_step_back_is_told_to_a_webhook(play: Play) -> None:
    play.troupe.parts[2].fails = 1
    async with Chaosprov() as people:
        people.will(Status(204, b""))
        await play.stage()
        hook = f'alerts: {{webhook: "http://127.0.0.1:{people.port}/hook", allow_private: true}}\n'
        await play.house.adopt(MODELS.format(url=play.troupe.base_url) + hook)
        await play.until_stepped_back(most=100)
        await heard(lambda: bool(people.calls))

    told = json.loads(people.calls[0].body)
    assert (told["event"], told["template"], told["version"]) == ("template.stepped_back", "support", 2)
    assert told["why"].startswith("errors: worse than +1% allows, shown by ")
