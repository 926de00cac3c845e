"""Runs the policy's own tests with the code that decides about real calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from orjson import dumps

from gateway.auth.tenants import tenant_of
from gateway.core.call import Call, Operation
from gateway.core.errors import CallerError
from gateway.core.prompt import Prompt
from gateway.core.tenant import Tenant, VirtualKey
from gateway.policy import schema_tests
from gateway.policy.judging import Judging
from gateway.policy.mistakes import Place
from gateway.policy.prompted import put
from gateway.policy.sections.cases import Case
from gateway.policy.shapes import listed
from gateway.policy.snapshot import Snapshot
from gateway.policy.template_suite import outcomes
from gateway.route import plan
from gateway.route.candidates import Candidate, Cascade, Standing
from gateway.route.cascade import why_not
from gateway.route.decision import Circumstances, Decision, Held
from gateway.route.quality.answer import Answer
from gateway.route.rules import Route
from gateway.template.choose import named
from gateway.template.wanted import PREFIX, split

AUTO = "auto"
"""The name that most policies have for whatever a route decides on."""
_JSON_SCHEMA = frozenset({"json_schema"})


@dataclass(frozen=True, slots=True)
class _Outcome:
    """`model` is who answers in the end, where a cascade's answers are given, and `because` the check that fired. `prompt` is the
    template that was put round the call."""

    decision: Decision
    prompt: Prompt | None
    model: str
    because: str | None


TokensIn = Callable[[Call], int]


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that did not come out as expected, or was skipped, and why."""

    place: Place
    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: test {self.name!r}: {self.message}"


@dataclass(frozen=True, slots=True)
class Ran:
    """How many tests there are; those that failed, with each of its failures; and those that were skipped, and why."""

    count: int
    failures: Sequence[Failure] = ()
    skipped: Sequence[Failure] = ()


def run(cases: Sequence[Case], snapshot: Snapshot, tokens_in: TokensIn, judging: Judging | None = None) -> Ran:
    """Those of templates last. `tokens_in` counts for tests that do not say how long their prompt is; without `judging` only the
    built-in provider judges."""
    failed = [
        Failure(case.place, case.name, message)
        for case in cases
        for message in _differences(case.expect, _outcome(case, snapshot, tokens_in), snapshot)
    ]
    of_templates = list(outcomes(snapshot.template_cases, snapshot, judging or Judging()))
    failed += [Failure(each.place, each.name, message) for each in of_templates for message in each.differences]
    skipped = [Failure(each.place, each.name, each.skipped) for each in of_templates if each.skipped is not None]
    return Ran(len(cases) + len(snapshot.template_cases), failed, skipped)


def _outcome(case: Case, snapshot: Snapshot, tokens_in: TokensIn) -> _Outcome | CallerError:
    request, call = case.request, _call(case.request, snapshot)
    try:
        tenant = _tenant(request, snapshot)
        by_route = plan.template(call, tenant, snapshot.routes, _given(case, call, tokens_in))
        call = put(call, tenant, snapshot.templates, by_route)
        given = _given(case, call, tokens_in)
        found = plan.find(call, tenant, snapshot.routes, given)
        plan.check_template(found, call)
        decision = plan.settle(found, call, tenant, given)
    except CallerError as error:
        return error
    return _Outcome(decision, call.prompt, *_answered(decision, call, case.answers))


def _given(case: Case, call: Call, tokens_in: TokensIn) -> Circumstances:
    count = case.request.tokens_in
    if count is None and not call.fields.get("messages"):
        count = 0
    return Circumstances(
        tokens_in=lambda: tokens_in(call) if count is None else count,
        now=case.request.time,
        held=partial(_held, case),
        sent=count,
    )


def _answered(decision: Decision, call: Call, said: Mapping[str, str]) -> tuple[str, str | None]:
    """Who answers in the end, and why no cheap model does; a cascade of which nobody said what is answered is itself."""
    cascade = decision.cascade
    if cascade is None or cascade.cheap.name not in said:
        return decision.model.name, None
    second = said.get(cascade.second.name) if cascade.second is not None else None
    other = None if second is None else Answer(second, finish="stop")
    because = why_not(cascade, Answer(said[cascade.cheap.name], finish="stop"), other, call.fields)
    return (cascade.cheap if because is None else cascade.strong).name, because


