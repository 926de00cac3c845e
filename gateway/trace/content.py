"""What was said in a call, for admins whose policy lets them read it: redacted, and no longer than the policy allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.call import Call
from gateway.core.tenant import Tenant
from gateway.trace.redact import redacted
from gateway.trace.rules import TraceRules

MOST = 256 * 1024
"""Characters that are kept of one call in all, the newest ones: more would hold up the worker that looks through them."""
_INPUTS = ("messages", "prompt", "input")
_DEEPEST = 12
_LONGEST_LIST, _LONGEST_NAME = 1000, 256
_MARGIN = 1024
"""Characters that are looked at beyond the limit: what is cut through could not be recognised."""


class Answered(Protocol):
    def produced(self) -> list[str]: ...


def content(
    call: Call, answer: Answered | None, tenant: Tenant | None, rules: TraceRules
) -> Mapping[str, object] | None:
    """The call's messages, the texts of its answer, and its template's variables; None where the policy does not capture this
    tenant's."""
    if rules.capture_tenants and (tenant is None or rules.capture_tenants.isdisjoint({tenant.org, tenant.name})):
        return None
    said = next((call.fields[name] for name in _INPUTS if name in call.fields), None)
    keeper = _Keeper(rules, MOST)
    output = keeper.clean(answer.produced() if answer is not None else [], _DEEPEST)
    variables = {} if call.prompt is None else _variables(call.prompt.variables, keeper)
    return {"input": keeper.clean(said, _DEEPEST), "output": output, **variables}


def _variables(given: Mapping[str, Any], keeper: _Keeper) -> Mapping[str, object]:
    """And the names of those that are not whole, and of those in which something was redacted."""
    kept: dict[str, Any] = {}
    cut, changed = [], []
    for written, value in given.items():
        name = redacted(written[:_LONGEST_NAME], keeper.rules.redact)
        keeper.is_cut = name != written
        kept[name] = keeper.clean(value, _DEEPEST)
        if keeper.is_cut:
            cut.append(name)
        elif kept[name] != value:
            changed.append(name)
    return {"variables": kept, "variables_cut": cut, "variables_redacted": changed}


@dataclass(slots=True)
class _Keeper:
    """`room` is in characters. `is_cut`: something was left out."""

    rules: TraceRules
    room: int
    is_cut: bool = False

    def clean(self, value: Any, depth: int) -> Any:
        """The same with every text cleaned, from the last to the first; what is long (images, sound) is left out by the limit."""
        if isinstance(value, str):
            return self._text(value)
        if not depth:
            self.is_cut = True
            return None
        if isinstance(value, list):
            self.is_cut |= len(value) > _LONGEST_LIST
            return [self.clean(each, depth - 1) for each in reversed(value[-_LONGEST_LIST:])][::-1]
        if isinstance(value, dict):
            names = {name: redacted(name[:_LONGEST_NAME], self.rules.redact) for name in value}
            self.is_cut |= len(set(names.values())) < len(names)
            return {names[name]: self.clean(each, depth - 1) for name, each in value.items()}
        return value

    def _text(self, text: str) -> str:
        """Redacted before it is shortened."""
        limit = min(self.rules.capture_limit, self.room)
        if not limit:
            self.is_cut = True
            return "…"
        kept = redacted(text[: limit + _MARGIN], self.rules.redact)
        self.room -= min(len(kept), limit)
        if len(kept) <= limit and len(text) <= limit + _MARGIN:
            return kept
        self.is_cut = True
        return kept[:limit] + "…"
