"""A body is refused before it can hurt, and otherwise read as any JSON parser reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InvalidRequest
from gateway.ingress import json_body

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
MANY = json_body.MAX_NODES + 1


@given(fields=st.dictionaries(st.text(), values, max_size=6), ascii=st.booleans(), indent=st.sampled_from([None, 2]))
def test_what_json_reads_is_read_the_same(fields: dict[str, Any], ascii: bool, indent: int | None) -> None:
    body = json.dumps(fields, ensure_ascii=ascii, indent=indent).encode()

    assert json_body.parse(body) == json.loads(body)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"[]", "invalid_json"),
        (b'{"a":1,}', "invalid_json"),
        (b'{"a":NaN}', "invalid_json"),
        (b'{"a":[1e999]}', "invalid_json"),
        (b'{"a":{"b":1,"b":2}}', "duplicate_key"),
        (b'{"a":1,"\\u0061":2}', "duplicate_key"),
        (b'{"a":"\\ud800"}', "invalid_unicode"),
        (b'{"a":"\xff"}', "invalid_utf8"),
        (b"\xef\xbb\xbf{}", "invalid_utf8"),
        (b'{"a":' + b"9" * 5000 + b"}", "invalid_type"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "too_deep"),
        (b"[" * 100_000, "too_deep"),
        (b'{"a":[' + b"0," * MANY + b"0]}", "too_many_nodes"),
        (b'{"a":["' + b'","' * MANY + b'"]}', "too_many_nodes"),
    ],
)
def test_what_is_refused_says_why(body: bytes, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        json_body.parse(body)

    assert refused.value.code == code


def test_a_long_text_full_of_commas_and_quotes_is_one_value() -> None:
    text = 'He said "yes, no: [maybe]", \\ and left. ' * 30_000

    assert json_body.parse(json.dumps({"a": text}).encode()) == {"a": text}


def test_sixty_four_levels_are_read() -> None:
    assert json_body.parse(b'{"a":' * 64 + b"1" + b"}" * 64)


DEEP = b"[" * 60 + b"]" * 60


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[' + b",".join([DEEP] * (json_body.MAX_NODES // 50)) + b"]}",
        b'{"a":[' + b",".join([b"[[]]"] * (json_body.MAX_NODES // 2)) + b"]}",
        b'{"a":[' + b",".join([b"[{}]"] * (json_body.MAX_NODES // 2)) + b"]}",
    ],
    ids=["sixty in each other", "arrays", "objects"],
)
def test_values_that_stand_in_each_other_are_counted_too(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        json_body.parse(body)

    assert refused.value.code == "too_many_nodes"


@pytest.mark.parametrize("count", [json_body.MAX_NODES // 3, json_body.MAX_NODES // 2 - 2])
def test_nearly_as_many_values_as_are_allowed_are_read(count: int) -> None:
    numbers = list(range(count))

    assert json_body.parse(json.dumps({"a": numbers}).encode()) == {"a": numbers}
    assert len(json_body.parse(json.dumps(dict.fromkeys(map(str, numbers))).encode())) == count


@given(
    st.text(alphabet='{}[]:,"\\0123456789.eE+-truefalsn \t\n\ud800é', max_size=30).map(
        lambda text: '{"a":' + text + "}"
    )
)
def test_what_is_read_is_what_json_reads_and_what_json_refuses_is_refused(text: str) -> None:
    """The other way round there are refusals of our own: the table above."""
    body = text.encode("utf-8", "surrogatepass")
    try:
        fields = json_body.parse(body)
    except InvalidRequest:
        return
    assert fields == json.loads(body)
