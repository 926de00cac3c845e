"""A call is kept from where it surely cannot be served, and nobody counts what surely fits."""

from __future__ import annotations

import pytest

from gateway.core.call import Call, Operation
from gateway.core.deployment import Abilities, Model
from gateway.core.errors import InvalidRequest
from gateway.core.tenant import Tenant
from gateway.route import plan
from gateway.route.abilities import may_be_long, obstacle, refusal
from gateway.route.decision import Circumstances
from gateway.route.rules import Routes
from tests.route.cast import ACME, call, deployment


def able(*abilities: Abilities) -> Model:
    return Model("m", tuple(deployment(f"p/{number}", abilities=each) for number, each in enumerate(abilities)))


BLIND, SHORT = Abilities(lacks=frozenset({"image", "audio"})), Abilities(context=1000)
IMAGE = call(has=frozenset({"image"}))


@pytest.mark.parametrize(
    ("model", "asked", "sent", "lack"),
    [
        (able(BLIND), IMAGE, None, "image"),
        (able(BLIND), call(has=frozenset({"tools"})), None, None),
        (able(BLIND, Abilities()), IMAGE, None, None),
        (able(BLIND, SHORT), IMAGE, 900, None),
        (able(BLIND, SHORT), IMAGE, 9000, "image"),
        (able(SHORT), call(), None, None),
        (able(SHORT), call(), 1000, None),
        (able(SHORT), call(), 1333, None),  # our count may be too high by a quarter of itself
        (able(SHORT), call(), 1334, "context"),
        (able(SHORT), call(fields={"max_tokens": 400}), 800, None),
        (able(SHORT), call(fields={"max_tokens": 400}), 802, "context"),
        (able(SHORT), call(fields={"max_completion_tokens": 400}), 802, "context"),
        (able(SHORT), call(fields={"max_tokens": 5000}), 10, "context"),
        (able(Abilities(prompt=1000, context=1500)), call(fields={"max_tokens": 400}), 1300, None),
        (able(Abilities(prompt=1000, context=1500)), call(fields={"max_tokens": 900}), 1300, "context"),
        (able(SHORT, Abilities(context=4000)), call(), 5000, None),
        (able(), call(), 5000, None),
    ],
)
def test_what_stands_in_the_way(model: Model, asked: Call, sent: int | None, lack: str | None) -> None:
    assert obstacle(model, asked, sent) == lack


def test_a_fallback_that_can_is_enough() -> None:
    model = Model("m", able(BLIND).deployments, (deployment("q/sees"),))

    assert obstacle(model, IMAGE, None) is None


@pytest.mark.parametrize(("size", "is_long"), [(2000, False), (2001, True)])
def test_only_a_prompt_of_more_bytes_than_surely_fit_is_counted(size: int, is_long: bool) -> None:
    assert may_be_long([able(Abilities(), SHORT)], call(body=b" " * size)) is is_long
    assert not may_be_long([able(Abilities())], call(body=b" " * size))


def test_the_output_that_the_client_wants_leaves_less_room_for_the_prompt() -> None:
    assert may_be_long([able(SHORT)], call(body=b" " * 300, fields={"max_tokens": 900}))


def test_embeddings_of_many_texts_are_not_one_prompt() -> None:
    asked = Call("r", Operation.EMBEDDINGS, 0, "m", b" " * 9000, {"input": ["a"] * 1000})

    assert not may_be_long([able(SHORT)], asked)
    assert obstacle(able(SHORT), asked, 9000) is None


@pytest.mark.parametrize(
    ("feature", "param"),
    [("image", "messages"), ("file", "messages"), ("tools", "tools"), ("json_schema", "response_format"), ("n", "n")],
)
def test_the_refusal_names_what_is_missing(feature: str, param: str) -> None:
    refused = refusal(able(), call(), feature, None)

    assert (refused.status, refused.code, refused.param) == (400, "unsupported_parameter", param)
    assert repr(feature) in refused.message


def test_the_refusal_of_a_long_prompt_says_how_much_fits() -> None:
    refused = refusal(able(SHORT, Abilities(prompt=2000)), call(), "context", 9000)

    assert (refused.status, refused.code, refused.param) == (400, "context_length_exceeded", "messages")
    assert "9,000" in refused.message
    assert "2,000" in refused.message


def test_a_model_that_the_client_named_is_judged_too() -> None:
    routes = Routes((), {"auto": able(BLIND)})

    with pytest.raises(InvalidRequest):
        plan.decide(IMAGE, Tenant("acme", None, "k", "n"), routes, Circumstances())
    assert plan.decide(call(), ACME, routes, Circumstances()).model.name == "m"
