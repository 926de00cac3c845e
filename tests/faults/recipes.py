"""The recipes of misbehaviour: functions that make an answer's script, and functions that make such functions.

Most misbehave in the kind of answer that was asked for: a stream when a stream was asked, else one document. `HELLO` is
what a provider without a fault says, so a gateway that hides a fault delivers exactly that.
"""

import json
import random
import zlib
from collections.abc import Callable
from typing import Any

from tests.faults import openai
from tests.faults.openai import Asked
from tests.faults.player import head_bytes
from tests.faults.steps import (
    CUT,
    DONE,
    HALF_CLOSE,
    HANG,
    Act,
    Body,
    Event,
    Finish,
    Head,
    Json,
    Raw,
    Say,
    Script,
    Sleep,
    Split,
    Status,
    Step,
    Tool,
    Usage,
)

Steps = tuple[Step, ...]
Build = Callable[..., Steps | Script]

HELLO = ("Hello", ", ", "world")
SSE = ("Content-Type", "text/event-stream")
JSON = ("Content-Type", "application/json")
PAUSE = Sleep(0.05)
"""Lets what was said so far travel alone, so that a fault behind it comes after the first chunk."""
FIRST_WORD: Steps = (Say(HELLO[0]),)
HTML = b"<html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>"


def say(asked: Asked, count: int | None = None) -> Steps:
    """The answer's words, as many as the asked cap allows; `count` of them instead of HELLO."""
    words = HELLO if count is None else ("word ",) * count
    if asked.cap is not None:
        words = words[: asked.cap]
    return tuple(Say(word, choice=choice) for choice in range(asked.choices) for word in words)


def end(asked: Asked, said: Steps, reason: str = "stop") -> Steps:
    """What follows the words: finish, usage where it is due, done."""
    usage = Usage(asked.prompt_tokens, sum(step.tokens for step in said if isinstance(step, Say | Tool)))
    due = (usage,) if asked.wants_usage or not asked.stream else ()
    return (Finish(reason), *due, DONE)


def good(asked: Asked) -> Steps:
    """The whole good answer as steps."""
    said = say(asked)
    return (*said, *end(asked, said))


def reply(asked: Asked) -> tuple[tuple[str, str], bytes]:
    """The content type and the body of the whole good answer."""
    if asked.stream:
        return SSE, openai.stream(asked, good(asked))
    return JSON, json.dumps(openai.document(asked, good(asked))).encode()


