"""`llmgw explain` says what would happen to a call, and what then happens is what it said."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway.cache.semantic.asked import SemanticRule
from gateway.cache.semantic.start import is_installed
from tests.commands.shell import llmgw
from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, Finish, Say, Usage

POLICY = """
version: 1
providers: {demo: {dialect: demo}}
models:
  demo: {use: demo/demo, price: {in: 1, out: 2}, max_output: 1000}
  free: {use: demo/unpriced}
"""
HELLO: Any = [{"role": "user", "content": "Say hello"}]
TOOLS: Any = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


class Admin:
    """Somebody who runs `llmgw explain` on a policy and a data folder of their own."""

    def __init__(self, policies: Path, data: Path) -> None:
        self.policies = policies
        self.data = data

    def adopt(self, tenants: str) -> None:
        (self.policies / "more.yaml").write_text(f"version: 1\n{tenants}")

    def run(self, *arguments: str, key: str = "") -> subprocess.CompletedProcess[str]:
        return llmgw(*arguments, environment={"LLMGW_DATA": str(self.data), "OPENAI_API_KEY": key})

    def explain(self, *arguments: str, key: str = "") -> subprocess.CompletedProcess[str]:
        return self.run("explain", "--policies", str(self.policies), *arguments, key=key)

    def story(self, *arguments: str, key: str = "") -> list[str]:
        done = self.explain(*arguments, key=key)
        assert (done.returncode, done.stderr) == (0, "")
        return [" ".join(line.split()) for line in done.stdout.splitlines()]

    def refusal(self, *arguments: str) -> str:
        """The last line of a story that ends badly."""
        done = self.explain(*arguments)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return (done.stdout + done.stderr).splitlines()[-1]


@pytest.fixture
def admin(tmp_path: Path) -> Admin:
    policies = tmp_path / "own-policies"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY)
    return Admin(policies, tmp_path / "data")


def file(admin: Admin, body: object) -> str:
    path = admin.data.parent / "body.json"
    path.write_bytes(body if isinstance(body, bytes) else orjson.dumps(body))
    return str(path)


def test_the_whole_story_of_a_call_without_budgets(admin: Admin) -> None:
    assert admin.story("--model", "demo") == [
        "tenant default, key ready-made",
        "template none",
        "cache bypass: the policy keeps no answers",
        "route demo, the model the client named",
        "upstream 1. demo/demo (1 USD in, 2 USD out per million)",
        "budget none applies",
    ]


CACHED = """
cache:
  default: {exact: {ttl: 90s}, scope: org}
  faq: {exact: {ttl: 1d}, semantic: {max_error: 2%}, max_temperature: 0.5}
  mine: {scope: key, semantic: {threshold: 0.95}}
  legal: off
routes: [{name: faq, match: {tags: [faq]}, model: demo}, {name: mine, match: {tags: [mine]}, model: demo},
         {name: legal, match: {tags: [legal]}, model: demo}]
