"""The faults by name: an upstream model is answered by the row of `FAULTS` whose pattern it matches."""

import gzip
import json
import re

from tests.faults import openai
from tests.faults.openai import Asked
from tests.faults.recipes import (
    BAD_UTF8,
    HTML,
    MEBIBYTE,
    NAN,
    OVERLOADED,
    PAUSE,
    SERVER_ERROR,
    SSE,
    SURROGATE,
    Build,
    bad_key,
    content,
    crossed,
    delta,
    document,
    encoded,
    ended_after,
    evil_headers,
    extra_bytes,
    fields,
    forever,
    framed,
    good,
    gzip_bomb,
    hang_after_chunks,
    header_drip,
    ignores_max_tokens,
    interim,
    late_first_token,
    late_headers,
    mixed,
    multiline,
    ok,
    ok_random,
    ok_tools,
    poured,
    raw_head,
    reply,
    reshaped,
    say,
    slow,
    split_every_byte,
    sse,
    stall,
    status,
    tool,
    tool_deltas,
    unknown_fields,
    usage_in_each_chunk,
    with_usage,
    wrong_content_type,
    wrong_way_round,
)
from tests.faults.steps import (
    CUT,
    DIE_ON_REUSE,
    DONE,
    HALF_CLOSE,
    HANG,
    RESET,
    Body,
    Event,
    Finish,
    Head,
    Json,
    Raw,
    Say,
    Script,
    Status,
    Usage,
)


def script(asked: Asked) -> Script:
    """The answer to a call that no test scripted: by its upstream model, up to the first `@`."""
    name = asked.model.partition("@")[0]
    for pattern, build in FAULTS:
        if match := re.fullmatch(pattern, name):
            built = build(asked, *match.groups())
            return built if isinstance(built, Script) else Script(built)
    return Script((Json(openai.error(404, message=f"no model {name}", code="model_not_found"), status=404),))