def _held(case: Case, route: Route, candidate: Candidate, _: str) -> Held:
    is_asked = isinstance(candidate, Cascade) and bool(case.answers)
    of_all = case.state.get(route.name, Standing.CERTIFIED if is_asked else Standing.UNCERTIFIED)
    return Held(case.state.get(f"{route.name}/{candidate.name}", of_all))


def _tenant(request: schema_tests.Request, snapshot: Snapshot) -> Tenant:
    """Whoever the test names; without a name, somebody who may ask for every model."""
    if request.tenant is None:
        return Tenant(org="test", team=None, key_id="test", key_name=request.key)
    key = VirtualKey(id="test", name=request.key, tenant=request.tenant, fingerprint="")
    return tenant_of(key, snapshot.tenants)


def _call(request: schema_tests.Request, snapshot: Snapshot) -> Call:
    model = request.model or _any_model(snapshot)
    fields: dict[str, Any] = {"model": model}
    asks = request.template is not None or model.startswith(PREFIX)
    if not asks or "content" in request.model_fields_set:
        fields["messages"] = [{"role": "user", "content": request.content}]
    if request.json_schema is not None:
        fields["response_format"] = _format(request.json_schema)
    if request.variables:
        fields["llmgw"] = {"variables": request.variables}
    return Call(
        id="test",
        operation=Operation.CHAT,
        received=0.0,
        model=model,
        body=dumps(fields),
        fields=fields,
        stream=request.stream,
        template=request.template,
        has=frozenset(listed(request.has)) | (frozenset() if request.json_schema is None else _JSON_SCHEMA),
        tags=listed(request.tags),
        conversation=request.conversation,
        headers={name.lower().encode(): value.encode() for name, value in request.headers.items()},
    )


def _any_model(snapshot: Snapshot) -> str:
    routes = snapshot.routes
    return AUTO if AUTO in routes.aliases or not routes.models else next(iter(routes.models))


def _format(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _differences(expect: schema_tests.Expectation, found: _Outcome | CallerError, snapshot: Snapshot) -> Iterator[str]:
    if isinstance(found, CallerError):
        if expect.error not in (found.code, found.status):
            wanted = "" if expect.error is None else f"expected the error {expect.error}, "
            yield f"{wanted}refused with {found.status} {found.code}: {found.message}"
        return
    outcome = found.decision
    if expect.error is not None:
        yield f"expected the error {expect.error}, answered by {outcome.model.name} ({_route(outcome)})"
    if expect.route not in (None, outcome.route):
        yield f"expected route {expect.route}, took {_route(outcome)}"
    if expect.model not in (None, outcome.model.name, found.model):
        yield f"expected model {expect.model}, answered by {found.model} ({_route(outcome)})"
    yield from _otherwise_prompted(expect.template, found, snapshot)
    if expect.because not in (None, found.because):
        yield f"expected the check {expect.because} to fire, but {found.because or 'none'} did"
    if expect.reason not in (None, outcome.reason):
        yield f"expected the reason {expect.reason}, but it is {outcome.reason} ({_route(outcome)})"
    if expect.candidate not in (None, outcome.candidate):
        yield f"expected candidate {expect.candidate}, answered by {outcome.candidate or 'none'}{_passed_over(outcome)}"
    deployments = [each.name for each in outcome.model.deployments]
    if expect.deployment is not None and expect.deployment not in deployments:
        yield f"expected deployment {expect.deployment}, which is not among {', '.join(deployments) or 'none'}"


def _otherwise_prompted(expected: str | None, found: _Outcome, snapshot: Snapshot) -> Iterator[str]:
    if expected is None:
        return
    prompt, (name, version) = found.prompt, split(expected)
    choice = named(snapshot.templates.named[name], version)
    is_so = prompt is not None and prompt.name == name
    if version is not None:
        is_so = is_so and choice is not None and prompt is not None and choice.version.number == prompt.version
    if not is_so:
        label = "none" if prompt is None else prompt.label
        yield f"expected the template {expected}, got {label} ({_route(found.decision)})"


def _route(decision: Decision) -> str:
    return "no route" if decision.route is None else f"route {decision.route}"


def _passed_over(decision: Decision) -> str:
    """Why each candidate that does not answer does not."""
    reasons = [f"{each.name}: {each.reason}" for each in decision.considered if each.reason is not None]
    return f" ({', '.join(reasons)})" if reasons else ""
