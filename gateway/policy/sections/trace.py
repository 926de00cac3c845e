"""The policy's words about traces, as the trace stage reads them."""

from __future__ import annotations

from gateway.policy import schema
from gateway.policy.mistakes import Mistakes
from gateway.policy.shapes import listed
from gateway.trace.rules import Capture, Inbound, TraceRules


def compile_trace(policy: schema.Policy, mistakes: Mistakes) -> TraceRules:
    written = policy.trace
    inbound = Inbound(written.inbound)
    if written.capture is None:
        return TraceRules(inbound)
    tenants = listed(written.capture.tenants)
    for tenant in tenants if policy.tenants else ():
        org, _, team = tenant.partition("/")
        if org not in policy.tenants or (team and team not in policy.tenants[org].teams):
            mistakes.add(("trace", "capture", "tenants"), f"there is no organisation or team {tenant!r}")
    return TraceRules(
        inbound,
        Capture(written.capture.to),
        frozenset(tenants),
        written.capture.limit,
        tuple(written.capture.redact) if isinstance(written.capture.redact, list) else (written.capture.redact,),
    )