FAULTS: tuple[tuple[str, Build], ...] = (
    # Providers without a fault.
    ("ok", ok),
    (r"ok-(\d+)-tokens", ok),
    ("ok-tools", ok_tools),
    ("ok-random", ok_random),
    # Connections and heads.
    ("fault/reset-after-request", lambda asked: (RESET,)),
    ("fault/close-after-request", lambda asked: (CUT,)),
    ("fault/reset-after-headers", lambda asked: (Head(headers=(reply(asked)[0],)), RESET)),
    ("fault/hang-before-headers", lambda asked: (HANG,)),
    ("fault/hang-after-headers", lambda asked: (Head(headers=(reply(asked)[0],)), HANG)),
    (r"fault/headers-after-(\d+)ms", late_headers),
    ("fault/header-drip", header_drip),
    ("fault/header-1mb", raw_head(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * MEBIBYTE + b"\r\n")),
    ("fault/headers-10000", raw_head(b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 10_000)),
    ("fault/header-nul", raw_head(b"HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\n")),
    ("fault/header-bare-cr", raw_head(b"HTTP/1.1 200 OK\r\nX-Cr: a\rb\r\n")),
    ("fault/status-line-garbage", raw_head(b"SSH-2.0-OpenSSH_9.2\r\n")),
    ("fault/interim-100", interim(b"HTTP/1.1 100 Continue\r\n\r\n")),
    ("fault/interim-103", interim(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")),
    ("fault/switching-101", lambda asked: (Raw(b"HTTP/1.1 101 \r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), HANG)),
    (r"fault/redirect-(\d+)", lambda asked, code: (Status(int(code), b"", (("Location", "/v1/stolen"),)),)),
    (
        "fault/redirect-private",
        lambda asked: (Status(302, b"", (("Location", "http://169.254.169.254/latest/meta-data"),)),),
    ),
    # Statuses.
    (r"fault/bad-key-(401|403)", bad_key),
    (r"fault/status-(\d{3})", status),
    (r"fault/status-(\d{3})-retry-after-(\w+)", status),
    (r"fault/status-429-retry-after-ms-(\d+)", lambda asked, ms: (Status(429, headers=(("retry-after-ms", ms),)),)),
    (
        r"fault/refused-(\d{3})",
        lambda asked, code: (
            Json(
                {"error": {"message": "too long", "type": "x", "param": "messages", "code": "string_above_max_length"}},
                status=int(code),
            ),
        ),
    ),
    (r"fault/html-(\d{3})", lambda asked, code: (Status(int(code), HTML, (("Content-Type", "text/html"),)),)),
    (
        r"fault/long-error-(\d{3})",
        lambda asked, code: (
            Json(openai.error(int(code), message=f"{asked.key} é\n\x1b[31m" * 2000), status=int(code)),
        ),
    ),
    # Whole answers that are none.
    ("fault/error-in-200", lambda asked: (Json(SERVER_ERROR),)),
    ("fault/empty", lambda asked: (Status(200, b""),)),
    ("fault/html", lambda asked: (Status(200, HTML, (("Content-Type", "text/html"),)),)),
    ("fault/array", lambda asked: (Json([1, 2, 3]),)),
    ("fault/no-choices", reshaped(lambda answer: {key: value for key, value in answer.items() if key != "choices"})),
    ("fault/empty-choices", reshaped(lambda answer: answer | {"choices": []})),
    ("fault/choices-number", reshaped(lambda answer: answer | {"choices": 5})),
    ("fault/choice-string", reshaped(lambda answer: answer | {"choices": ["x"]})),
    ("fault/content-number", reshaped(content(5))),
    ("fault/content-null", reshaped(content(None))),
    ("fault/extra-5mb", reshaped(lambda answer: answer | {"padding": "a" * (5 * MEBIBYTE)})),
    ("fault/bad-json", document(b'{"id": oops}')),
    ("fault/truncated-json", document(SURROGATE[:60])),
    ("fault/nan", document(NAN)),
    ("fault/bad-utf8", document(BAD_UTF8)),
    ("fault/lone-surrogate", document(SURROGATE)),
    ("fault/two-documents", document(b"{}{}")),
    ("fault/deep-json", document(b"[" * 100_000 + b"]" * 100_000)),
    # Framing.
    ("fault/length-too-large", framed("Content-Length: $\r\n", shift=10)),
    ("fault/length-too-small", framed("Content-Length: $\r\n", shift=-20)),
    ("fault/both-framings", framed("Content-Length: $\r\nTransfer-Encoding: chunked\r\n")),
    ("fault/http10", framed("", status_line="HTTP/1.0 200 OK")),
    ("fault/chunked-cut", lambda asked: (Head(headers=(reply(asked)[0],)), Body(reply(asked)[1][:200]), CUT)),
    ("fault/chunk-size-garbage", lambda asked: (Head(headers=(reply(asked)[0],)), Raw(b"zz\r\nhello\r\n"), CUT)),
    # Encodings.
    ("fault/gzip", encoded("gzip", gzip.compress)),
    ("fault/gzip-bomb", gzip_bomb),
    ("fault/gzip-corrupt", encoded("gzip", lambda payload: gzip.compress(payload)[:20] + b"\0" * 40)),
    ("fault/encoding-unknown", encoded("br", lambda payload: b"\x0b\x02\x80" + payload)),
    ("fault/wrong-way-round", wrong_way_round),
    ("fault/wrong-content-type", wrong_content_type),
    # The bytes of a stream.
    ("fault/split-every-byte", split_every_byte),
    ("fault/sse-crlf", sse(lambda stream: stream.replace(b"\n", b"\r\n"))),
    ("fault/sse-cr", sse(lambda stream: stream.replace(b"\n", b"\r"))),
    ("fault/sse-mixed", sse(mixed)),
    ("fault/sse-comments", sse(lambda stream: stream.replace(b"data: ", b": ping\n\n:\ndata: "))),
    ("fault/sse-fields", sse(fields)),
    ("fault/sse-multiline", sse(multiline)),
    ("fault/sse-no-space", sse(lambda stream: stream.replace(b"data: ", b"data:"))),
    ("fault/sse-bom", sse(lambda stream: b"\xef\xbb\xbf" + stream)),
    ("fault/sse-no-final-blank", sse(lambda stream: stream.rstrip(b"\n") + b"\n")),
    ("fault/sse-no-final-line-end", sse(lambda stream: stream.rstrip(b"\n"))),
    # The end of a stream.
    ("fault/no-done", lambda asked: good(asked)[:-1]),
    ("fault/no-finish", say),
    ("fault/done-without-finish", lambda asked: (*say(asked), DONE)),
    ("fault/done-first", lambda asked: (DONE, *good(asked)) if asked.stream else say(asked)),
    (
        "fault/data-after-done",
        lambda asked: (*good(asked), Say("after done", tokens=0)) if asked.stream else good(asked),
    ),
    ("fault/done-twice", lambda asked: (*good(asked), DONE)),
    (r"fault/cut-after-(\d+)", ended_after(CUT)),
    (r"fault/reset-after-(\d+)", ended_after(RESET)),
    (r"fault/hang-after-(\d+)", ended_after(HANG)),
    (r"fault/half-close-after-(\d+)", ended_after(HALF_CLOSE)),
    (r"fault/hang-after-(\d+)-chunks", hang_after_chunks),
    (r"fault/cut-after-(\d+)-chunks", lambda asked, count: (*say(asked, int(count)), CUT)),
    (r"fault/reset-after-(\d+)-chunks", lambda asked, count: (*say(asked, int(count)), RESET)),
    ("fault/hang-after-finish", lambda asked: (*good(asked), HANG)),
    ("fault/error-first", lambda asked: (Event(SERVER_ERROR),) if asked.stream else (Json(SERVER_ERROR),)),
    (
        "fault/error-mid-stream",
        lambda asked: (*say(asked), PAUSE, Event(SERVER_ERROR)) if asked.stream else (Json(SERVER_ERROR),),
    ),
    (
        "fault/error-event",
        lambda asked: (
            (*say(asked), PAUSE, Body(f"event: error\ndata: {OVERLOADED}\n\n".encode()))
            if asked.stream
            else (Json(json.loads(OVERLOADED)),)
        ),
    ),
    # Usage.
    ("fault/no-usage", lambda asked: (*say(asked), Finish(), DONE)),
    ("fault/usage-each-chunk", usage_in_each_chunk),
    ("fault/usage-after-done", lambda asked: (*say(asked), Finish(), DONE, Usage(7, 3))),
    ("fault/usage-zero", with_usage(0, 0)),
    ("fault/usage-negative", with_usage(-5, -7)),
    ("fault/usage-text", with_usage("7", "3")),
    ("fault/usage-float", with_usage(7.5, 3.5)),
    ("fault/usage-much", with_usage(10_000, 10_000)),
    ("fault/usage-huge", with_usage(10**30, 10**30)),
    ("fault/usage-twice", lambda asked: (*say(asked), Finish(), Usage(7, 1), Usage(7, 3), DONE)),
    ("fault/ignores-max-tokens", ignores_max_tokens),
    # Time.
    (r"fault/slow-chunk-(\d+)ms", slow),
    (r"fault/first-token-after-(\d+)ms", late_first_token),
    (r"fault/stall-(\d+)ms", stall),
    ("fault/endless", forever(Say("word "), milliseconds=10)),
    ("fault/comments-forever", forever(Body(b": keep-alive\n\n"), milliseconds=100)),
    ("fault/comments-before-first-token", forever(Body(b": x\n\n"), milliseconds=100, opening=(Head(headers=(SSE,)),))),
    # Size.
    ("fault/line-100mb", poured(b'data: {"choices":[],"padding":"', b"a" * (1 << 16), 1600)),
    ("fault/no-newline-20mb", poured(b"", b"a" * (1 << 16), 320)),
    ("fault/events-1000000", poured(b"", b"\n\n" * 10_000, 100)),
    # Answers that belong elsewhere, or hold more than they should.
    ("fault/other-model", reshaped(lambda answer: answer | {"model": "another-model-2024-08-06"})),
    ("fault/crossed", crossed),
    ("fault/die-on-reuse", lambda asked: (*good(asked), DIE_ON_REUSE)),
    ("fault/extra-bytes", extra_bytes),
    ("fault/evil-headers", evil_headers),
    ("fault/unknown-fields", unknown_fields),
    # Tool calls.
    ("fault/tool-broken-arguments", tool('{"city": "Zür')),
    ("fault/tool-5mb-arguments", tool("a" * (5 * MEBIBYTE))),
    ("fault/tool-arguments-object", tool({"city": "Bern"})),
    ("fault/tool-no-index", tool_deltas(delta(None, "", "call_1", "f"), delta(None, "{}"))),
    (
        "fault/tool-interleaved",
        tool_deltas(
            delta(0, "", "call_1", "f"),
            delta(1, "", "call_2", "g"),
            delta(0, '{"a":'),
            delta(1, '{"b":'),
            delta(0, "1}"),
            delta(1, "2}"),
        ),
    ),
    ("fault/tool-id-changes", tool_deltas(delta(0, "", "call_1", "f"), delta(0, "{}", "call_2"))),
)
