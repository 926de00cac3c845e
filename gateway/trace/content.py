"""What was said in a call, for admins whose policy lets them read it: redacted, and no longer than the policy allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gateway.core.call import Call
from gateway.core.tenant import Tenant
from gateway.trace.redact import redacted
from gateway.trace.rules import TraceRules

_INPUTS = ("messages", "prompt", "input")
_DEEPEST = 12


class Answered(Protocol):
    def produced(self) -> list[str]: ...


def content(
    call: Call, answer: Answered | None, tenant: Tenant | None, rules: TraceRules
) -> Mapping[str, object] | None:
    """The call's messages and the texts of its answer; None where the policy does not capture this tenant's."""
    if rules.capture_tenants and (tenant is None or rules.capture_tenants.isdisjoint({tenant.org, tenant.name})):
        return None
    said = next((call.fields[name] for name in _INPUTS if name in call.fields), None)
    output = [_text(text, rules) for text in answer.produced()] if answer is not None else []
    return {"input": _clean(said, rules, _DEEPEST), "output": output}


def _clean(value: Any, rules: TraceRules, depth: int) -> Any:
    """The same with every text cleaned; data that is no text (images, sound) is left out by the limit."""
    if isinstance(value, str):
        return _text(value, rules)
    if not depth:
        return None
    if isinstance(value, list):
        return [_clean(each, rules, depth - 1) for each in value[:1000]]
    if isinstance(value, dict):
        return {_text(name, rules): _clean(each, rules, depth - 1) for name, each in value.items()}
    return value


def _text(text: str, rules: TraceRules) -> str:
    """Redacted before it is shortened, with a margin: what is cut through could not be recognised."""
    kept = redacted(text[: rules.capture_limit + 1024], rules.redact)
    return kept if len(kept) <= rules.capture_limit else kept[: rules.capture_limit] + "…"
