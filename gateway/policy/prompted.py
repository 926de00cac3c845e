"""A template put round a call as a gateway would that has just been started: nobody has said anything beside the files, and no
conversation has begun."""

from __future__ import annotations

import asyncio

from gateway.core.call import Call
from gateway.core.prompt import ByRoute
from gateway.core.tenant import Tenant
from gateway.route.conversation import conversation_of
from gateway.template.prompts import Prompts, Talk, Templates


class _Nothing:
    """Implements template.prompts.Memory: no conversation is remembered here."""

    async def find(self, key: str) -> str | None:
        return None

    def keep(self, key: str, value: str) -> None: ...


async def apply(call: Call, tenant: Tenant, templates: Templates, by_route: ByRoute | None) -> Call:
    """The call with the template that it or its route asks for, or the same call. Raises NotFound, InvalidRequest."""
    return await Prompts(_talk, _Nothing()).apply(call, tenant, templates, by_route)


def put(call: Call, tenant: Tenant, templates: Templates, by_route: ByRoute | None) -> Call:
    """The same where no event loop runs."""
    return asyncio.run(apply(call, tenant, templates, by_route))


def _talk(call: Call, tenant: Tenant) -> Talk:
    conversation = conversation_of(call, tenant)
    return Talk(conversation.id, conversation.is_new)
