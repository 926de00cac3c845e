"""The demo provider answers as a real one does, and always the same."""

from __future__ import annotations

import json
from typing import Any

from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.core.deployment import Provider
from gateway.upstream.demo import Demo


async def ask(path: str, **fields: Any) -> bytes:
    exchange = await Demo().acquire(Provider("demo", "demo"))
    body = json.dumps({"model": "demo", **fields}).encode()
    exchange.send(b"POST " + path.encode() + b" HTTP/1.1\r\nhost: x\r\n\r\n" + body)
    assert (await exchange.head()).status == 200
    answer = b""
    while piece := await exchange.read():
        answer += piece
    return answer


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


async def test_the_same_question_gets_the_same_answer() -> None:
    first = await ask("/chat/completions", messages=said("hi"))

    assert first == await ask("/chat/completions", messages=said("hi"))
    assert first != await ask("/chat/completions", messages=said("ho"))
    ChatCompletion.model_validate(json.loads(first), strict=True)


async def test_the_chunks_of_a_stream_add_up_to_the_whole_answer() -> None:
    whole = ChatCompletion.model_validate_json(await ask("/chat/completions", messages=said("one  two three")))
    stream = await ask(
        "/chat/completions", messages=said("one  two three"), stream=True, stream_options={"include_usage": True}
    )

    lines = [event[6:] for event in stream.split(b"\n\n") if event]
    chunks = [ChatCompletionChunk.model_validate_json(line) for line in lines[:-1]]

    assert lines[-1] == b"[DONE]"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage


async def test_an_answer_stops_at_its_cap() -> None:
    answer = ChatCompletion.model_validate_json(await ask("/chat/completions", messages=said("hi"), max_tokens=3))

    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("length", "This is the")


async def test_texts_that_share_words_are_near_each_other() -> None:
    answer = CreateEmbeddingResponse.model_validate_json(
        await ask("/embeddings", input=["a red fox", "a red dog", "nothing in common"])
    )

    fox, dog, other = (each.embedding for each in answer.data)
    assert sum(x * y for x, y in zip(fox, dog, strict=True)) > sum(x * y for x, y in zip(fox, other, strict=True))
