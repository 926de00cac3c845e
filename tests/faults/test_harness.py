"""The judge lets a good answer pass and finds each thing that can be wrong with a bad one."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.case import Expect
from tests.faults.harness import Seen, Wrong, judge
from tests.faults.http1 import Head

ERROR = {"error": {"message": "no", "type": "invalid_request_error", "param": "n", "code": "invalid_value"}}
HEADERS = {"content-type": "application/json", "x-request-id": "1", "x-should-retry": "false"}
REFUSED = Expect(status=400, code="invalid_value", param="n")
CHUNK = '{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":%s}]}'
BROKEN = json.dumps({"error": {"message": "cut", "type": "server_error", "param": None, "code": "upstream_truncated"}})


def seen(status: int, body: Any, **headers: str | None) -> Seen:
    lines = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    pairs = tuple((name, value) for name, value in lines.items() if value is not None)
    text = body if isinstance(body, str) else json.dumps(body)
    return Seen(status, Head(f"HTTP/1.1 {status} x", pairs), text.encode(), whole=True, seconds=0.1)


def stream(*values: str) -> Seen:
    return seen(200, "".join(f"data: {value}\n\n" for value in values), content_type="text/event-stream")


def test_a_good_refusal_passes() -> None:
    judge(seen(400, ERROR), REFUSED, key="K")


def error(**changes: Any) -> dict[str, Any]:
    return {"error": ERROR["error"] | changes}


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (seen(500, ERROR), "status 500"),
        (seen(400, ERROR, x_request_id=None), "no x-request-id"),
        (seen(400, ERROR, content_type="text/plain"), "content-type"),
        (seen(400, ERROR, x_should_retry=None), "x-should-retry"),
        (seen(400, "<html>"), "not JSON"),
        (seen(400, {"error": "no"} | {"more": 1}), "no envelope"),
        (seen(400, error(message="é")), "message"),
        (seen(400, error(message="a" * 513)), "message"),
        (seen(400, error(type="server_error")), "type"),
        (seen(400, error(code="other")), "code"),
        (seen(400, error(param=None)), "param"),
        (seen(400, error(message="key sk-chaos-canary")), "holds"),
        (seen(400, error(message="key KKKK")), "holds"),
        (replace(seen(400, ERROR), whole=False), "not whole"),
    ],
)
def test_a_bad_refusal_is_found(answer: Seen, complaint: str) -> None:
    with pytest.raises(Wrong, match=complaint):
        judge(answer, REFUSED, key="KKKK")


def test_what_may_be_tried_again_says_when() -> None:
    body = {"error": {"message": "no", "type": "server_error", "param": None, "code": "overloaded"}}
    busy = Expect(status=503, code="overloaded")

    judge(seen(503, body, x_should_retry="true", retry_after="2"), busy, key="K")
    with pytest.raises(Wrong, match="Retry-After"):
        judge(seen(503, body, x_should_retry="true"), busy, key="K")
    with pytest.raises(Wrong, match="Retry-After"):
        judge(seen(503, body, x_should_retry="true", retry_after="121"), busy, key="K")


def test_a_stream_ends_well_or_with_an_error_and_never_in_between() -> None:
    good, broken = Expect(text="Hi", finish="stop"), Expect(event=True, code="upstream_truncated")

    judge(stream(CHUNK % '"stop"', "[DONE]"), good, key="K")
    judge(stream(CHUNK % "null", BROKEN), broken, key="K")
    with pytest.raises(Wrong, match=r"does not end with \[DONE\]"):
        judge(stream(CHUNK % '"stop"'), good, key="K")
    with pytest.raises(Wrong, match="without a finish_reason"):
        judge(stream(CHUNK % "null", "[DONE]"), good, key="K")
    with pytest.raises(Wrong, match="in a failed stream"):
        judge(stream(CHUNK % "null", BROKEN, "[DONE]"), broken, key="K")
    with pytest.raises(Wrong, match="in a failed stream"):
        judge(stream(CHUNK % '"stop"', BROKEN), broken, key="K")
