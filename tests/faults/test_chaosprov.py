"""The misbehaving provider misbehaves as scripted, and its oracle tells the truth."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults.chaosprov import Chaosprov
from tests.faults.faults import FAULTS
from tests.faults.http1 import Body, Head, read_body, read_head
from tests.faults.steps import (
    CUT,
    DONE,
    HALF_CLOSE,
    HANG,
    RESET,
    Finish,
    Json,
    Raw,
    Say,
    Sleep,
    Split,
    Status,
    Tool,
    Usage,
)


@dataclass(frozen=True)
class Client:
    """A connection to the provider."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def ask(self, **body: Any) -> None:
        payload = json.dumps({"model": "ok", "messages": [{"role": "user", "content": "hi"}]} | body).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(payload)}\r\n\r\n"
        self.writer.write(head.encode() + payload)

    async def answer(self) -> tuple[Head, Body]:
        head = await read_head(self.reader)
        assert head is not None
        return head, await read_body(self.reader, head, until_close=True)

    async def document(self) -> Any:
        return json.loads((await self.answer())[1].data)

    async def events(self) -> list[Any]:
        text = (await self.answer())[1].data.decode()
        values = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
        return [value if value == "[DONE]" else json.loads(value) for value in values]


@pytest.fixture
async def provider() -> AsyncIterator[Chaosprov]:
    async with Chaosprov() as provider:
        yield provider


@pytest.fixture
async def client(provider: Chaosprov) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    yield Client(reader, writer)
    writer.close()


async def test_a_script_becomes_a_document(provider: Chaosprov, client: Client) -> None:
    provider.will(Say("Hel"), Say("lo"), Finish("stop"), Usage(7, 2))

    client.ask()
    answer = await client.document()

    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "Hello"}
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


async def test_the_same_script_becomes_a_stream(provider: Chaosprov, client: Client) -> None:
    provider.will(Say("Hel"), Say("lo"), Finish("stop"), Usage(7, 2), DONE)

    client.ask(stream=True)
    first, second, finish, usage, done = await client.events()

    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "Hel"}
    assert second["choices"][0]["delta"] == {"content": "lo"}
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert done == "[DONE]"


