"""A call never goes out without the template it asked for."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.call import Call, Operation
from gateway.core.errors import NotFound
from gateway.core.tenant import Tenant
from gateway.template.prompts import Prompts, Talk, Templates

ANYBODY = Tenant(org="acme", team=None, key_id="k", key_name="k")


class Forgetful:
    async def find(self, key: str) -> str | None:
        return None

    def keep(self, key: str, value: str) -> None: ...


PROMPTS = Prompts(lambda call, tenant: Talk(call.id, is_new=True), Forgetful())


def applied(asked: Call, templates: Templates | None = None) -> Call:
    return asyncio.run(PROMPTS.apply(asked, ANYBODY, templates or Templates()))


def call(model: str, template: str | None = None) -> Call:
    return Call(
        id="r",
        operation=Operation.CHAT,
        received=0,
        model=model,
        body=b"{}",
        fields={"model": model},
        template=template,
    )


@pytest.mark.parametrize("model", ["m", "openai/gpt-4o", "my-template:1", "Template:x", "templates"])
def test_a_call_that_asks_for_none_is_the_same_call(model: str) -> None:
    asked = call(model)

    assert applied(asked) is asked


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (call("m", "greeting"), "greeting"),
        (call("template:greeting"), "greeting"),
        (call("template:greeting@2"), "greeting@2"),
        (call("template:other", "greeting"), "greeting"),
        (call("template:"), ""),
    ],
)
def test_a_template_that_does_not_exist_is_named(asked: Call, name: str) -> None:
    with pytest.raises(NotFound) as refused:
        applied(asked)

    assert (refused.value.code, refused.value.param) == ("template_not_found", "template")
    assert repr(name) in refused.value.message
