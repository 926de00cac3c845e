"""The `"usage": null` of every chunk, which only our asking for usage brings, is taken out; nothing else ever is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.call import Call, Operation
from gateway.upstream.dialects import openai, sse

CHOICES = '"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]'
CALL = Call(
    id="r",
    operation=Operation.CHAT,
    received=0,
    model="m",
    body=b"{}",
    fields={"model": "m", "messages": []},
    stream=True,
)


def passed(event: str, *, injected: bool = True) -> str:
    codec = openai.StreamedAnswer(CALL, injected=injected)
    given = codec.feed(event.encode())
    assert codec.failure is None
    return given.decode()


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        (f'{{{CHOICES},"usage":null}}', f"{{{CHOICES}}}"),
        (f'{{{CHOICES},"usage":null,"obfuscation":"x"}}', f'{{{CHOICES},"obfuscation":"x"}}'),
        (f'{{"id":"c",  {CHOICES}, "usage": null}}', f'{{"id":"c",  {CHOICES}}}'),
        (f'{{"usage":null,{CHOICES}}}', f"{{{CHOICES}}}"),
        (f'{{{CHOICES} , "usage" :null}}', f"{{{CHOICES}}}"),
        (f'{{{CHOICES},"usage":null,"x":{{"a":1,"usage":null}}}}', f'{{{CHOICES},"x":{{"a":1,"usage":null}}}}'),
        (f'{{"x":{{"a":1,"usage":null}},{CHOICES},"usage":null}}', f'{{"x":{{"a":1,"usage":null}},{CHOICES}}}'),
        (f'{{"x":["usage"],{CHOICES},"usage":null}}', f'{{"x":["usage"],{CHOICES}}}'),
        (f'{{{CHOICES},"x":1.50,"usage":null,"usage":null}}', f'{{{CHOICES},"x":1.50}}'),
    ],
)
def test_the_null_of_the_chunk_itself_is_taken_out(chunk: str, expected: str) -> None:
    assert passed(f"data: {chunk}\n\n") == f"data: {expected}\n\n"


def _content(text: str) -> str:
    choice: dict[str, Any] = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return json.dumps({"choices": [choice]}, separators=(",", ":"))


@pytest.mark.parametrize(
    "chunk",
    [
        f'{{"x_groq":{{"id":"q","usage":null}},{CHOICES}}}',
        f'{{{CHOICES},"x":[{{"a":1,"usage":null}}]}}',
        '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f"},"usage":null}]}}]}',
        _content('say ,"usage":null to me'),
        _content('{"a":1,"usage":null}'),
        _content("usage"),
    ],
)
def test_what_stands_inside_the_chunk_stays(chunk: str) -> None:
    assert passed(f"data: {chunk}\n\n") == f"data: {chunk}\n\n"


def test_text_that_looks_like_it_stays_while_the_chunk_s_own_goes() -> None:
    chunk = _content('say ,"usage":null to me')

    assert passed(f'data: {chunk[:-1]},"usage":null}}\n\n') == f"data: {chunk}\n\n"


def test_a_client_that_asked_for_usage_gets_every_chunk_as_it_was_written() -> None:
    event = f'data: {{{CHOICES},"usage":null}}\n\n'

    assert passed(event, injected=False) == event


@pytest.mark.parametrize("end", ["\r\n\r\n", "\r\r", "\n\n"], ids=repr)
@pytest.mark.parametrize("null", [',"usage":null', ',"usage" : null'])
def test_the_rest_of_an_event_stays_as_it_was(end: str, null: str) -> None:
    line_end = end[: len(end) // 2]
    codec = openai.StreamedAnswer(CALL, injected=True)

    given = codec.feed(f": note{line_end}id: 7{line_end}data:{{{CHOICES}{null}}}{end}".encode())
    given += codec.feed(f"data: {{{CHOICES}}}\n\n".encode())

    first, second = sse.events(given)
    assert first.startswith(f": note{line_end}id: 7{line_end}".encode())
    assert (
        json.loads(sse.data_of(first) or b"") == json.loads(sse.data_of(second) or b"") == json.loads(f"{{{CHOICES}}}")
    )


def test_of_several_chunks_at_once_each_loses_its_own() -> None:
    with_null, without = f'data: {{{CHOICES},"usage":null}}\n\n', f"data: {{{CHOICES}}}\n\n"

    assert passed(with_null + without + ": ping\n\n" + with_null) == without * 2 + ": ping\n\n" + without