def ok(asked: Asked, count: str | None = None) -> Steps:
    said = say(asked, int(count) if count else None)
    return (*said, *end(asked, said, "length" if asked.cap == len(said) // asked.choices else "stop"))


def ok_tools(asked: Asked) -> Steps:
    call = Tool("get_weather", '{"city":"Zürich"}')
    return (call, *end(asked, (call,), "tool_calls"))


def ok_random(asked: Asked) -> Steps:
    said = say(asked, random.Random(asked.number).randint(1, asked.cap or 64))
    return (*said, *end(asked, said))


def with_usage(prompt: Any, completion: Any) -> Build:
    """A good answer that reports this usage."""
    return lambda asked: (*say(asked), Finish(), Usage(prompt, completion), DONE)


def raw_head(block: bytes) -> Build:
    """A good answer under a head that starts with these bytes instead of a status line."""

    def build(asked: Asked) -> Steps:
        kind, payload = reply(asked)
        return Raw(block + b"%s: %s\r\nContent-Length: %d\r\n\r\n" % (*_latin(kind), len(payload)) + payload), CUT

    return build


def framed(framing: str, *, shift: int = 0, status_line: str = "HTTP/1.1 200 OK") -> Build:
    """A good answer under this framing; `$` in it stands for its length, moved by `shift`."""

    def build(asked: Asked) -> Steps:
        kind, payload = reply(asked)
        lines = framing.replace("$", str(len(payload) + shift))
        return Raw(f"{status_line}\r\n{kind[0]}: {kind[1]}\r\n{lines}\r\n".encode() + payload), CUT

    return build


def document(payload: bytes) -> Build:
    """A whole answer of these bytes; a stream says one good word, then an event of these bytes."""

    def build(asked: Asked) -> Steps:
        if not asked.stream:
            return (Status(200, payload),)
        said = Say(HELLO[0])
        return said, PAUSE, Body(b"data: " + payload + b"\n\n"), *end(asked, (said,))

    return build


def reshaped(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Build:
    """The good document with something changed; a stream changes its second chunk the same way."""

    def build(asked: Asked) -> Steps:
        if not asked.stream:
            return (Json(change(openai.document(asked, good(asked)))),)
        second = change(openai.chunk(asked, delta={"content": ", "}))
        return Say(HELLO[0]), PAUSE, Event(second), Say(HELLO[2]), *end(asked, say(asked))

    return build


def sse(rewrite: Callable[[bytes], bytes]) -> Build:
    """The good stream with its bytes rewritten; a whole answer is left alone."""

    def build(asked: Asked) -> Steps:
        if not asked.stream:
            return good(asked)
        return Head(headers=(SSE,)), Body(rewrite(reply(asked)[1]))

    return build


def ended_after(act: Act) -> Build:
    """The good answer up to this many bytes of its body, then this end."""

    def build(asked: Asked, count: str) -> Steps:
        kind, payload = reply(asked)
        length = None if asked.stream else len(payload)
        last = (HALF_CLOSE, HANG) if act is HALF_CLOSE else (act,)
        return Head(headers=(kind,), length=length), Body(payload[: int(count)]), *last

    return build


def status(asked: Asked, code: str, retry_after: str | None = None) -> Steps:
    waits = {
        "date": "Wed, 21 Oct 2115 07:28:00 GMT",
        "minus1": "-1",
        "garbage": "soon; maybe",
        None: None,
    }
    wait = waits.get(retry_after, retry_after)
    return (Status(int(code), headers=(("Retry-After", wait),) if wait else ()),)


def bad_key(asked: Asked, code: str) -> Steps:
    message = f"Incorrect API key provided: {asked.key}. Find your key at https://example.com/keys."
    return (Json(openai.error(int(code), message=message, code="invalid_api_key"), status=int(code)),)


def interim(block: bytes) -> Build:
    """An interim response, then the good answer."""

    def build(asked: Asked) -> Steps:
        kind, payload = reply(asked)
        return (Raw(block + head_bytes(200, (kind, ("Content-Length", str(len(payload))))) + payload),)

    return build


def encoded(name: str, encode: Callable[[bytes], bytes]) -> Build:
    """The good answer under this `Content-Encoding`."""

    def build(asked: Asked) -> Steps:
        kind, payload = reply(asked)
        packed = encode(payload)
        return Head(headers=(kind, ("Content-Encoding", name)), length=len(packed)), Body(packed)

    return build


def gzip_bomb(asked: Asked) -> Steps:
    """About a mebibyte that unpacks to a gibibyte inside one JSON string."""
    opening = b'{"choices":[],"padding":"' if not asked.stream else b'data: {"choices":[],"padding":"'
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = packer.compress(opening) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b"a" * (10 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    kind = SSE if asked.stream else JSON
    bomb = packed + block * 100
    return Head(headers=(kind, ("Content-Encoding", "gzip")), length=len(bomb)), Body(bomb)


def wrong_way_round(asked: Asked) -> Steps:
    """A document when a stream was asked, a stream when a document was."""
    if asked.stream:
        return (Json(openai.document(asked, good(asked))),)
    return Head(headers=(SSE,)), Body(openai.stream(asked, good(asked)))


def wrong_content_type(asked: Asked) -> Steps:
    payload = reply(asked)[1]
    return Head(headers=(("Content-Type", "text/plain"),), length=len(payload)), Body(payload)


def slow(asked: Asked, milliseconds: str) -> Steps:
    steps: list[Step] = []
    for word in say(asked):
        steps += [word, Sleep(int(milliseconds) / 1000)]
    return (*steps, *end(asked, say(asked)))


def late_headers(asked: Asked, milliseconds: str) -> Steps:
    return Sleep(int(milliseconds) / 1000), *good(asked)


def late_first_token(asked: Asked, milliseconds: str) -> Steps:
    if not asked.stream:
        return late_headers(asked, milliseconds)
    return Head(headers=(SSE,)), Sleep(int(milliseconds) / 1000), *good(asked)


def stall(asked: Asked, milliseconds: str) -> Steps:
    first, *rest = good(asked)
    return first, Sleep(int(milliseconds) / 1000), *rest


def hang_after_chunks(asked: Asked, count: str) -> Steps:
    return *say(asked, int(count)), HANG


def forever(step: Step, *, milliseconds: int, opening: Steps = FIRST_WORD) -> Build:
    """The opening, then this step again and again for a minute."""

    def build(asked: Asked) -> Steps:
        if not asked.stream:
            return (HANG,)
        return *opening, *((step, Sleep(milliseconds / 1000)) * (60_000 // milliseconds)), HANG

    return build


def header_drip(asked: Asked) -> Steps:
    steps: list[Step] = [Raw(b"HTTP/1.1 200 OK\r\nX-Drip: ")]
    for _ in range(600):
        steps += [Raw(b"a"), Sleep(0.1)]
    return tuple(steps)


def poured(opening: bytes, piece: bytes, times: int) -> Build:
    """A stream that pours out one piece very many times; a whole answer does it inside one string."""

    def build(asked: Asked) -> Steps:
        if not asked.stream:
            return Head(headers=(JSON,)), Body(b'{"padding":"'), *(Body(b"a" * (1 << 16)),) * (times // 2), HANG
        return Say(HELLO[0]), Body(opening), *(Body(piece),) * times, *end(asked, (Say(HELLO[0]),))

    return build


def crossed(asked: Asked) -> Steps:
    if not asked.stream:
        return (Json(openai.document(asked, good(asked)) | {"id": "chatcmpl-of-another"}),)
    other = openai.chunk(asked, delta={"content": "someone else's secret"}) | {"id": "chatcmpl-of-another"}
    return Say(HELLO[0]), Say(HELLO[1]), Event(other), Say(HELLO[2]), *end(asked, say(asked))


def extra_bytes(asked: Asked) -> Steps:
    """A desync: a second, unasked answer right behind the first."""
    kind, payload = reply(asked)
    evil = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"evil"},"finish_reason":"stop"}]}'
    one = head_bytes(200, (kind, ("Content-Length", str(len(payload))))) + payload
    return (Raw(one + head_bytes(200, (JSON, ("Content-Length", str(len(evil))))) + evil),)


def evil_headers(asked: Asked) -> Steps:
    kind, payload = reply(asked)
    evil = (
        ("Set-Cookie", "session=evil"),
        ("Server", "secret-server/1.0"),
        ("X-Internal-Host", "10.1.2.3"),
        ("Connection", "x-evil"),
        ("X-Evil", "1"),
        ("Keep-Alive", "timeout=1"),
        ("Access-Control-Allow-Origin", "*"),
        ("X-Request-Id", "of-the-provider"),
    )
    return Head(headers=(kind, *evil), length=len(payload)), Body(payload)


def ignores_max_tokens(asked: Asked) -> Steps:
    words = (Say("word "),) * (5 * (asked.cap or 20))
    return *words, Finish(), Usage(asked.prompt_tokens, len(words)), DONE


def unknown_fields(asked: Asked) -> Steps:
    extra = {"reasoning_content": "thinking", "refusal": None, "annotations": [{"type": "x"}], "zz_new": {"a": 1}}
    if asked.stream:
        delta = openai.chunk(asked, delta={"role": "assistant", "content": HELLO[0]} | extra)
        return Event(delta, tokens=1), Say(HELLO[1]), Say(HELLO[2]), *end(asked, say(asked))
    answer = openai.document(asked, good(asked)) | {"zz_top": [1]}
    answer["choices"][0]["message"] |= extra
    return (Json(answer),)


def tool(arguments: Any) -> Build:
    """One tool call with these arguments."""

    def build(asked: Asked) -> Steps:
        call = Tool("get_weather", arguments)
        return call, *end(asked, (call,), "tool_calls")

    return build


def tool_deltas(*deltas: dict[str, Any]) -> Build:
    """A streamed tool call made of these deltas; a whole answer is a good tool call."""

    def build(asked: Asked) -> Steps:
        if not asked.stream:
            return ok_tools(asked)
        said = [Event(openai.chunk(asked, delta={"tool_calls": [delta]}), tokens=1) for delta in deltas]
        return *said, *end(asked, (), "tool_calls")

    return build


def delta(index: int | None, arguments: str, id: str | None = None, name: str | None = None) -> dict[str, Any]:
    """One element of `delta.tool_calls`, without what is None."""
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    whole = {"index": index, "id": id, "type": "function" if id else None, "function": function}
    return {key: value for key, value in whole.items() if value is not None}


def split_every_byte(asked: Asked) -> Script:
    return Script(good(asked), split=Split(every=1))


def usage_in_each_chunk(asked: Asked) -> Steps:
    if not asked.stream:
        return good(asked)
    steps: list[Step] = []
    for number, word in enumerate(HELLO):
        usage = openai.usage_block(Usage(asked.prompt_tokens, number + 1))
        steps.append(Event(openai.chunk(asked, delta={"content": word}) | {"usage": usage}, tokens=1))
    return *steps, Finish(), DONE


def content(value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(answer: dict[str, Any]) -> dict[str, Any]:
        choice = answer["choices"][0]
        choice["message" if "message" in choice else "delta"]["content"] = value
        return answer

    return change


def _latin(pair: tuple[str, str]) -> tuple[bytes, bytes]:
    return pair[0].encode("latin-1"), pair[1].encode("latin-1")


def multiline(stream: bytes) -> bytes:
    return stream.replace(b'"choices":', b'\ndata: "choices":')


def fields(stream: bytes) -> bytes:
    return stream.replace(b"data: ", b"event: message\nid: 7\nretry: 1000\ndata: ")


def mixed(stream: bytes) -> bytes:
    events = stream.split(b"\n\n")[:-1]
    ends = (b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n")
    return b"".join(event + ends[number % len(ends)] for number, event in enumerate(events))


SURROGATE = (
    b'{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"\\ud800"},"delta":{"content":"\\ud800"}}]}'
)
BAD_UTF8 = SURROGATE.replace(b"\\ud800", b"\xff\xfe")
NAN = SURROGATE.replace(b"\\ud800", b"x").replace(b'"index":0', b'"index":NaN')
OVERLOADED = '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
SERVER_ERROR = openai.error(500, message="the model crashed with sk-chaos-canary in hand", code="server_error")
MEBIBYTE = 1 << 20
