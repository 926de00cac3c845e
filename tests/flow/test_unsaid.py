"""What only a client's own dialect can say is a part of the call: held for, and never answered as if it had not been said."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, Json
from tests.flow.client import post
from tests.flow.speakers import CLIENTS, FIRST, LAST, SPEAKERS, policy
from tests.flow.test_cache import kept
from tests.flow.test_idempotency import key_of
from tests.flow.test_money_across import budget

HELLO = {"type": "message", "role": "user", "content": "Say hello"}
CACHE = "cache: {default: {exact: {ttl: 1h}, tools: true}}\n"
RESPONSES = CLIENTS["responses"]


def called(output: str) -> dict[str, Any]:
    """An item that chat has no word for."""
    return {"type": "mcp_call", "id": "mcp_1", "name": "look", "server_label": "x", "arguments": "{}", "output": output}


async def asked(house: House, model: str, *items: Any, **more: Any) -> httpx.Response:
    headers = {name: more.pop(name) for name in ("idempotency_key", "token") if name in more}
    body = {"model": model, "input": [*items, HELLO], "max_output_tokens": 50, **more}
    return await post(house, body, path=RESPONSES.path, **headers)


@pytest.mark.parametrize("more", [{"truncation": "auto"}, {"x_new": 1}, {"reasoning": {"summary": "auto"}}, {}])
async def test_calls_that_differ_in_what_chat_cannot_say_do_not_share_an_answer(
    house: House, provider: Chaosprov, more: dict[str, Any]
) -> None:
    await house.adopt(policy(provider) + CACHE)
    items = [] if more else [called("sun")]
    for _ in range(2):
        provider.will(SPEAKERS["responses"].whole)
    await asked(house, "responses", *([] if more else [called("rain")]))
    await kept(house)

    other = await asked(house, "responses", *items, **more)
    await kept(house, 2)
    again = await asked(house, "responses", *items, **more)

    assert (other.headers["x-llmgw-cache"], again.headers["x-llmgw-cache"]) == ("miss", "hit")
    assert len(provider.calls) == 2


async def test_nor_do_calls_that_go_on_from_responses_that_differ_in_that(house: House, provider: Chaosprov) -> None:
    await house.adopt(policy(provider) + CACHE)
    answer = SPEAKERS["responses"].whole
    assert isinstance(answer, Json)
    for output in ("rain", "sun"):
        provider.will(Json({**answer.value, "id": f"resp_{output}"}))
        await asked(house, "responses", called(output))

    for output in ("rain", "sun"):
        provider.will(answer)
        answered = await asked(house, "responses", previous_response_id=f"resp_{output}")
        assert answered.headers["x-llmgw-cache"] == "miss"
        await kept(house, 3)
        assert f'"output":"{output}"' in provider.calls[-1].body.decode()

    assert len(provider.calls) == 4


async def test_where_it_is_dropped_anyhow_answers_are_shared(house: House, provider: Chaosprov) -> None:
    await house.adopt(policy(provider) + CACHE)
    provider.will(SPEAKERS["openai"].whole)
    await asked(house, "openai", called("rain"))
    await kept(house)

    assert (await asked(house, "openai", called("sun"))).headers["x-llmgw-cache"] == "hit"


@pytest.mark.parametrize("name", SPEAKERS)
async def test_one_question_in_three_dialects_has_one_answer_told_in_each_and_to_no_other_team(
    house: House, provider: Chaosprov, name: str
) -> None:
    await house.adopt(policy(provider) + CACHE)
    one, two = [await key_of(house, team) for team in ("acme/one", "acme/two")]
    answers = {}
    for token in (one, two):
        provider.will(SPEAKERS[name].whole)
        provider.will(SPEAKERS[name].whole)
        for client in CLIENTS.values():
            for stream in (False, True):
                answer = await post(house, client.asks(name, stream=stream), path=client.path, token=token)
                answers[client.name, stream, token] = answer
                await kept(house, 1 if token == one else 2)

    assert all(FIRST + LAST in answer.text for (_, stream, _), answer in answers.items() if not stream)
    marks = {"chat": '"chat.completion', "messages": '"message', "responses": '"response'}
    for (client_name, _, _), answer in answers.items():
        assert marks[client_name] in answer.text
        assert answer.headers["x-llmgw-cache"] in ("hit", "miss")
    first = [answers["chat", False, token].headers["x-llmgw-cache"] for token in (one, two)]
    assert first == ["miss", "miss"]


async def test_what_chat_cannot_say_is_held_for_where_the_vocabulary_is_known(
    house: House, provider: Chaosprov
) -> None:
    """The budget covers what chat can say of the call, and not the rest."""
    output = "word " * 4000
    public = "  public: {use: relay/gpt-5, price: {in: 1, out: 2}}\n"
    await house.adopt(budget(10_000_000) + policy(provider) + public)

    answer = await asked(house, "public", called(output))

    assert answer.status_code == 429
    assert not provider.calls


@pytest.mark.parametrize("first", CLIENTS)
@pytest.mark.parametrize("second", CLIENTS)
async def test_an_idempotency_key_used_again_at_another_endpoint_is_a_conflict(
    house: House, provider: Chaosprov, first: str, second: str
) -> None:
    """The bodies of chat and messages are the same, byte for byte, as the gateway writes them."""
    await house.adopt(policy(provider))
    bodies = {name: json.dumps(client.asks("openai"), separators=(",", ":")) for name, client in CLIENTS.items()}
    provider.will(SPEAKERS["openai"].whole)
    await post(house, bodies[first], path=CLIENTS[first].path, idempotency_key="once")

    answer = await post(house, bodies[second], path=CLIENTS[second].path, idempotency_key="once")

    assert answer.status_code == (200 if first == second else 409)
    assert len(provider.calls) == 1


@pytest.mark.parametrize("name", ["openai", "responses"])
async def test_an_idempotency_key_used_again_for_what_chat_cannot_say_is_a_conflict(
    house: House, provider: Chaosprov, name: str
) -> None:
    await house.adopt(policy(provider))
    provider.will(SPEAKERS[name].whole)
    answers = [await asked(house, name, called(said), idempotency_key="once") for said in ("rain", "sun", "rain")]

    assert [answer.status_code for answer in answers] == [200, 409, 200]
    assert len(provider.calls) == 1


async def test_what_chat_cannot_say_is_billed_where_a_provider_tells_no_usage(
    house: House, provider: Chaosprov
) -> None:
    await house.adopt(policy(provider))
    speaker = SPEAKERS["responses"]
    provider.will(*speaker.first, CUT)

    await asked(house, "responses", called("word " * 1000), stream=True)

    assert (await house.only_record())["input_tokens"] > 1000


async def test_what_chat_cannot_say_names_no_file_of_others(house: House, provider: Chaosprov) -> None:
    keeper = (
        f"  keeper: {{dialect: openai, base_url: '{provider.base_url}', key: sk-c, allow_private: true, files: true}}\n"
    )
    await house.adopt(policy(provider).replace("providers:\n", f"providers:\n{keeper}"))
    screen = {"type": "computer_screenshot", "file_id": "file-abc"}

    answer = await asked(house, "responses", {"type": "computer_call_output", "call_id": "c", "output": screen})

    assert answer.status_code == 404
    assert not provider.calls


async def test_nor_do_messages_that_ask_for_other_novelties(house: House, provider: Chaosprov) -> None:
    await house.adopt(policy(provider) + CACHE)
    body = {"model": "anthropic", "max_tokens": 50, "messages": [{"role": "user", "content": "Say hello"}]}
    path, told = CLIENTS["messages"].path, []
    for number, beta in enumerate(("one-2026", "two-2026", "two-2026"), start=1):
        provider.will(SPEAKERS["anthropic"].whole)
        answer = await post(house, body, path=path, anthropic_beta=beta)
        told.append(answer.headers["x-llmgw-cache"])
        await kept(house, min(number, 2))

    assert told == ["miss", "miss", "hit"]
    assert [call.header("anthropic-beta") for call in provider.calls] == ["one-2026", "two-2026"]
