"""Whatever asks for a template never goes out without it: on every endpoint, in every dialect."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from anthropic import AsyncAnthropic

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.flow.client import post
from tests.flow.raw import chat
from tests.flow.test_templates import GIVEN, ROUND, SUPPORT, WITH, adopt, sent

PROMPT: Any = {"id": "support", "version": "1", "variables": GIVEN}
SAID = [{"role": "system", "content": "About Widget."}, {"role": "user", "content": "Why?"}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"input": "x"}),
        ("/v1/completions", {"prompt": "x"}),
        ("/v1/moderations", {"input": "x"}),
        ("/v1/images/generations", {"prompt": "x"}),
        ("/v1/audio/speech", {"input": "x", "voice": "alloy"}),
        ("/v1/rerank", {"query": "x", "documents": ["y"]}),
        ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "x"}]}),
    ],
)
@pytest.mark.parametrize("template", ["support", "nothing"])
async def test_what_no_template_can_be_put_round_is_refused(
    house: House, provider: Chaosprov, path: str, body: dict[str, Any], template: str
) -> None:
    await adopt(house, support=SUPPORT)

    answer = await post(house, {"model": "ok", **body}, path=path, x_llmgw_template=template)

    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["code"] in ("template_unsupported", "template_not_found")
    assert provider.calls == []


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/completions", {"prompt": "x"}), ("/v1/embeddings", {"input": "x"}), ("/v1/moderations", {"input": "x"})],
)
async def test_no_operation_takes_a_route_past_its_template(
    house: House, provider: Chaosprov, path: str, body: dict[str, Any]
) -> None:
    await adopt(house, "routes: [{name: all, template: round, model: ok}]", round=ROUND)

    answer = await post(house, {"model": "ok", **body}, path=path)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "template_unsupported")
    assert provider.calls == []


async def test_no_call_takes_a_route_with_another_version_than_the_one_it_names(
    house: House, provider: Chaosprov
) -> None:
    two = (
        ROUND.replace("versions: {1: {", "versions: {2: {messages: [{system: Safe.}]}, 1: {")
        + "labels: {production: 2}"
    )
    await adopt(house, "routes: [{name: all, template: round@2, model: ok}]", round=two)

    answer = await post(house, chat("ok"), x_llmgw_template="round@1")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "template_conflict")
    assert provider.calls == []
    assert (await post(house, chat("ok"), x_llmgw_template="round@2")).status_code == 200
    assert (await post(house, chat("ok"))).headers["x-llmgw-template"] == "round@2"


async def test_anthropics_sdk_leaves_the_messages_to_the_template(house: House, provider: Chaosprov) -> None:
    await adopt(house, support=SUPPORT)
    async with AsyncAnthropic(base_url=house.url, api_key=house.key, max_retries=0) as claude:
        by_header = await claude.messages.create(
            model="ok", max_tokens=9, messages=[], extra_headers={"x-llmgw-template": "support"}, extra_body=WITH
        )
        async with claude.messages.stream(
            model="template:support", max_tokens=9, messages=[], extra_body=WITH
        ) as stream:
            by_model = await stream.get_final_text()
            version = stream.response.headers["x-llmgw-template"]

    assert [json.loads(call.body)["messages"] for call in provider.calls] == [SAID, SAID]
    assert (by_header.content[0].type, version) == ("text", "support@1")
    assert by_model


@pytest.mark.parametrize("extra", [{}, {"messages": None}, {"messages": []}])
async def test_without_a_template_a_message_of_anthropics_says_something(
    house: House, provider: Chaosprov, extra: dict[str, Any]
) -> None:
    answer = await post(house, {"model": "ok", "max_tokens": 9, **extra}, path="/v1/messages")

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages")
    assert provider.calls == []


async def test_a_prompt_of_the_responses_api_brings_its_model(
    house: House, provider: Chaosprov, sdk: openai.AsyncOpenAI
) -> None:
    await adopt(house, support=SUPPORT)

    answer = await sdk.responses.create(prompt=PROMPT)
    again = await sdk.responses.create(previous_response_id=answer.id, model="ok", input="And then?")

    assert (answer.status, again.status) == ("completed", "completed")
    assert json.loads(provider.calls[0].body)["messages"] == SAID


@pytest.mark.parametrize(("body", "header"), [({"model": "template:support"}, None), ({"model": "ok"}, "support")])
async def test_a_response_with_a_template_needs_no_input(
    house: House, provider: Chaosprov, body: dict[str, Any], header: str | None
) -> None:
    await adopt(house, support=SUPPORT)
    headers = {} if header is None else {"x_llmgw_template": header}
    answer = await post(house, {**WITH, **body}, path="/v1/responses", **headers)

    assert answer.status_code == 200, answer.text
    assert sent(provider)["messages"] == SAID


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"prompt": {"id": "support", "variables": GIVEN}}, "template_conflict"),
        ({"prompt": {"id": "round"}, "llmgw": {"variables": {"team": "x"}}}, None),
        ({"prompt": {"id": "round", "variables": {"team": "x"}}, "llmgw": {"variables": {}}}, "template_conflict"),
    ],
)
async def test_a_response_names_one_template_and_gives_its_variables_once(
    house: House, provider: Chaosprov, body: dict[str, Any], code: str | None
) -> None:
    await adopt(house, support=SUPPORT, round=ROUND)

    answer = await post(house, {"model": "ok", "input": "Hi", **body}, path="/v1/responses", x_llmgw_template="round")

    if code is None:
        assert sent(provider)["messages"][0] == {"role": "system", "content": "You serve x."}
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
        assert provider.calls == []


async def test_a_word_beside_the_variables_is_a_mistake(house: House, provider: Chaosprov) -> None:
    """Else a slip of the pen would have the defaults sent."""
    await adopt(house, round=ROUND)

    answer = await post(house, {**chat("ok"), "llmgw": {"variable": {"team": "x"}}}, x_llmgw_template="round")

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unknown_parameter", "llmgw.variable")
    assert provider.calls == []
