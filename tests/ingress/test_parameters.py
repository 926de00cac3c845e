"""The parameters we act on are judged always, those of the providers when the policy is strict (rows P, T)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import FEATURES
from gateway.core.errors import InvalidRequest
from gateway.ingress import parameters


def each(*values: Any) -> tuple[Any, ...]:
    return values


def tool(name: Any = "f", **function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **function}}


SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"max_tokens": None, "n": None, "stream": None, "tools": None, "user": None, "metadata": None},
        {"max_tokens": 1},
        {"max_completion_tokens": 2**31 - 1},
        {"max_tokens": 5.0, "n": 1.0},
        {"max_tokens": None, "max_completion_tokens": 5},
        {"n": 128},
        {"stream": True, "stream_options": {"include_usage": False, "other": 1}},
        {"stream": True, "stream_options": {}},
        {"tools": [tool(f"t{n}") for n in range(128)]},
        {
            "tools": [tool("a.b:c-d_9" * 10)],
            "tool_choice": {"type": "function", "function": {"name": "a.b:c-d_9" * 10}},
        },
        {"tools": [{"type": "web_search", "user_location": {}}, tool()], "tool_choice": "required"},
        {"tool_choice": "none"},
        {"response_format": SCHEMA},
        {"response_format": {"type": "text"}},
        {"user": "x" * 1024, "metadata": {str(n): "x" for n in range(16)}},
        {"temperature": 9, "top_p": "x", "stop": [], "foo": {}, "seed": 2**70},
    ],
)
def test_what_is_fine_or_not_ours_to_judge_passes(fields: dict[str, Any]) -> None:
    parameters.check(fields, strict=False)


STEERING = """
api_base base_url api_key extra_headers custom_llm_provider input_cost_per_token mock_response timeout fallbacks litellm_params
__proto__ constructor __class__ prototype
"""
CAPS = each(0, -1, 1.5, "10", 10**10, 2**63, True, [], {})


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        *(({"max_tokens": cap}, "invalid_value", "max_tokens") for cap in CAPS),
        *(({"max_completion_tokens": cap}, "invalid_value", "max_completion_tokens") for cap in CAPS),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "mutually_exclusive", "max_completion_tokens"),
        *(({"n": n}, "invalid_value", "n") for n in each(0, -1, 129, 1.5, "2", True, [])),
        *(({"stream": stream}, "invalid_type", "stream") for stream in each("true", 1, 0, [], {})),
        *(({"stream_options": {}, "stream": stream}, "invalid_type", "stream_options") for stream in each(None, False)),
        ({"stream": True, "stream_options": []}, "invalid_type", "stream_options"),
        (
            {"stream": True, "stream_options": {"include_usage": 1}},
            "invalid_type",
            "stream_options.include_usage",
        ),
        ({"parallel_tool_calls": "yes"}, "invalid_type", "parallel_tool_calls"),
        *(
            ({"tools": tools}, "invalid_value", "tools")
            for tools in each(
                [tool(f"t{n}") for n in range(129)],
                [tool(), tool()],
                [tool("a b")],
                [tool("")],
                [tool("a" * 129)],
                [tool(5)],
                [tool([])],
                [{"type": "function"}],
                [{"function": "f"}],
                [{"function": ["f"]}],
                ["f"],
                [None],
                {},
                "x",
                5,
            )
        ),
        ({"tool_choice": "required"}, "invalid_value", "tool_choice"),
        ({"tool_choice": {"function": {"name": "g"}}, "tools": [tool()]}, "invalid_value", "tool_choice"),
        ({"tool_choice": {"function": {"name": "g"}}}, "invalid_value", "tool_choice"),
        *(
            ({"response_format": form}, "invalid_value", "response_format")
            for form in each(
                "json", [], {}, {"type": []}, {"type": "json_schema"}, {"type": "json_schema", "json_schema": {}}
            )
        ),
        *(({"user": user}, "invalid_value", "user") for user in each("x" * 1025, {}, 5)),
        *(
            ({"metadata": metadata}, "invalid_value", "metadata")
            for metadata in each([], "x", {str(n): "x" for n in range(17)}, {"a": {}}, {"a": []})
        ),
        ({"metadata": {"api_base": "http://evil"}}, "unknown_parameter", "metadata.api_base"),
        *(({name: None}, "unknown_parameter", name) for name in STEERING.split()),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], code: str, param: str) -> None:
    for strict in (False, True):
        with pytest.raises(InvalidRequest) as refused:
            parameters.check(fields, strict=strict)

        assert (refused.value.status, refused.value.code, refused.value.param) == (400, code, param)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"foo": 1}, "unknown_parameter", "foo"),
        ({"x" * 100: 1}, "unknown_parameter", "x" * 64),
        *(({"temperature": t}, "invalid_value", "temperature") for t in each(2.1, -0.1, "hot", True, [])),
        ({"top_p": 1.1}, "invalid_value", "top_p"),
        ({"presence_penalty": 2.1}, "invalid_value", "presence_penalty"),
        ({"frequency_penalty": -2.1}, "invalid_value", "frequency_penalty"),
        ({"top_logprobs": 21}, "invalid_value", "top_logprobs"),
        ({"best_of": 21}, "invalid_value", "best_of"),
        ({"seed": 2**64}, "invalid_type", "seed"),
        ({"seed": "1"}, "invalid_type", "seed"),
        *(({"stop": stop}, "invalid_value", "stop") for stop in each(["x"] * 5, "", [""], "x" * 1025, 5, [5], {})),
        ({"logit_bias": {str(n): 1 for n in range(1025)}}, "invalid_value", "logit_bias"),
        ({"logit_bias": {"a": 1}}, "invalid_value", "logit_bias"),
        ({"logit_bias": []}, "invalid_value", "logit_bias"),
        *(
            ({"tools": [tool("g"), tool(parameters=schema)]}, "invalid_schema", "tools[1].function.parameters")
            for schema in each("x", [1], 5, True, {"$ref": "#"}, {"a": {"$ref": "http://evil/x"}}, {"a": [{"$ref": 5}]})
        ),
    ],
)
def test_a_strict_policy_judges_for_the_provider(fields: dict[str, Any], code: str, param: str) -> None:
    parameters.check(fields, strict=False)

    with pytest.raises(InvalidRequest) as refused:
        parameters.check(fields, strict=True)

    assert (refused.value.code, refused.value.param) == (code, param)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0, "top_p": 1, "presence_penalty": -2, "seed": -(2**63), "top_logprobs": None},
        {"stop": "x", "logit_bias": {"50256": -100}},
        {"stop": ["a", "b", "c", "d"], "logprobs": True, "model": "m", "messages": []},
        {"tools": [{"type": "web_search"}, tool(parameters={"properties": {"a": {"$ref": "#/$defs/a"}}})]},
    ],
)
def test_a_strict_policy_lets_pass_what_is_in_order(fields: dict[str, Any]) -> None:
    parameters.check(fields, strict=True)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, set()),
        ({"tools": [], "n": None, "logprobs": False, "response_format": {"type": "text"}}, set()),
        (
            {"tools": [tool()], "n": 2, "logprobs": True, "response_format": SCHEMA},
            {"tools", "n", "logprobs", "json_schema"},
        ),
        ({"functions": [{"name": "f"}], "response_format": {"type": "json_object"}}, {"tools", "json_object"}),
        ({"n": 1.0}, set()),
    ],
)
def test_what_the_parameters_ask_for_is_named(fields: dict[str, Any], found: set[str]) -> None:
    assert parameters.features(fields) == found
    assert found <= FEATURES


JUDGED = (
    "max_tokens max_completion_tokens n stream stream_options tools tool_choice response_format user metadata".split()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "function", "name", "parameters", "json_schema", "schema", "$ref", "include_usage"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(fields=st.dictionaries(st.sampled_from([*JUDGED, "stop", "logit_bias", "seed"]), JSON), strict=st.booleans())
def test_whatever_json_stands_there_is_passed_or_refused_and_no_bug(fields: dict[str, Any], strict: bool) -> None:
    try:
        parameters.check(fields, strict=strict)
    except InvalidRequest:
        return
    assert parameters.features(fields) <= FEATURES
