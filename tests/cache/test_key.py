"""A key stands for one call: equal ones meet, and no two that differ in anything do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.cache.key import WITHOUT_EFFECT, Sharing, Target, canonical, encode, exact_key, scope_of
from gateway.core.tenant import Tenant

PEPPER = b"p" * 32
SCOPE = ("key", "acme", "", "k1")
CHAT = Target("chat", "gpt-4o-mini", "default")
FIELDS: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "What is 2 + 2?"}],
    "temperature": 0.5,
    "top_p": 1,
    "max_tokens": 100,
    "max_completion_tokens": 100,
    "n": 1,
    "stop": ["\n"],
    "seed": 7,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "top_logprobs": 2,
    "response_format": {"type": "json_object"},
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "functions": [],
    "function_call": "auto",
    "reasoning_effort": "low",
    "verbosity": "low",
    "modalities": ["text"],
    "audio": {"voice": "alloy"},
    "prediction": {"type": "content", "content": "4"},
    "web_search_options": {},
    "moderation": "auto",
    "a_parameter_of_tomorrow": 1,
}

names = st.text(max_size=6)
numbers = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0, 1, 1.0, -0.0])
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
requests = st.dictionaries(names.filter(lambda name: name not in WITHOUT_EFFECT), json_values, max_size=4)
scopes = st.lists(names, min_size=1, max_size=4).map(tuple)
targets = st.builds(Target, names, names, names, names, st.lists(st.tuples(names, names), max_size=2).map(tuple))


def as_json_means_it(value: Any) -> Any:
    """A value that is equal to another's exactly when the two are the same JSON."""
    match value:
        case bool() | None | str():
            return (type(value).__name__, value)
        case int() | float():
            return ("number", value)
        case dict():
            return ("object", {name: as_json_means_it(inner) for name, inner in value.items()})
        case _:
            return ("array", [as_json_means_it(inner) for inner in value])


def key(fields: dict[str, Any] = FIELDS, *, scope: tuple[str, ...] = SCOPE, target: Target = CHAT) -> bytes:
    return exact_key(PEPPER, scope, target, fields)


@given(scopes, targets, requests, scopes, targets, requests)
def test_two_calls_are_written_alike_only_if_they_are_equal(
    scope: tuple[str, ...],
    target: Target,
    fields: dict[str, Any],
    other_scope: tuple[str, ...],
    other_target: Target,
    other_fields: dict[str, Any],
) -> None:
    equal = (scope, target, as_json_means_it(fields)) == (other_scope, other_target, as_json_means_it(other_fields))
    assert (encode(scope, target, fields) == encode(other_scope, other_target, other_fields)) == equal


@given(json_values, json_values)
def test_two_values_are_written_alike_exactly_if_json_means_the_same(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == (as_json_means_it(one) == as_json_means_it(other))


@given(json_values)
def test_what_is_written_can_be_read_back(value: Any) -> None:
    assert as_json_means_it(json.loads(canonical(value))) == as_json_means_it(value)


@given(scopes, scopes)
def test_parts_of_a_scope_cannot_be_moved_into_each_other(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assume(one != other)
    assert key(scope=one) != key(scope=other)


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_every_member_is_part_of_the_key(name: str) -> None:
    without = {key: value for key, value in FIELDS.items() if key != name}

    assert len({key(), key(without), key({**FIELDS, name: "something else"}), key({**FIELDS, name: None})}) == 4


@pytest.mark.parametrize("part", ["operation", "model", "route", "template", "deployments"])
def test_every_part_of_the_target_is_part_of_the_key(part: str) -> None:
    change: dict[str, Any] = {part: (("openai", "gpt-4o"),) if part == "deployments" else "other"}
    assert key(target=replace(CHAT, **change)) != key()


def test_the_pepper_is_part_of_the_key() -> None:
    assert exact_key(b"other", SCOPE, CHAT, FIELDS) != key()


@pytest.mark.parametrize("pepper", [b"", b"p" * 65])
def test_a_pepper_that_cannot_be_used_whole_is_refused(pepper: bytes) -> None:
    with pytest.raises(ValueError, match="pepper"):
        exact_key(pepper, SCOPE, CHAT, FIELDS)


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_what_says_nothing_to_the_model_is_no_part_of_the_key(name: str) -> None:
    assert key({**FIELDS, name: {"any": "thing"}}) == key()


def test_it_is_a_part_of_the_key_inside_of_a_message() -> None:
    message = {"role": "user", "content": "hello"}

    assert key({"messages": [message]}) != key({"messages": [{**message, "user": "bob"}]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": {"c": 2, "d": 3}}', '{"b":{"d":3,"c":2},"a":1}'),
        ('{"t": 1}', '{"t": 1.0}'),
        ('{"t": 100}', '{"t": 1e2}'),
        ('{"t": 0}', '{"t": -0.0}'),
        ('{"t": 0.5}', '{"t": 5E-1}'),
        ('{"t": 100000000000000000000}', '{"t": 1e20}'),
        ('{"t": "\\u00e9"}', '{"t": "é"}'),
    ],
)
def test_the_same_json_written_otherwise_has_the_same_key(one: str, other: str) -> None:
    assert key(json.loads(one)) == key(json.loads(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "true"),
        ("0", "false"),
        ("1", '"1"'),
        ("null", '"null"'),
        ("[]", "{}"),
        ("1", "1.0000000001"),
        ('""', "null"),
    ],
)
def test_values_that_look_alike_have_keys_of_their_own(one: str, other: str) -> None:
    assert key({"x": json.loads(one)}) != key({"x": json.loads(other)})


def test_answers_are_shared_no_wider_than_the_policy_says() -> None:
    ann = Tenant("acme", "red", "k1", "ann")
    bob = Tenant("acme", "red", "k2", "bob")
    cat = Tenant("acme", "blue", "k3", "cat")
    dan = Tenant("other", "red", "k4", "dan")
    everyone = (ann, bob, cat, dan)

    assert len({scope_of(tenant, Sharing.KEY) for tenant in everyone}) == 4
    assert len({scope_of(tenant, Sharing.TEAM) for tenant in everyone}) == 3
    assert len({scope_of(tenant, Sharing.ORG) for tenant in everyone}) == 2


def test_keys_without_a_team_do_not_make_one_together() -> None:
    one, other = Tenant("acme", None, "k1", "a"), Tenant("acme", None, "k2", "b")

    assert scope_of(one, Sharing.TEAM) != scope_of(other, Sharing.TEAM)
