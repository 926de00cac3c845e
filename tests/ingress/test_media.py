"""What is read of calls that are no conversation, and of forms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Operation
from gateway.core.errors import InvalidRequest
from gateway.ingress.media import PATHS, MediaArrival
from gateway.ingress.multipart import parts, texts
from gateway.ingress.request import Request

WORDS = ["model", "input", "prompt", "query", "documents", "n", "stream", "voice", "response_format", "api_base"]
VALUES = (
    st.none() | st.booleans() | st.integers(-2, 20) | st.text(max_size=3) | st.lists(st.text(max_size=3), max_size=3)
)
BOUNDARY = "------------------------0123456789abcdef"
MEDIA = f"multipart/form-data; boundary={BOUNDARY}".encode()


def form(*values: tuple[str, str | None, bytes]) -> bytes:
    """Of names, file names and values."""
    pieces = []
    for name, file, value in values:
        named = f'; filename="{file}"' if file is not None else ""
        head = f'Content-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        pieces.append(f"--{BOUNDARY}\r\n{head}".encode() + value + b"\r\n")
    return b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode()


@given(
    fields=st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=8),
    operation=st.sampled_from([*PATHS]),
)
def test_any_json_is_a_call_or_the_client_s_mistake(fields: dict[str, Any], operation: Operation) -> None:
    request = Request(body=json.dumps({"model": "m", **fields}).encode())

    try:
        call = MediaArrival(request, operation=operation, id="r").read(strict=False)
    except InvalidRequest:
        return

    assert call.model
    assert json.loads(call.body)["model"] == call.model
    assert "api_base" not in call.fields


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[a-z_]{1,8}(\[\])?", fullmatch=True),
            st.none() | st.from_regex(r"[a-z.]{0,8}", fullmatch=True),
            st.binary(max_size=40),
        ),
        max_size=6,
    )
)
def test_a_form_s_parts_are_where_they_are(values: list[tuple[str, str | None, bytes]]) -> None:
    body = form(*values)

    found = parts(body, MEDIA)

    assert [(each.name, each.is_file, body[slice(*each.span)]) for each in found] == [
        (name, file is not None, value) for name, file, value in values
    ]
    named = [body[slice(*each.file_name)].decode() for each in found if each.file_name is not None]
    assert named == [file for _, file, _ in values if file is not None]


@given(st.integers(0, 400))
def test_a_form_that_is_cut_is_none(length: int) -> None:
    body = form(("model", None, b"whisper"), ("file", "a.wav", b"RIFF"))
    cut = body[: min(length, len(body) - 5)]  # its last dashes and line end apart

    with pytest.raises(InvalidRequest):
        parts(cut, MEDIA)


def test_a_value_that_is_sent_twice_is_a_list() -> None:
    body = form(("include[]", None, b"a"), ("include[]", None, b"b"), ("model", None, b"m"), ("file", "x", b"\xff"))

    assert texts(body, parts(body, MEDIA)) == {"include[]": ["a", "b"], "model": "m"}


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ([("file", "a.wav", b"x")], "model"),
        ([("model", None, b"m"), ("model", None, b"n"), ("file", "a.wav", b"x")], "model"),
        ([("model", "m.txt", b"m"), ("file", "a.wav", b"x")], "model"),
        ([("model", None, b"m")], "file"),
        ([("model", None, b"m"), ("api_base", None, b"http://x"), ("file", "a.wav", b"x")], "api_base"),
        ([("model", None, b"\xff"), ("file", "a.wav", b"x")], "model"),
    ],
)
def test_forms_that_say_too_little_or_too_much(values: list[tuple[str, str | None, bytes]], param: str) -> None:
    request = Request(body=form(*values), headers={b"content-type": MEDIA})

    with pytest.raises(InvalidRequest) as refused:
        MediaArrival(request, operation=Operation.TRANSCRIPTION, id="r").read(strict=False)

    assert refused.value.param == param


def test_a_boundary_may_stand_in_quotes() -> None:
    body = form(("model", None, b"m"))

    found = parts(body, f'multipart/form-data; charset=utf-8; boundary="{BOUNDARY}"'.encode())

    assert [each.name for each in found] == ["model"]


SMUGGLED = [
    'form-data; name="x"; name="model"',
    'form-data; name="x"; name=model',
    "form-data; name=\"x\"; name*=utf-8''model",
    'form-data; name="x"\r\nContent-Disposition: form-data; name="model"',
    'form-data; name="x"\r\n ; name="model"',
    'form-data; name="x"; filename="a\\"; name=\\"model"',
    'form-data; name="model"; filename="x"',
    'form-data; name="N"; filename="x"',
    'form-data; name="models"; filename="x"',
]


@pytest.mark.parametrize("disposition", SMUGGLED)
def test_a_part_that_others_may_read_as_another_one(disposition: str) -> None:
    head = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\ndear-model\r\n".encode()
    body = head + form(("model", None, b"m"), ("image", "a.png", b"x"), ("prompt", None, b"p"))
    request = Request(body=body, headers={b"content-type": MEDIA})

    with pytest.raises(InvalidRequest):
        MediaArrival(request, operation=Operation.IMAGE_EDIT, id="r").read(strict=False)


def test_a_file_whose_name_looks_like_a_part_s() -> None:
    body = form(("model", None, b"m"), ("image", "my; name=x.png", b"x"), ("prompt", None, b"p"))
    request = Request(body=body, headers={b"content-type": MEDIA})

    assert MediaArrival(request, operation=Operation.IMAGE_EDIT, id="r").read(strict=False).model == "m"
