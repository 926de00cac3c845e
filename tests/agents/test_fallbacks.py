"""An agent's conversation goes on at a provider of another dialect at every turn, and no provider refuses what it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import permutations

import openai
import pytest
from anthropic import AsyncAnthropic, InternalServerError

from tests.agents import rules
from tests.agents.clients import Chat, Client, Messages, Responses
from tests.agents.rules import Sealed
from tests.agents.speaking import Turn, steps
from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Status

DIALECTS = ("openai", "anthropic", "responses", "gemini", "bedrock")
PAIRS = tuple(permutations(DIALECTS, 2))
UPSTREAM = {
    "openai": "gpt-5-mini",
    "anthropic": "claude-sonnet-4-5",
    "responses": "gpt-5",
    "gemini": "gemini-3-pro-preview",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
}
BASES = {"openai": "/v1", "anthropic": "", "responses": "/v1", "gemini": "/v1beta", "bedrock": ""}
READ: tuple[str, dict[str, str]] = ("read", {"path": "notes.txt"})
LIST: tuple[str, dict[str, str]] = ("list", {})
SCRIPT = (
    Turn(1, thought="I look.", text="I read it.", calls=(READ,)),
    Turn(2, thought="Both at once.", calls=(READ, LIST, READ)),
    Turn(3, text="It says hi."),
    Turn(4, is_refused=True),
    Turn(5, thought="Once more.", calls=(LIST,)),
    Turn(6, calls=(READ, LIST)),
    Turn(7, thought="Now I know.", text="There is nothing."),
    Turn(8, text="Goodbye."),
)
GIVEN = (("hi", False), ("no such file", True), ("a picture", False))
SAID = ("What is here and in this picture?", "Tell me a secret.", "Then list what is there.", "Thank you.")


def policy(base: str) -> str:
    providers = [
        f"  {name}: {{dialect: {name}, base_url: '{base}{BASES[name]}', key: canary-key, allow_private: true"
        f"{', region: us-east-1' if name == 'bedrock' else ''}}}"
        for name in DIALECTS
    ]
    models = [
        f"  {one}-{other}: {{use: '{one}/{UPSTREAM[one]}', fallback: ['{other}/{UPSTREAM[other]}'],"
        " price: {in: 1, out: 2}}"
        for one, other in PAIRS
    ]
    return "\n".join(["providers:", *providers, "models:", *models, ""])


@asynccontextmanager
async def client_of(speaks: str, house: House) -> AsyncIterator[Client]:
    match speaks:
        case "messages":
            async with AsyncAnthropic(base_url=house.url, api_key=house.key, max_retries=0) as claude:
                yield Messages(claude)
        case "responses":
            async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=house.key, max_retries=0) as sdk:
                yield Responses(sdk)
        case _:
            yield Chat(house.url, house.key, stream=speaks == "chat, streamed")


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("speaks", ["chat", "chat, streamed", "messages", "responses"])
async def test_a_forced_fallback_at_every_turn_is_refused_by_nobody(
    house: House, provider: Chaosprov, speaks: str, pair: tuple[str, str]
) -> None:
    await house.adopt(policy(provider.base_url.removesuffix("/v1")))
    sealed, said, found = Sealed(), iter(SAID), []

    async with client_of(speaks, house) as client:
        client.say(next(said), picture=True)
        for turn in SCRIPT:
            failing, answering = pair if turn.number % 2 else pair[::-1]
            provider.will(Status(503))
            provider.will(*steps(answering, turn, sealed, stream=speaks != "chat"))

            await client.ask(f"{failing}-{answering}")

            for dialect, call in zip((failing, answering), provider.calls[-2:], strict=True):
                found += [f"turn {turn.number}, {dialect}: {each}" for each in rules.faults(dialect, call.json, sealed)]
            if client.calls:
                client.give(GIVEN[: len(client.calls)])
            elif turn is not SCRIPT[-1]:
                client.say(next(said))

    assert found == []
    assert len(provider.calls) == 2 * len(SCRIPT)


async def test_an_open_loop_goes_on_elsewhere_when_the_provider_that_began_it_fails(
    house: House, provider: Chaosprov
) -> None:
    await house.adopt(policy(provider.base_url.removesuffix("/v1")))
    sealed = Sealed()
    provider.will(*steps("anthropic", SCRIPT[0], sealed, stream=True))
    provider.will(Status(503))
    provider.will(*steps("openai", SCRIPT[7], sealed, stream=True))

    async with AsyncAnthropic(base_url=house.url, api_key=house.key, max_retries=0) as sdk:
        client = Messages(sdk, apart=False)
        client.say(SAID[0])
        await client.ask("anthropic-openai")
        client.give(GIVEN[:1])
        await client.ask("anthropic-openai")

    assert [call.path for call in provider.calls] == ["/v1/messages", "/v1/messages", "/v1/chat/completions"]
    assert rules.faults("openai", provider.calls[-1].json, sealed) == []


async def test_no_other_provider_of_the_dialect_is_asked_for_it(house: House, provider: Chaosprov) -> None:
    base = provider.base_url.removesuffix("/v1")
    other = f"  other: {{dialect: anthropic, base_url: '{base}', key: canary-key, allow_private: true, retry: {{attempts: 1}}}}"
    use = "{use: anthropic/claude-sonnet-4-5, fallback: [other/claude-sonnet-4-5], price: {in: 1, out: 2}}"
    written = policy(base).replace("models:", f"{other}\nmodels:\n  both: {use}")
    await house.adopt(written.replace("dialect: anthropic,", "dialect: anthropic, retry: {attempts: 1},", 1))
    provider.will(*steps("anthropic", SCRIPT[0], Sealed(), stream=True))
    provider.will(Status(503))

    async with AsyncAnthropic(base_url=house.url, api_key=house.key, max_retries=0) as sdk:
        client = Messages(sdk, apart=False)
        client.say(SAID[0])
        await client.ask("both")
        client.give(GIVEN[:1])
        with pytest.raises(InternalServerError):
            await client.ask("both")

    assert len(provider.calls) == 2
