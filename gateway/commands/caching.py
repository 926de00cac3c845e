"""What the cache would do for a call, in words: which rule applies, who shares the answer, and why it is not looked up."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.cache.admission import REFUSALS, Control, read_control, refuse_call
from gateway.cache.key import Sharing, scope_of
from gateway.cache.rules import CacheRules, Rule
from gateway.cache.semantic import eligible
from gateway.cache.semantic.asked import SemanticRule
from gateway.cache.semantic.start import is_installed
from gateway.core.call import Call
from gateway.core.tenant import Tenant

_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def tell_cache(call: Call, tenant: Tenant, route: str | None, rules: CacheRules) -> Iterator[str]:
    """Lines; the first begins with what happens. `route` as of route.plan.Decision."""
    rule = rules.of(route)
    if rule is None:
        yield f"bypass: {_source(route, rules)} keeps no answers"
        return
    control = read_control(call.headers.get(b"cache-control"))
    if (word := refuse_call(call.fields, control, rule.admits)) is not None:
        yield f"bypass: {REFUSALS[word]} ({_source(route, rules)})"
        return
    scope = scope_of(tenant, rule.sharing)
    yield f"{_looked_up(control)}, kept for {_span(rule.ttl)} ({_source(route, rules)})"
    yield f"shared {_shared(scope, rule)}"
    if rule.semantic is not None:
        yield _by_meaning(call, rule.semantic, is_shared=scope[0] != Sharing.KEY.value, may_read=control.may_read)


def _source(route: str | None, rules: CacheRules) -> str:
    if route is not None and route in rules.routes:
        return f"the policy's rule for {route}"
    return "the policy" if rules.default is None else "the policy's default rule"


def _looked_up(control: Control) -> str:
    if not control.may_read:
        return "not looked up, for the client wants a new answer"
    return "looked up" if control.max_age is None else f"looked up if no older than {_span(control.max_age)}"


def _shared(scope: tuple[str, ...], rule: Rule) -> str:
    if scope[0] == Sharing.ORG.value:
        return f"in organisation {scope[1]}"
    if scope[0] == Sharing.TEAM.value:
        return f"in team {scope[1]}/{scope[2]}"
    return "with nobody: the key is in no team" if rule.sharing is Sharing.TEAM else "with nobody but this key"


def _by_meaning(call: Call, rule: SemanticRule, *, is_shared: bool, may_read: bool) -> str:
    asked = eligible.question(call.fields, shared=is_shared)
    if isinstance(asked, str):
        return f"not by its meaning: {eligible.REFUSALS[asked]}"
    if not is_installed([rule]):
        return "not by its meaning: the packages of the semantic cache are not installed here: run `make semantic`"
    if not may_read:
        return "findable by its meaning once it is kept"
    if rule.threshold is not None:
        return f"by its meaning, too, from a similarity of {rule.threshold:g} on, which nobody has proven"
    return f"by its meaning, too, where the route has earned that at most {100 * (rule.max_error or 0):g}% are wrong"


def _span(seconds: float) -> str:
    size, letter = next(((size, letter) for size, letter in _UNITS if seconds and seconds % size == 0), (1, "s"))
    return f"{seconds / size:g}{letter}"
