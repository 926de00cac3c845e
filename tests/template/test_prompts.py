"""The stage: whose version a call keeps, what a rollout's standing changes, and what a call becomes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from gateway.core.call import Call, Operation
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.prompt import ByRoute
from gateway.core.tenant import Tenant
from gateway.route.choose import _said
from gateway.template.prompts import Prompts, Talk, Templates
from gateway.template.rollout.orders import Word, promoted
from gateway.template.rollout.rollouts import Held, held_of
from gateway.template.rollout.standing import Standing, Stepped
from gateway.template.rules import Message, Mode, Rollout, Template, Unit, Version
from gateway.template.wanted import of_prompt

ACME = Tenant("acme", "search", "k", "k")


class Notebook:
    """Implements Memory."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.asked = 0

    async def find(self, key: str) -> str | None:
        self.asked += 1
        return self.kept.get(key)

    def keep(self, key: str, value: str) -> None:
        self.kept[key] = value


def call(text: str = "hi", **more: Any) -> Call:
    fields = {"model": "m", "messages": [{"role": "user", "content": text}], **more.pop("fields", {})}
    return Call("r", Operation.CHAT, 0.0, "m", orjson.dumps(fields), fields, template="t", **more)


def template(
    weights: Mapping[int, int] | None, *, by: Unit = Unit.CONVERSATION, mode: Mode = Mode.PREPEND
) -> Templates:
    versions = {
        number: Version(
            number, str(number) * 12, (Message("system", f"v{number}"),), features=frozenset({"tools"}), tools=({},)
        )
        for number in (1, 2)
    }
    rollout = None if weights is None else Rollout(weights, 1, by)
    return Templates({"t": Template("t", mode, versions, 1, rollout=rollout, tenants=frozenset({"acme/search"}))})


def stage(memory: Notebook, standing: Standing | None = None) -> Prompts:
    def talk(asked: Call, tenant: Tenant) -> Talk:
        messages = asked.fields["messages"]
        return Talk(f"talk {messages[0]['content']}", is_new=len(messages) == 1)

    def held(of: Template) -> Held:
        return held_of(of, standing or Standing())

    return Prompts(talk, memory) if standing is None else Prompts(talk, memory, held)


def version(prompts: Prompts, asked: Call, templates: Templates) -> tuple[int, str]:
    prompt = asyncio.run(prompts.apply(asked, ACME, templates)).prompt
    assert prompt is not None
    return prompt.version, prompt.reason


def test_an_end_user_keeps_a_version_and_nothing_is_remembered() -> None:
    memory, templates = Notebook(), template({1: 50, 2: 50}, by=Unit.USER)
    prompts = stage(memory)
    drawn = {
        user: {version(prompts, call(f"{n}", fields={"user": user}), templates) for n in range(5)}
        for user in map(str, range(20))
    }

    assert all(len(versions) == 1 for versions in drawn.values())
    assert len(set.union(*drawn.values())) == 2
    assert (memory.kept, memory.asked) == ({}, 0)


def test_a_conversation_under_way_is_asked_for_and_a_new_one_is_not() -> None:
    memory = Notebook()
    begun = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}

    assert version(stage(memory), call(), template({1: 1, 2: 0})) == (1, "rollout")
    assert memory.asked == 0
    assert version(stage(memory), call(fields=begun), template({1: 1, 2: 1_000_000})) == (1, "sticky")
    assert memory.asked == 1


def test_what_a_rollout_has_come_to_counts_before_what_is_written() -> None:
    templates = template({1: 0, 2: 100})

    of = templates.named["t"]
    stepped = Standing(stepped={of.versions[2].hash: Stepped(1, "errors", "+1%", 60, 50, 9, of.versions[1].hash)})
    override = promoted(of, Standing(), 1, Word("admin", "because", 1))

    assert version(stage(Notebook(), stepped), call(), templates) == (1, "stepped_back")
    assert version(stage(Notebook(), override), call(), templates) == (1, "override")


def test_the_call_has_the_features_that_its_version_brings_and_its_own_members() -> None:
    asked = call(fields={"x": 1, "llmgw": {}})
    put = asyncio.run(stage(Notebook()).apply(asked, ACME, template(None)))

    assert put.has == {"tools"}
    assert orjson.loads(put.body) == put.fields
    assert put.fields["messages"] == [{"role": "system", "content": "v1"}, {"role": "user", "content": "hi"}]
    assert (put.fields["x"], "llmgw" in put.fields, "llmgw" in asked.fields) == (1, False, True)
    assert put.prompt is not None
    assert (put.prompt.label, put.prompt.identity, put.prompt.asked) == ("t@1", "t@1#111111111111", asked.body)


def test_a_template_of_another_team_is_not_there() -> None:
    for tenant in (Tenant("acme", "ads", "k", "k"), Tenant("other", "search", "k", "k")):
        with pytest.raises(NotFound):
            asyncio.run(stage(Notebook()).apply(call(), tenant, template(None)))


def test_a_route_s_template_is_taken_where_the_client_names_none() -> None:
    asked = call()
    asked.template = None
    put = asyncio.run(stage(Notebook()).apply(asked, ACME, template(None), ByRoute("r", "t@2")))

    assert put.prompt is not None
    assert (put.prompt.label, put.prompt.route) == ("t@2", "r")


def test_certificates_are_kept_apart_by_version_and_the_clients_own_system_prompt() -> None:
    def said(mode: Mode, system: str, *, per_prompt: bool) -> str:
        asked = call()
        asked.fields = {"model": "m", "messages": [{"role": "system", "content": system}, *asked.fields["messages"]]}
        asked.body = orjson.dumps(asked.fields)
        return _said(
            asyncio.run(stage(Notebook()).apply(asked, ACME, template(None, mode=mode))), per_prompt=per_prompt
        )

    assert said(Mode.REPLACE_SYSTEM, "a", per_prompt=True) == "t@1#111111111111|"
    assert said(Mode.PREPEND, "a", per_prompt=True) != said(Mode.PREPEND, "b", per_prompt=True)
    assert said(Mode.PREPEND, "a", per_prompt=False) == "t@1#111111111111|"


def test_openais_prompts_are_templates() -> None:
    assert of_prompt({"id": "t"}) == ("t", {})
    assert of_prompt({"id": "t", "version": "2", "variables": {"a": 1}}) == ("t@2", {"a": 1})
    for wrong in ({}, {"id": ""}, {"id": 1}, {"id": "t", "version": 2}, {"id": "t", "variables": []}):
        with pytest.raises(InvalidRequest):
            of_prompt(wrong)
