"""Tokens are counted about as providers count them, whatever the text, and without holding up other calls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.core.call import Call, Operation
from gateway.meter.tokens import Tokens


def call(operation: Operation = Operation.CHAT, **fields: Any) -> Call:
    return Call(id="r", operation=operation, received=0, model="gpt-4o", body=b"", fields=fields)


def said(content: object, **fields: Any) -> Call:
    return call(messages=[{"role": "user", "content": content}], **fields)


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens()


@pytest.mark.parametrize(
    ("model", "tokens_of_hello"),
    [("gpt-4o", 4), ("openai/gpt-4o-mini", 4), ("gpt-4", 4), ("claude-x", 4), ("", 4), ("gpt-2", 4)],
)
async def test_every_model_has_a_vocabulary_without_a_network(tokens: Tokens, model: str, tokens_of_hello: int) -> None:
    assert await tokens.count("Hello, world!", model) == tokens_of_hello


async def test_special_words_are_text_like_any_other(tokens: Tokens) -> None:
    assert await tokens.count("<|endoftext|>", "gpt-4o") > 1


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        (said("Say hello, please"), 12),
        (said([{"type": "text", "text": "Say hello, please"}]), 12),
        (
            said(
                [{"type": "text", "text": "Say hello, please"}, {"type": "image_url", "image_url": {"url": "x" * 999}}]
            ),
            12,
        ),
        (said(None), 7),
        (call(Operation.COMPLETION, prompt="Say hello, please"), 4),
        (call(Operation.COMPLETION, prompt=["Say", "hello"]), 3),
        (call(Operation.COMPLETION, prompt=[1, 2, 3]), 3),
        (call(Operation.COMPLETION, prompt=[[1, 2], [3]]), 3),
        (call(Operation.EMBEDDINGS, input="Say hello, please"), 4),
        (call(Operation.EMBEDDINGS, input=[1, 2, 3, 4]), 4),
        (call(Operation.EMBEDDINGS, input=[[1, 2], [3, 4]]), 4),
    ],
)
async def test_what_a_call_sends(tokens: Tokens, asked: Call, count: int) -> None:
    assert await tokens.sent(asked, "gpt-4o") == count


async def test_tools_count_too(tokens: Tokens) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "description": "Tells the weather of a city"}}]

    assert await tokens.sent(said("hi", tools=tools), "gpt-4o") > await tokens.sent(said("hi"), "gpt-4o") + 5


@pytest.mark.parametrize("text", [" ", "a", "\n", "^", "é", "🦊", "ab "], ids=repr)
async def test_a_million_of_one_character_are_counted_while_other_calls_go_on(tokens: Tokens, text: str) -> None:
    turns = 0
    counting = asyncio.ensure_future(tokens.count(text * (1_000_000 // len(text)), "gpt-4o"))
    while not counting.done():
        await asyncio.sleep(0)
        turns += 1

    assert await counting > 1000
    assert turns > 1


async def test_a_long_text_counts_as_its_parts_do(tokens: Tokens) -> None:
    sentence = "The quick brown fox jumps over the lazy dog. "

    one = await tokens.count(sentence * 100, "gpt-4o")
    many = await tokens.count(sentence * 5000, "gpt-4o")

    assert abs(many - 50 * one) <= 60
