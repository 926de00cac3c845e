"""The template of a call that is explained: which, in which version, why, and what it makes."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from gateway.core.call import Call, Operation
from gateway.core.clock import Clock
from gateway.core.tenant import Tenant
from gateway.meter.tokens import Tokens
from gateway.policy.prompted import apply
from gateway.policy.snapshot import Snapshot
from gateway.route import plan
from gateway.route.decision import Circumstances


async def prompted(call: Call, tenant: Tenant, snapshot: Snapshot, tokens: Tokens, clock: Clock) -> Call:
    """The call with its template, as a running gateway would put it round that call as the first of its conversation. Raises
    NotFound, InvalidRequest."""
    count = 0
    if snapshot.routes.counts_tokens and (call.operation is not Operation.CHAT or call.fields.get("messages")):
        count = await tokens.sent(call, call.model)
    given = Circumstances(lambda: count, clock.now())
    by_route = plan.template(call, tenant, snapshot.routes, given)
    called = await apply(call, tenant, snapshot.templates, by_route)
    plan.check_template(plan.find(called, tenant, snapshot.routes, given), called)
    return called


def tell_template(call: Call, snapshot: Snapshot, *, show: bool) -> Iterator[str]:
    """`show`: with the messages."""
    prompt = call.prompt
    if prompt is None:
        yield "template  none"
        return
    by = "asked for by the client" if prompt.route is None else f"put round by route {prompt.route}"
    yield f"template  {prompt.label} ({prompt.hash}), {by}; this version by {prompt.reason}"
    template = snapshot.templates.named[prompt.name]
    if template.rollout is not None:
        shares = ", ".join(f"{number}: {weight}" for number, weight in template.rollout.weights.items())
        yield f"          rollout by {template.rollout.by.value}, weights {shares}"
    for message in call.fields["messages"] if show else ():
        content = message.get("content")
        text = content if isinstance(content, str) else orjson.dumps(content).decode()
        yield f"          {message['role']}: " + text.replace("\n", "\n" + " " * 12)
