"""What the litellm SDK is asked, and what is not said to it is named."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Provider
from gateway.core.errors import InvalidRequest
from gateway.ingress.translator_fields import TRANSLATOR_FIELDS
from gateway.upstream.bridge import sdk
from gateway.upstream.dialects.dialect import Outgoing
from gateway.upstream.dialects.litellm import LiteLLM

pytestmark = pytest.mark.filterwarnings("ignore")

HELLO: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    sdk.load()


def asked(
    translator: str, fields: dict[str, Any], *, operation: Operation = Operation.CHAT, cap: int | None = None
) -> tuple[dict[str, Any], Outgoing]:
    fields = {"model": "m", **fields}
    provider = Provider(name="p", dialect="litellm", translator=translator)
    call = Call("r", operation, 0, "m", json.dumps(fields).encode(), fields, stream=fields.get("stream", False))
    outgoing = LiteLLM().request(call, Deployment("p/x", provider, "x", None), cap, now=0)
    return json.loads(outgoing.body), outgoing


def test_fields_that_a_provider_takes_are_passed_on() -> None:
    body, outgoing = asked("mistral", {"messages": HELLO, "temperature": 1, "seed": 3, "stop": ["a"]})

    assert body == {"model": "x", "messages": HELLO, "temperature": 1, "seed": 3, "stop": ["a"]}
    assert outgoing.dropped == ()


def test_fields_that_it_does_not_take_are_named() -> None:
    body, outgoing = asked(
        "mistral", {"messages": HELLO, "logit_bias": {"1": 2}, "user": "u", "shiny": 1, "seed": None}
    )

    assert body == {"model": "x", "messages": HELLO}
    assert outgoing.dropped == ("logit_bias", "shiny", "user")


def test_no_field_that_steers_the_sdk_gets_through() -> None:
    body, outgoing = asked("openai", {"messages": HELLO, **dict.fromkeys(sorted(TRANSLATOR_FIELDS), "x")})

    assert set(body) == {"model", "messages"}
    assert set(outgoing.dropped) == TRANSLATOR_FIELDS


def test_messages_and_tools_have_members_of_chat_only() -> None:
    body, outgoing = asked(
        "mistral",
        {
            "messages": [{"role": "user", "content": "hi", "images": ["x"], "name": None}],
            "tools": [{"type": "mcp", "server_url": "litellm_proxy"}, {"type": "function", "function": {"name": "f"}}],
        },
    )

    assert body["messages"] == [{"role": "user", "content": "hi", "name": None}]
    assert body["tools"] == [{"type": "function", "function": {"name": "f"}}]
    assert outgoing.dropped == ("messages[0].images", "tools[0]")


@pytest.mark.parametrize(
    ("fields", "cap", "written"),
    [
        ({"max_completion_tokens": 9}, None, {"max_completion_tokens": 9}),
        ({"max_tokens": 9}, None, {"max_tokens": 9}),
        ({"max_tokens": 9, "max_completion_tokens": 8}, 5, {"max_tokens": 5}),
        ({}, 5, {"max_tokens": 5}),
    ],
)
def test_the_output_cap(fields: dict[str, int], cap: int | None, written: dict[str, int]) -> None:
    body, outgoing = asked("mistral", {"messages": HELLO, **fields}, cap=cap)

    assert {name: value for name, value in body.items() if name.startswith("max")} == written
    assert outgoing.dropped == ()


def test_usage_is_always_asked_for_on_a_stream() -> None:
    body, _ = asked("mistral", {"messages": HELLO, "stream": True})

    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


@pytest.mark.parametrize(
    ("part", "is_refused"),
    [
        ({"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}, True),
        ({"type": "image_url", "image_url": " HTTP://169.254.169.254/"}, True),
        ({"type": "file", "file": {"file_id": "https://x.example/a.pdf"}}, True),
        ({"type": "document", "source": {"type": "url", "url": "http://x.example"}}, True),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, False),
        ({"type": "text", "text": "https://x.example is a nice place"}, False),
    ],
)
def test_what_a_part_points_to_is_never_fetched(part: dict[str, Any], *, is_refused: bool) -> None:
    fields = {"messages": [{"role": "user", "content": [part]}]}
    if not is_refused:
        assert asked("mistral", fields)[0]["messages"] == fields["messages"]
        return

    with pytest.raises(InvalidRequest) as raised:
        asked("mistral", fields)

    assert raised.value.param == "messages[0].content[0]"


def test_several_choices_are_not_streamed() -> None:
    with pytest.raises(InvalidRequest):
        asked("openai", {"messages": HELLO, "stream": True, "n": 2})


def test_text_completions_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        asked("openai", {"prompt": "hi"}, operation=Operation.COMPLETION)


def test_embeddings() -> None:
    body, outgoing = asked("mistral", {"input": ["a"], "shiny": 1}, operation=Operation.EMBEDDINGS)

    assert body == {"model": "x", "input": ["a"]}
    assert outgoing.dropped == ("shiny",)


def test_the_sdk_is_quiet() -> None:
    """In a process of its own, for what others have imported: nothing is written, fetched or reported, and no proxy is loaded."""
    code = (
        "import sys; from gateway.upstream.bridge import sdk; sdk.load(); import litellm; "
        "print(litellm.num_retries, litellm.cache, litellm.telemetry, litellm.callbacks, litellm.success_callback, "
        "'litellm.proxy.proxy_server' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "None None False [] [] False"
    assert not done.stderr
