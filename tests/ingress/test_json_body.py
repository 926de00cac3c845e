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
