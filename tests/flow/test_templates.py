"""Templates by header, by the model's name and by route, and the version in everything that tells of the call."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.trace.spans.tell import trace_of
from gateway.trace.story import tell
from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Finish, Say, Until, Usage
from tests.flow.client import post
from tests.flow.raw import chat
from tests.flow.test_cache import kept

SUPPORT = """
model: ok
variables:
  product: {max_length: 20}
  question: {}
  facts: {type: list, required: false}
versions:
  1: {messages: [{system: "About {{ product }}."}, {user: "{{ question }}"}]}
  2:
    messages: [{system: "All about {{ product }}.{% for fact in facts %} {{ fact }}{% endfor %}"}, {user: "{{ question }}"}]
    parameters: {temperature: 0.5, max_tokens: 50}
    tools: [{type: function, function: {name: look_up, parameters: {type: object}}}]
labels: {production: 1, staging: 2}
"""
ROUND = """
mode: replace_system
variables: {team: {default: sales}}
versions: {1: {messages: [{system: "You serve {{ team }}."}]}}
"""
GIVEN = {"product": "Widget", "question": "Why?"}
WITH = {"llmgw": {"variables": GIVEN}}
NOT_FOUND = "does not exist or you do not have access to it"


async def adopt(house: House, policy: str = "", **files: str) -> None:
    """Puts templates, and more policy, into force."""
    folder = house.policies / "templates"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    await house.adopt(policy)


def sent(provider: Chaosprov) -> dict[str, Any]:
    """The body of the last call that the provider got."""
    found: dict[str, Any] = json.loads(provider.calls[-1].body)
    return found


async def test_the_sdk_asks_by_header(house: House, provider: Chaosprov, sdk: openai.AsyncOpenAI) -> None:
    await adopt(house, support=SUPPORT)

    answer = await sdk.chat.completions.with_raw_response.create(
        model="ok", messages=[], extra_body=WITH, extra_headers={"x-llmgw-template": "support"}
    )

    assert answer.headers["x-llmgw-template"] == "support@1"
    assert answer.parse().choices[0].message.content
    assert sent(provider) == {
        "model": "ok",
        "messages": [{"role": "system", "content": "About Widget."}, {"role": "user", "content": "Why?"}],
    }


async def test_the_sdk_asks_by_the_models_name_and_gets_what_the_version_brings(
    house: House, provider: Chaosprov, sdk: openai.AsyncOpenAI
) -> None:
    await adopt(house, support=SUPPORT)

    stream = await sdk.chat.completions.create(
        model="template:support@staging",
        messages=[],
        temperature=1,
        stream=True,
        extra_body={"llmgw": {"variables": {**GIVEN, "facts": ["{{ 7*7 }}", '"}]']}}},
    )
    async with stream:
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    assert text
    body = sent(provider)
    assert body["messages"][0] == {"role": "system", "content": 'All about Widget. {{ 7*7 }} "}]'}
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("ok", 1, 50)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["look_up"]
    assert "llmgw" not in body


async def test_a_route_puts_its_template_round_calls_that_know_nothing_of_it(
    house: House, provider: Chaosprov, sdk: openai.AsyncOpenAI
) -> None:
    await adopt(house, "routes: [{name: all, match: {has_not: [tools]}, template: round, model: ok}]", round=ROUND)

    answer = await sdk.chat.completions.with_raw_response.create(
        model="ok",
        messages=[{"role": "system", "content": "You are free."}, {"role": "user", "content": "Who are you?"}],
    )

    assert (answer.headers["x-llmgw-template"], answer.headers["x-llmgw-route"]) == ("round@1", "all")
    assert sent(provider)["messages"] == [
        {"role": "system", "content": "You serve sales."},
        {"role": "user", "content": "Who are you?"},
    ]


async def test_a_route_with_a_template_keeps_a_call_that_the_template_makes_unlike_its_match(
    house: House, provider: Chaosprov
) -> None:
    with_tools = ROUND.replace("versions: {1: {", "versions: {1: {tools: [{type: function, function: {name: f}}], ")
    rules = "routes: [{name: plain, match: {has_not: tools}, template: round, model: ok}, {name: rest, model: demo}]"
    await adopt(house, rules, round=with_tools)

    answer = await post(house, chat("ok"))

    assert (answer.headers["x-llmgw-route"], provider.calls[-1].model) == ("plain", "ok")


async def test_no_call_takes_a_routes_place_with_a_template_of_its_own(house: House, provider: Chaosprov) -> None:
    await adopt(house, "routes: [{name: all, template: round, model: ok}]", round=ROUND, support=SUPPORT)

    answer = await post(house, {"model": "ok", **WITH}, x_llmgw_template="support")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "template_conflict")
    assert answer.headers["x-llmgw-template"] == "support@1"
    assert (await post(house, chat("ok"), x_llmgw_template="round@1")).status_code == 200
    assert len(provider.calls) == 1


@pytest.mark.parametrize(
    ("mode", "roles"),
    [("prepend", "AsuA"), ("append", "suAA"), ("replace_system", "AuA")],
    ids=lambda value: value,
)
async def test_a_template_stands_beside_what_the_client_says_byte_for_byte(
    house: House, provider: Chaosprov, mode: str, roles: str
) -> None:
    text = f"mode: {mode}\nversions: {{1: {{messages: [{{assistant: Hi}}]}}}}"
    await adopt(house, wrap=text)
    own = {
        "s": '{"role" : "system",  "content":"\\u00e4", "odd": 1.0}',
        "u": '{"content":[{"type":"text","text":"x"}], "role":"user"}',
        "A": '{"role":"assistant","content":"Hi"}',
    }
    body = f'{{"model":"ok", "x": 1e3 ,"messages":[{own["s"]},{own["u"]},{own["A"]}], "llmgw":{{}}, "top_k":  5}}'

    answer = await post(house, body, x_llmgw_template="wrap")

    assert answer.status_code == 200
    wanted = ",".join(own[role] for role in roles) if mode == "append" else None
    raw = provider.calls[-1].body.decode()
    if wanted is None:
        wanted = ",".join([own["A"], *(own[role] for role in roles[1:])])
    assert f'"messages":[{wanted}]' in raw
    assert '"x":1e3' in raw
    assert "llmgw" not in raw


@pytest.mark.parametrize(
    ("template", "body", "status", "code", "param"),
    [
        ("support", {"llmgw": {"variables": {"product": "x"}}}, 400, "template_variable", "variables.question"),
        ("support", {"llmgw": {"variables": {**GIVEN, "z": 1}}}, 400, "template_variable", "variables.z"),
        ("support", {"llmgw": {"variables": {**GIVEN, "product": 1}}}, 400, "template_variable", "variables.product"),
        (
            "support",
            {"llmgw": {"variables": {**GIVEN, "product": None}}},
            400,
            "template_variable",
            "variables.product",
        ),
        (
            "support",
            {"llmgw": {"variables": {**GIVEN, "product": "x" * 21}}},
            400,
            "template_variable",
            "variables.product",
        ),
        ("support", {"llmgw": {"variables": [1]}}, 400, "template_variable", "variables"),
        ("support", {"llmgw": 1}, 400, "invalid_type", "llmgw"),
        ("support", {}, 400, "template_variable", "variables.product"),
        ("support", {**WITH, "messages": [{"role": "user", "content": "x"}]}, 400, "template_conflict", "messages"),
        (
            "support@2",
            {**WITH, "tools": [{"type": "function", "function": {"name": "g"}}]},
            400,
            "template_conflict",
            "tools",
        ),
        ("support@9", WITH, 404, "template_not_found", "template"),
        ("support@", WITH, 404, "template_not_found", "template"),
        ("../support", WITH, 404, "template_not_found", "template"),
        ("secret", WITH, 404, "template_not_found", "template"),
        ("nothing", WITH, 404, "template_not_found", "template"),
        ("big", {"llmgw": {"variables": {"x": "ä" * 600_000}}}, 400, "template_too_large", "template"),
        ("big", {"llmgw": {"variables": {"x": "x", "xs": [[1] * 3000] * 30}}}, 400, "template_too_large", "template"),
        (None, WITH | {"messages": [{"role": "user", "content": "x"}]}, 400, "template_variable", "variables.product"),
    ],
)
async def test_what_cannot_be_made_is_refused_and_never_sent(
    house: House, provider: Chaosprov, template: str | None, body: dict[str, Any], status: int, code: str, param: str
) -> None:
    big = (
        "variables: {x: {max_length: 1000000}, xs: {type: list, required: false}}\n"
        "versions: {1: {messages: [{user: '{{ x }}{% for x in xs %}{% for y in x %}{{ y }}{% endfor %}{% endfor %}'}]}}"
    )
    await adopt(house, support=SUPPORT, big=big, secret="tenants: other\n" + SUPPORT)
    headers = {} if template is None else {"x_llmgw_template": template}

    answer = await post(house, {"model": "ok", **body}, **headers)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["type"] == "invalid_request_error"
    if status == 404:
        assert error["message"] == f"the template {template!r} {NOT_FOUND}"
    assert provider.calls == []


async def test_a_model_that_is_a_template_needs_a_model_of_its_own(house: House, provider: Chaosprov) -> None:
    await adopt(house, support=SUPPORT.replace("model: ok\n", ""))

    answer = await post(house, {"model": "template:support", **WITH})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "template_model")
    assert (await post(house, {"model": "template:support", **WITH}, path="/v1/embeddings")).status_code == 400
    assert provider.calls == []


async def test_a_key_may_ask_a_template_for_no_model_that_is_not_its_own(house: House, provider: Chaosprov) -> None:
    await adopt(house, "tenants: {default: {models: [demo]}}\n", support=SUPPORT)

    answer = await post(house, {"model": "template:support", **WITH})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


async def test_header_record_spans_and_story_say_the_same(house: House, provider: Chaosprov) -> None:
    await adopt(house, support=SUPPORT)
    provider.will(Say("Hi"), Finish(), Usage(10, 2))

    answer = await post(house, {"model": "template:support@2", **WITH})

    row = await house.only_record()
    version = house.worker.policy.current.templates.named["support"].versions[2]
    assert answer.headers["x-llmgw-template"] == row["template"] == "support@2"
    assert (row["prompt"]["hash"], row["prompt"]["reason"], row["model"]) == (version.hash, "number", "ok")
    assert row["cost_nano_usd"] == 14_000
    server, client = (span for span in trace_of(row).spans if span.kind.name in ("SERVER", "CLIENT"))
    for span in (server, client):
        told = dict(span.common.values) | span.own
        assert (told["gen_ai.prompt.name"], told["gen_ai.prompt.version"]) == ("support", "2")
        assert told["llmgw.template.hash"] == version.hash
    assert dict(server.common.values)["llmgw.template"] == "support@2"
    assert any("template 'support'; it got version 2" in sentence for sentence in tell(row)["story"])


async def test_a_kept_answer_is_never_given_to_another_version(house: House, provider: Chaosprov) -> None:
    await adopt(house, "cache: {default: {exact: {ttl: 1h}, tools: true}}", support=SUPPORT)

    async def ask(template: str) -> str:
        answer = await post(house, {"model": "ok", **WITH}, x_llmgw_template=template)
        return answer.headers["x-llmgw-cache"]

    assert await ask("support@1") == "miss"
    await kept(house)
    assert [await ask("support@1"), await ask("support"), await ask("support@2")] == ["hit", "hit", "miss"]
    await kept(house, 2)

    await adopt(
        house,
        "cache: {default: {exact: {ttl: 1h}, tools: true}}",
        support=SUPPORT.replace("max_length: 20", "max_length: 21"),
    )
    assert await ask("support@1") == "miss"  # the same text, and yet another version


async def test_a_stream_keeps_its_template_when_that_is_edited_or_taken_away(house: House, provider: Chaosprov) -> None:
    await adopt(house, support=SUPPORT)
    go_on = asyncio.Event()
    provider.will(Say("Hel"), Until(go_on), Say("lo"), Finish())
    asked = asyncio.create_task(post(house, {"model": "template:support", "stream": True, **WITH}))
    await provider.asked()

    await adopt(house, support=SUPPORT.replace("About", "Of"))
    later = await post(house, {"model": "template:support", **WITH})
    (house.policies / "templates" / "support.yaml").unlink()
    await house.worker.watch.reload()
    gone = await post(house, {"model": "template:support", **WITH})
    go_on.set()
    answer = await asked

    assert answer.headers["x-llmgw-template"] == later.headers["x-llmgw-template"] == "support@1"
    assert b"[DONE]" in answer.content
    assert gone.status_code == 404
    streamed, edited = json.loads(provider.calls[0].body), json.loads(provider.calls[1].body)
    assert (streamed["messages"][0]["content"], edited["messages"][0]["content"]) == ("About Widget.", "Of Widget.")
    rows = {row["stream"]: row for row in await house.records() if row["status"] == 200}
    assert rows[True]["prompt"]["hash"] != rows[False]["prompt"]["hash"]
    assert rows[True]["policy"] == answer.headers["x-llmgw-policy"]


async def test_an_edit_of_a_partial_is_in_force_within_a_second(house: House, provider: Chaosprov) -> None:
    tone = house.policies / "templates" / "partials" / "tone.txt"
    tone.parent.mkdir(parents=True)
    tone.write_text("Be kind.\n")
    await adopt(house, support=SUPPORT.replace("About {{ product }}.", '{% include \\"tone\\" %}'))
    watching = house.worker.policy.current.version

    tone.write_text("Be quick.\n")
    async with asyncio.timeout(2):
        while house.worker.policy.current.version == watching:
            await asyncio.sleep(0.01)
    await post(house, {"model": "template:support", **WITH})

    assert sent(provider)["messages"][0]["content"] == "Be quick."


async def test_a_conversation_keeps_its_version_while_weights_move(house: House, provider: Chaosprov) -> None:
    text = ROUND.replace("versions: {1: {", "versions: {2: {messages: [{system: New.}]}, 1: {")
    rollout = "rollout: {{weights: {{1: {}, 2: {}}}}}\n"
    await adopt(house, round=text + rollout.format(100, 0))

    async def version(talk: int, turns: int = 0) -> str:
        said = [{"role": "user", "content": f"Hello {talk}"}]
        said += [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "And?"}] * turns
        answer = await post(house, {"model": "ok", "messages": said}, x_llmgw_template="round")
        return answer.headers["x-llmgw-template"]

    assert {await version(talk) for talk in range(5)} == {"round@1"}
    await adopt(house, round=text + rollout.format(1, 1_000_000))
    assert {await version(talk, turns=1) for talk in range(5)} == {"round@1"}
    assert {await version(talk) for talk in range(10, 15)} == {"round@2"}
    await adopt(house, round=text + rollout.format(0, 100))
    assert {await version(talk, turns=2) for talk in range(5)} == {"round@2"}
    reasons = [row["prompt"]["reason"] for row in await house.records()]
    assert reasons == ["rollout"] * 5 + ["sticky"] * 5 + ["rollout"] * 10


async def test_an_idempotent_call_is_the_same_whatever_version_it_got(house: House, provider: Chaosprov) -> None:
    await adopt(house, support=SUPPORT)
    body, headers = {"model": "template:support", **WITH}, {"idempotency_key": "k-1"}

    first = await post(house, body, **headers)
    await adopt(house, support=SUPPORT.replace("production: 1", "production: 2"))
    again = await post(house, body, **headers)

    assert (again.status_code, again.content) == (200, first.content)
    assert len(provider.calls) == 1


async def test_the_template_that_ships_answers(tmp_path: Path, house: House, sdk: openai.AsyncOpenAI) -> None:
    shipped = Path(__file__).parents[2] / "policies" / "templates"
    (house.policies / "templates" / "partials").mkdir(parents=True)
    for name in ("support.yaml", "partials/honesty.txt"):
        (house.policies / "templates" / name).write_text((shipped / name).read_text())
    await house.worker.watch.reload()

    answer = await sdk.chat.completions.create(
        model="template:support",
        messages=[],
        extra_body={"llmgw": {"variables": {"product": "Widget", "question": "Does it float?"}}},
    )

    assert "Does it float?" in (answer.choices[0].message.content or "")