async def test_a_tool_call_comes_whole_or_in_deltas(provider: Chaosprov, client: Client) -> None:
    provider.will(Tool("f", '{"a":1}'), Finish("tool_calls"))
    provider.will(Tool("f", '{"a":1}'), Finish("tool_calls"), DONE)

    client.ask()
    whole = (await client.document())["choices"][0]["message"]["tool_calls"][0]
    client.ask(stream=True)
    deltas = [event["choices"][0]["delta"]["tool_calls"][0] for event in (await client.events())[:3]]

    assert whole["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert "".join(delta["function"]["arguments"] for delta in deltas) == '{"a":1}'


async def test_the_oracle_keeps_what_came_and_counts_what_went(provider: Chaosprov, client: Client) -> None:
    provider.will(Say("Hel"), Say("lo", tokens=3), Finish(), Usage(7, 4), DONE)

    client.ask(stream=True, user="é")
    await client.events()
    call = await provider.asked()

    assert call.path == "/v1/chat/completions"
    assert call.header("host") == "x"
    assert call.json["user"] == "é"
    assert call.produced == 4
    assert call.usage == {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}
    assert call.closed_at is None
    assert call.bytes_written > 500


@pytest.mark.parametrize("stream", [False, True])
async def test_a_peer_that_leaves_is_noticed_at_once(provider: Chaosprov, client: Client, stream: bool) -> None:
    provider.will(Say("Hel"), HANG)
    client.ask(stream=stream)
    await client.reader.readuntil(b"chatcmpl-1")

    client.writer.close()
    call = await provider.disconnected()

    assert call.closed_at is not None
    assert call.produced == 1
    await provider.idle()
    assert provider.open_connections == 0


async def test_a_cut_ends_without_the_end_of_the_body(provider: Chaosprov, client: Client) -> None:
    provider.will(Say("Hel"), CUT)

    client.ask(stream=True)
    _, body = await client.answer()

    assert b"Hel" in body.data
    assert not body.whole
    assert provider.calls[0].closed_at is None


async def test_a_cut_document_is_half_a_document(provider: Chaosprov, client: Client) -> None:
    provider.will(Say("Hello"), CUT)

    client.ask()
    head, body = await client.answer()

    assert len(body.data) == int(head.header("content-length") or 0) // 2


async def test_a_reset_is_a_reset_after_the_bytes_before_it(provider: Chaosprov, client: Client) -> None:
    provider.will(Say("Hel"), RESET)
    client.ask(stream=True)

    await client.reader.readuntil(b"Hel")
    with pytest.raises(ConnectionResetError):
        await client.reader.read()


async def test_a_half_close_still_listens(provider: Chaosprov, client: Client) -> None:
    provider.will(Say("Hel"), HALF_CLOSE, HANG)
    client.ask(stream=True)

    assert b"Hel" in await client.reader.read()
    client.writer.close()
    await provider.disconnected()


async def test_a_split_keeps_the_bytes(provider: Chaosprov, client: Client) -> None:
    steps = (Say("Zürich"), Finish(), DONE)
    provider.will(*steps)
    provider.will(*steps, split=Split(every=1))
    provider.will(*steps, split=(1, 10, 200))

    client.ask(stream=True)
    whole = await client.events()
    for _ in range(2):
        client.ask(stream=True)
        answer = await client.events()
        assert [event["choices"] for event in answer[:-1]] == [event["choices"] for event in whole[:-1]]


def test_a_split_cuts_where_it_was_told() -> None:
    assert Split(at=(2, 5)).pieces(b"abcdef", written=0) == [b"ab", b"cde", b"f"]
    assert Split(at=(2, 5)).pieces(b"cdef", written=2) == [b"cde", b"f"]
    assert Split(every=2).pieces(b"abcde", written=1) == [b"a", b"bc", b"de"]
    assert Split().pieces(b"abc", written=9) == [b"abc"]


async def test_statuses_documents_and_raw_bytes(provider: Chaosprov, client: Client) -> None:
    provider.will(Status(529, headers=(("Retry-After", "7"),)))
    provider.will(Json([1]))
    provider.will(Sleep(0), Raw(b"HTTP/1.1 204 \r\nX-Raw: 1\r\nContent-Length: 0\r\n\r\n"))

    client.ask()
    head, body = await client.answer()
    assert head.start.startswith("HTTP/1.1 529")
    assert head.header("retry-after") == "7"
    assert "error" in json.loads(body.data)
    client.ask()
    assert await client.document() == [1]
    client.ask()
    assert (await client.answer())[0].header("x-raw") == "1"
    assert {call.connection for call in provider.calls} == {1}


async def test_the_model_names_the_fault(provider: Chaosprov, client: Client) -> None:
    client.ask(model="fault/status-429-retry-after-7@anything")
    head, _ = await client.answer()
    assert head.start.startswith("HTTP/1.1 429")
    assert head.header("retry-after") == "7"

    client.ask(model="nonsense")
    head, _ = await client.answer()
    assert head.start.startswith("HTTP/1.1 404")


async def test_a_cap_is_kept_by_good_models_and_ignored_by_the_bad_one(provider: Chaosprov, client: Client) -> None:
    client.ask(model="ok", max_tokens=2)
    answer = await client.document()
    assert answer["usage"]["completion_tokens"] == 2
    assert answer["choices"][0]["finish_reason"] == "length"

    client.ask(model="fault/ignores-max-tokens", max_tokens=2)
    assert (await client.document())["usage"]["completion_tokens"] == 10


async def test_a_connection_that_dies_on_reuse_answers_once(provider: Chaosprov, client: Client) -> None:
    client.ask(model="fault/die-on-reuse")
    assert (await client.document())["choices"][0]["message"]["content"] == "Hello, world"

    client.ask()
    assert await read_head(client.reader) is None
    assert len(provider.calls) == 1


async def test_the_oracle_can_be_asked_over_http(provider: Chaosprov, client: Client) -> None:
    client.ask(model="ok")
    await client.document()

    client.writer.write(b"GET /__oracle?after=0 HTTP/1.1\r\nHost: x\r\n\r\n")
    told = await client.document()

    assert [call["model"] for call in told["calls"]] == ["ok"]
    assert told["calls"][0]["produced"] == 3
    assert told["open_connections"] == 0


async def test_a_call_can_be_reset_before_it_was_read(provider: Chaosprov, client: Client) -> None:
    client.writer.write(b"POST /reset-at-head/v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n")

    assert await read_head(client.reader) is None
    assert provider.calls == []


QUICK = [
    "fault/gzip-bomb",
    *(pattern for pattern, _ in FAULTS if not set(pattern) & set("(\\") and pattern != "fault/gzip-bomb"),
]
ENDLESS = ("hang", "forever", "endless", "comments", "drip", "101", "100mb", "20mb", "1000000", "half-close")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", [name for name in QUICK if not any(word in name for word in ENDLESS)])
async def test_every_fault_that_ends_does_end(provider: Chaosprov, client: Client, name: str, stream: bool) -> None:
    client.ask(model=name, stream=stream, stream_options={"include_usage": True})

    draining = asyncio.create_task(drain(client.reader))
    async with asyncio.timeout(5):
        call = await provider.asked()
        await provider.ended(call)
    draining.cancel()

    assert call.closed_at is None


async def drain(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(1 << 20):
            pass
