"""The rows are read strictly, and become the bytes they say."""

import re

import pytest

from tests.faults import case
from tests.faults.case import Send, generate, load, wire
from tests.faults.faults import FAULTS
from tests.faults.recipes import HELLO


def test_every_row_is_data_or_says_who_covers_it() -> None:
    groups = {one.id[0] for one in load()}

    assert groups == set("HJCTPAUDBFMREZ")
    assert len(load()) > 450
    assert all(one.is_data or one.by or one.later for one in load())


def test_every_model_a_row_asks_of_the_provider_is_one_it_knows() -> None:
    known = "|".join(f"(?:{pattern})" for pattern, _ in FAULTS)
    asked = {one.upstream for one in load() if one.upstream and one.upstream.startswith(("fault/", "ok"))}

    unknown = [model for model in asked if not re.fullmatch(known, model)]

    assert unknown == []
    assert "".join(HELLO) == "Hello, world"


def test_generators() -> None:
    assert generate({"repeat": "a", "times": 3}) == "aaa"
    assert generate({"repeat": "#", "times": 3, "number": "#", "separator": ","}) == "0,1,2"
    assert generate({"concat": ["a", {"repeat": "b", "times": 2}]}) == "abb"
    assert generate({"list": {"k": "v#"}, "times": 2, "number": "#"}) == [{"k": "v0"}, {"k": "v1"}]
    assert generate({"chunked": "hello"}) == "5\r\nhello\r\n0\r\n\r\n"
    assert generate({"a": [{"repeat": "x", "times": 2}]}) == {"a": ["xx"]}


def test_a_request_is_a_valid_one_with_what_the_row_changes() -> None:
    send = Send(json={"n": 2}, drop=["model"], headers={"Host": None, "X-Key": "<key>"}, lines=["A : b"])

    data = wire(send, key="K", model=None, stream=True)

    assert data.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer K\r\n")
    assert b"Host" not in data
    assert b"\r\nX-Key: K\r\nA : b\r\n\r\n" in data
    assert data.endswith(b'"stream": true, "n": 2}')
    assert b'"model"' not in data


def test_raw_text_is_bytes() -> None:
    assert wire(Send(raw="\xff\0<auth>"), key="K", model=None, stream=False) == b"\xff\0Authorization: Bearer K"


def test_unknown_keys_are_mistakes() -> None:
    with pytest.raises(ValueError, match=r"X1: unknown keys \['expects'\]"):
        case._case({"id": "X1", "title": "x", "expects": {}}, where="X1")
    with pytest.raises(ValueError, match="neither an expectation"):
        case._case({"id": "X1", "title": "x"}, where="X1")