tenants: {acme: {teams: {search: {}}}}
"""
QUESTION: Any = [{"role": "user", "content": "How do I install PostgreSQL on Ubuntu?"}]
NO_NUMPY = "not by its meaning: the packages of the semantic cache are not installed here: run `make semantic`"


def cached(admin: Admin, *arguments: str, tenant: str = "acme/search", **fields: Any) -> list[str]:
    """What is said of the cache."""
    body = {"model": "demo", "messages": QUESTION, "temperature": 0.2, **fields}
    story = admin.story("--tenant", tenant, "--file", file(admin, body), *arguments)
    begin = next(number for number, line in enumerate(story) if line.startswith("cache "))
    end = next(number for number, line in enumerate(story) if line.startswith("route "))
    return [line.removeprefix("cache ") for line in story[begin:end]]


def by_meaning(line: str) -> str:
    """What is said where the packages of the semantic cache are there."""
    return line if is_installed([SemanticRule(60.0, max_error=0.02)]) else NO_NUMPY


def test_the_cache_tells_the_rule_the_time_and_who_shares_the_answer(admin: Admin) -> None:
    admin.adopt(CACHED)

    assert cached(admin) == ["looked up, kept for 90s (the policy's default rule)", "shared in organisation acme"]
    assert cached(admin, "--tags", "faq") == [
        "looked up, kept for 1d (the policy's rule for faq)",
        "shared in team acme/search",
        by_meaning("by its meaning, too, where the route has earned that at most 2% are wrong"),
    ]
    assert cached(admin, "--tags", "faq", tenant="acme")[1] == "shared with nobody: the key is in no team"
    assert cached(admin, "--tags", "mine")[1:] == [
        "shared with nobody but this key",
        by_meaning("by its meaning, too, from a similarity of 0.95 on, which nobody has proven"),
    ]
    assert cached(admin, "--tags", "legal") == ["bypass: the policy's rule for legal keeps no answers"]


@pytest.mark.parametrize(
    ("arguments", "fields", "told"),
    [
        ((), {"temperature": 0.9}, "bypass: the temperature is above the policy's (the policy's rule for faq)"),
        ((), {"tools": TOOLS}, "bypass: the call offers tools (the policy's rule for faq)"),
        (
            ("--cache-control", "no-store"),
            {},
            "bypass: the client said Cache-Control: no-store (the policy's rule for faq)",
        ),
        (
            ("--cache-control", "no-cache"),
            {},
            "not looked up, for the client wants a new answer, kept for 1d (the policy's rule for faq)",
        ),
        (
            ("--cache-control", "max-age=120"),
            {},
            "looked up if no older than 2m, kept for 1d (the policy's rule for faq)",
        ),
    ],
)
def test_the_cache_tells_why_a_call_is_not_looked_up(
    admin: Admin, arguments: tuple[str, ...], fields: dict[str, Any], told: str
) -> None:
    admin.adopt(CACHED)

    assert cached(admin, "--tags", "faq", *arguments, **fields)[0] == told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"seed": 1}, "the call asks for a schema, a seed, logprobs, several choices, sound or a search"),
        (
            {"messages": [{"role": "user", "content": "What is new today in Berlin?"}]},
            "the answer changes with the day",
        ),
        ({"messages": [{"role": "user", "content": "Why?"}]}, "the question says too little to be compared"),
    ],
)
def test_the_cache_tells_why_a_question_is_not_compared_by_its_meaning(
    admin: Admin, fields: dict[str, Any], told: str
) -> None:
    admin.adopt(CACHED)

    assert cached(admin, "--tags", "faq", **fields)[-1] == f"not by its meaning: {told}"


@pytest.mark.parametrize(
    ("fields", "control", "results"),
    [
        ({}, "", ["miss", "hit"]),
        ({}, "no-cache", ["miss", "miss"]),
        ({}, "no-store", ["bypass", "bypass"]),
        ({"n": 2}, "", ["bypass", "bypass"]),
        ({"temperature": 2}, "", ["bypass", "bypass"]),
    ],
)
async def test_what_it_says_of_the_cache_is_what_a_call_then_meets(
    house: House, fields: dict[str, Any], control: str, results: list[str]
) -> None:
    await house.adopt("cache: {default: {exact: {ttl: 1h}}}")
    body = {"model": "ok", "messages": HELLO, **fields}
    admin = Admin(house.policies, house.data)

    story = await asyncio.to_thread(admin.story, "--file", file(admin, body), "--cache-control", control)
    headers = {"authorization": f"Bearer {house.key}", "cache-control": control}
    met = []
    async with httpx.AsyncClient(headers=headers) as client:
        for expected in results:
            answer = await client.post(f"{house.url}/v1/chat/completions", content=orjson.dumps(body))
            met.append(answer.headers["x-llmgw-cache"])
            if expected != "bypass":
                while not (await house.worker.cache.size()).entries:
                    await asyncio.sleep(0.02)

    assert met == results
    (line,) = (line.removeprefix("cache ") for line in story if line.startswith("cache "))
    says = {"bypass": "bypass: ", "hit": "looked up, kept", "miss": "not looked up, "}
    assert line.startswith(says[results[-1]])


def test_what_a_budget_would_hold_and_what_is_written_into_the_request(admin: Admin) -> None:
    admin.adopt("tenants: {default: {budget: [{usd: 5, per: day}, {tokens: 1M, per: ever}], rate: {rpm: 60}}}")

    story = admin.story("--model", "demo")

    (sent,) = (int(line.split()[5]) for line in story if line.startswith("budget reserves"))
    assert "and writes max_tokens: 1000 into the request" in story
    assert f"org default: {(sent + 2000) / 10**6:.6f} USD of 5 USD left of 5 USD per day" in story
    assert f"org default: {sent + 1000} tokens of 1000000 tokens left of 1000000 tokens per ever" in story
    assert "org default: 1 requests of 60 requests left of 60 requests per 60s" in story


def test_a_cap_of_the_clients_own_is_not_written_again(admin: Admin) -> None:
    admin.adopt("tenants: {default: {budget: [{usd: 5, per: day}]}}")

    story = admin.story("--file", file(admin, {"model": "demo", "messages": HELLO, "max_tokens": 7}))

    assert any(line.endswith("and 7 out") for line in story)
    assert not any("writes" in line for line in story)


def test_a_soft_budget_refuses_nothing(admin: Admin) -> None:
    admin.adopt("tenants: {default: {budget: [{tokens: 5, per: day, mode: soft}]}}")

    story = admin.story("--model", "demo")

    assert any(line.startswith("org default (soft): ") for line in story)
    assert not any(line.startswith("refused") for line in story)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--model", "demo"), "refused 429 budget_insufficient_for_request"),
        (("--model", "nobody-serves-this"), "refused 404 model_not_found"),
        (("--key", "nobody", "--model", "demo"), "there is no such key"),
        (("--tenant", "unknown", "--model", "demo"), "refused 403 permission_denied"),
        (("--tenant", "default/unknown", "--model", "demo"), "refused 403 permission_denied"),
        ((), "refused 400 missing_required_parameter"),
        (("--file", "/nowhere.json"), "No such file"),
        (("--store", "postgres://x", "--model", "demo"), "redis://"),
    ],
)
def test_a_call_that_would_be_refused_says_why(admin: Admin, arguments: tuple[str, ...], told: str) -> None:
    admin.adopt("tenants: {default: {budget: [{tokens: 20, per: day}]}}")

    assert told in " ".join(admin.refusal(*arguments).split())


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b"\xff", b'{"messages": 5}'])
@pytest.mark.parametrize("model", [(), ("--model", "demo")])
def test_a_body_that_is_broken_is_refused_as_a_call_is(admin: Admin, body: bytes, model: tuple[str, ...]) -> None:
    assert "refused 400" in " ".join(admin.refusal("--file", file(admin, body), *model).split())


def test_a_model_without_a_price_is_refused_under_a_budget_in_money(admin: Admin) -> None:
    admin.adopt("tenants: {default: {budget: [{usd: 5, per: day}]}}")

    assert "400 model_not_priced" in admin.refusal("--model", "free")


def test_a_policy_with_mistakes_is_told_with_all_of_them(admin: Admin) -> None:
    admin.adopt("tenants: {default: {budget: [{usd: lots, per: day}], rat: {}}}")

    done = admin.explain("--model", "demo")

    assert (done.returncode, done.stdout) == (1, "")
    assert "more.yaml:2" in done.stderr
    assert "rate" in done.stderr


def test_keys_are_found_by_text_id_and_name_and_not_when_they_are_revoked(admin: Admin) -> None:
    admin.adopt("tenants: {acme: {teams: {search: {}}}}")
    made = orjson.loads(admin.run("keys", "create", "--name", "ci", "--tenant", "acme/search", "--json").stdout)

    for named in (made["key"], made["id"], "ci"):
        assert admin.story("--model", "demo", "--key", named)[0] == "tenant acme/search, key ci"
    assert admin.story("--model", "demo", key=made["key"])[0] == "tenant acme/search, key ci"
    admin.run("keys", "revoke", made["id"])
    for named in (made["key"], made["id"], "ci"):
        assert "there is no such key" in admin.refusal("--model", "demo", "--key", named)


def test_a_key_that_has_expired_is_no_key(admin: Admin) -> None:
    made = orjson.loads(admin.run("keys", "create", "--name", "ci", "--expires", "1s", "--json").stdout)

    while admin.explain("--model", "demo", "--key", "ci").returncode == 0:
        pass  # its second is not over yet

    assert "there is no such key" in admin.refusal("--model", "demo", "--key", made["key"])


@pytest.mark.parametrize("operation", ["chat", "text_completion", "embeddings"])
def test_every_operation_has_a_short_call_of_its_own(admin: Admin, operation: str) -> None:
    admin.adopt("tenants: {default: {budget: [{tokens: 1M, per: day}]}}")

    story = admin.story("--model", "demo", "--operation", operation)

    assert any(line.endswith("and 0 out") for line in story) == (operation == "embeddings")


CALLS: dict[str, Any] = {
    "short": {},
    "capped": {"max_tokens": 50},
    "four answers": {"n": 4, "max_completion_tokens": 50},
    "a stream": {"stream": True, "max_tokens": 9_000},
    "unicode": {"messages": [{"role": "user", "content": "Grüß 🦊" * 40}]},
    "tools": {"tools": TOOLS},
    "an end user": {"safety_identifier": "ann", "max_tokens": 5},
    "an image": {
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}
        ]
    },
}


@pytest.mark.parametrize("name", CALLS)
async def test_what_it_says_is_what_a_call_then_reserves_to_the_nano_dollar(house: House, name: str) -> None:
    users = "users: {budget: [{usd: 3, per: day}]}"
    await house.adopt(f"tenants: {{default: {{budget: [{{usd: 5, per: day}}], {users}}}}}")
    body = {"model": "ok", "messages": HELLO, **CALLS[name]}
    admin = Admin(house.policies, house.data)

    story = await asyncio.to_thread(admin.story, "--file", file(admin, body))
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {house.key}"}) as client:
        answer = await client.post(f"{house.url}/v1/chat/completions", content=orjson.dumps(body))

    assert answer.status_code == 200
    said = {match[1]: match[2] for line in story if (match := re.match(r"(org|user) \S+: (\S+) USD of", line))}
    assert set(said) == ({"org", "user"} if name == "an end user" else {"org"})
    reserved = (await house.only_record())["reserved_nano_usd"]
    assert {round(float(each) * 10**9) for each in said.values()} == {reserved}


NEARLY_SPENT: dict[str, tuple[str, dict[str, Any], int]] = {
    "counted closely": (
        "gpt-4o",
        {"messages": [{"role": "user", "content": "The quick brown fox. " * 200}], "max_tokens": 5},
        4_000,
    ),
    "shortened": ("ok", {"messages": HELLO}, 2_000),
    "a long stream": ("ok", {"messages": HELLO, "stream": True}, 9_000),
}


@pytest.mark.parametrize("name", NEARLY_SPENT)
async def test_so_it_is_where_only_a_closer_look_or_a_lower_cap_makes_a_call_fit(
    house: House, provider: Chaosprov, name: str
) -> None:
    model, fields, limit = NEARLY_SPENT[name]
    models = "models: {gpt-4o: {use: chaos/gpt-4o, price: {in: 1, out: 1}, max_output: 6000}}\n"
    budget = f"budget: [{{tokens: {limit}, per: day, on_insufficient: clamp}}, {{usd: 1, per: day}}]"
    await house.adopt(f"{models}tenants: {{default: {{{budget}}}}}")
    provider.will(Say("x"), Finish(), Usage(1, 1), DONE)
    body = {"model": model, **fields}
    admin = Admin(house.policies, house.data)

    story = await asyncio.to_thread(admin.story, "--file", file(admin, body))
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {house.key}"}) as client:
        answer = await client.post(f"{house.url}/v1/chat/completions", content=orjson.dumps(body))

    assert answer.status_code == 200
    (said,) = (match[1] for line in story if (match := re.match(r"org \S+: (\S+) USD of", line)))
    assert round(float(said) * 10**9) == (await house.only_record())["reserved_nano_usd"]
    written = next((int(match[1]) for line in story if (match := re.search(r"max_tokens: (\d+)", line))), None)
    assert provider.calls[0].json.get("max_tokens") == (fields.get("max_tokens") or written)
    assert any("lowered" in line for line in story) == (answer.headers.get("x-llmgw-clamped") == "1")


async def test_it_knows_what_has_been_spent_and_what_is_held(house: House) -> None:
    await house.adopt("tenants: {default: {budget: [{usd: 5, per: day}]}}")
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {house.key}"}) as client:
        await client.post(f"{house.url}/v1/chat/completions", json={"model": "ok", "messages": HELLO})
    (account,) = (await house.balances()).values()
    admin = Admin(house.policies, house.data)

    story = await asyncio.to_thread(admin.story, "--model", "ok")

    (left,) = (match[1] for line in story if (match := re.search(r"USD of (\S+) USD left", line)))
    assert round((5 - float(left)) * 10**9) <= account.spent + account.held
    assert round((5 - float(left)) * 10**9) >= account.spent > 0
