"""Candidates and guarantees: who may answer a route's calls in the place of its strong model, and what must be shown first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.core.deployment import Model
from gateway.core.money import Price
from gateway.policy import schema, schema_routes
from gateway.policy.mistakes import Mistakes, Path, nearest
from gateway.policy.sections.models import Models, unknown
from gateway.route.candidates import Candidate, Cascade, Check, Comparison, Guarantee, Learned, Scorer
from gateway.route.quality.agreement import LAST

OWN = "llmgw"
"""The organisation that the gateway's own calls are made as."""
MIX = (4, 1)
"""Input and output tokens by which prices of models are compared."""
MOST_ESCALATED = 0.5
"""A cascade that loses money when fewer calls than this are escalated is refused; measured ones escalate up to 46 %."""
_MOST_JUDGE_ERROR = 0.5


@dataclass(frozen=True, slots=True)
class Candidates:
    """Makes a route's candidates and its guarantee of what is written."""

    models: Models
    mistakes: Mistakes
    compiled: Mapping[str, Cascade | Learned | None]
    default: schema_routes.Guarantee
    wants_own: bool

    def named(self, names: list[str], reference: Model, path: Path) -> tuple[Candidate, ...]:
        """The cheapest first; those whose price is not known stand last, in their order. Unknown ones are mistakes."""
        found: list[Candidate] = []
        for index, name in enumerate(names):
            candidate: Candidate | None = self.compiled[name] if name in self.compiled else self.models.find(name)
            if candidate is None and name not in self.compiled:
                known = {*self.models.declared, *self.compiled}
                self.mistakes.add((*path, index), f"there is no model or policy {name!r}{nearest(name, known)}")
            elif candidate is not None and any(candidate.name == each.name for each in found):
                self.mistakes.add((*path, index), f"{name!r} is named twice")
            elif candidate is not None:
                found.append(candidate)
                if (wrong := _against(candidate, reference)) is not None:
                    self.mistakes.add((*path, index), wrong)
        return tuple(sorted(found, key=_expected_cost))

    def guarantee(self, written: schema_routes.Guarantee | None, model: str | None, path: Path) -> Guarantee | None:
        """What is said for the route, then what is said for all, then the defaults. None after a mistake."""
        own = written or _NOTHING
        said = self.default.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})
        where: Path = path if written is not None else ("guarantee", "default")
        if model is not None and own.reference not in (None, model):
            message = f"the route's model {model!r} is its reference: one of the two is left out"
            self.mistakes.add((*where, "reference"), message)
        reference = self._model(said.reference if model is None else model, (*where, "reference"))
        if reference is None:
            if model is None and said.reference is None:
                message = "candidates need a strong model to be measured by: `model`, or `reference` in the guarantee"
                self.mistakes.add(path[:2], message)
            return None
        judged = said.score if isinstance(said.score, schema_routes.Judged) else None
        judge = None if judged is None else self._model(judged.judge, (*where, "score", "judge"))
        if judged is not None and judged.judge_error >= _MOST_JUDGE_ERROR:
            self.mistakes.add((*where, "score", "judge_error"), "a judge that is wrong half of the time says nothing")
            return None
        defaults = Guarantee(reference)
        return Guarantee(
            reference,
            max_loss=self._max_loss(said.max_loss or defaults.max_loss, (*where, "max_loss")),
            confidence=self._confidence(said.confidence or defaults.confidence, (*where, "confidence")),
            shadow=said.shadow or defaults.shadow,
            audit=said.audit or defaults.audit,
            budget=said.shadow_budget,
            scorer=Scorer.JUDGE if judged is not None else Scorer(said.score or defaults.scorer),
            judge=judge,
            judge_error=0.0 if judged is None else judged.judge_error,
            per_prompt=said.per != "route",
        )

    def _max_loss(self, share: float, where: Path) -> float:
        if share >= 1:
            self.mistakes.add(where, "a loss of all quality is no limit: it is below 100%")
            return 0.05
        return share

    def _confidence(self, share: float, where: Path) -> float:
        if not 0.5 <= share < 1:
            self.mistakes.add(where, "a confidence is from 50% to below 100%")
            return 0.95
        return share

    def _model(self, name: str | None, where: Path) -> Model | None:
        if name is None:
            return None
        model = self.models.find(name)
        if model is None:
            self.mistakes.add(where, unknown(name, self.models))
        return model


_NOTHING = schema_routes.Guarantee()


def price_ratio(candidate: Candidate, reference: Model) -> float | None:
    """What the candidate is expected to cost, as a share of the reference, trials apart; None where a price is not known."""
    expected, whole = _expected_cost(candidate), _cost(reference)
    return expected / whole if whole and expected != float("inf") else None


def compile_candidates(policy: schema.Policy, models: Models, mistakes: Mistakes) -> Candidates:
    compiled = {
        name: _compiled(name, written, ("policies", name), models, mistakes)
        for name, written in policy.policies.items()
    }
    for name in compiled:
        if models.find(name) is not None:
            mistakes.add(("policies", name), f"there is a model {name!r} too", key=True)
    default = policy.guarantee.get("default", _NOTHING)
    if default.reference is not None:
        _found(default.reference, ("guarantee", "default", "reference"), models, mistakes)
    wants_own = bool(policy.tenants) and OWN not in policy.tenants
    return Candidates(models, mistakes, compiled, default, wants_own)


def _compiled(
    name: str, written: schema_routes.Candidate, path: Path, models: Models, mistakes: Mistakes
) -> Cascade | Learned | None:
    if (written.attempt is None) == (written.choose is None):
        mistakes.add(path, "either `try` (a cascade) or `choose` (a learned score) says who answers")
        return None
    if written.attempt is not None:
        return _cascade(name, written, written.attempt, path, models, mistakes)
    return _learned(name, written, path, models, mistakes)


def _learned(
    name: str, written: schema_routes.Candidate, path: Path, models: Models, mistakes: Mistakes
) -> Learned | None:
    assert written.choose is not None
    for key in ("escalate_to", "when"):
        if key in written.model_fields_set:
            mistakes.add((*path, key), f"{key!r} belongs to a cascade, which has `try`", key=True)
    found = [_found(each, (*path, "choose", index), models, mistakes) for index, each in enumerate(written.choose)]
    weak, strong = found
    if weak is not None and weak is strong:
        mistakes.add((*path, "choose"), f"there is nothing to choose between {weak.name!r} and itself")
    return (
        None
        if weak is None or strong is None
        else Learned(name, weak, strong, written.strong_share or 0.4, sticky=written.sticky == "conversation")
    )


def _cascade(
    name: str, written: schema_routes.Candidate, attempt: str, path: Path, models: Models, mistakes: Mistakes
) -> Cascade | None:
    for key in ("strong_share", "sticky"):
        if key in written.model_fields_set:
            mistakes.add((*path, key), f"{key!r} belongs to a learned score, which has `choose`", key=True)
    if written.escalate_to is None:
        mistakes.add(path, "'escalate_to' is missing: the model that is asked where a check fires")
        return None
    cheap = _found(attempt, (*path, "try"), models, mistakes)
    strong = _found(written.escalate_to, (*path, "escalate_to"), models, mistakes)
    checks = frozenset(Check(each) for each in written.when if isinstance(each, str))
    others = [each for each in written.when if not isinstance(each, str)]
    if len(others) > 1 or not written.when:
        mistakes.add((*path, "when"), "at least one check, and at most one second model that may disagree")
        return None
    second = None
    if others:
        second = _found(others[0].disagrees_with, (*path, "when"), models, mistakes)
        if second is None or second is cheap:
            if second is not None:
                mistakes.add((*path, "when"), f"{second.name!r} cannot disagree with itself")
            return None
        if others[0].part and (
            others[0].on == "tool_call" or (others[0].on == "text_exact" and others[0].part != LAST)
        ):
            mistakes.add((*path, "when"), f"there is no part {others[0].part!r} to compare in {others[0].on}")
    if cheap is None or strong is None:
        return None
    cascade = Cascade(
        model=replace(cheap, name=name),
        cheap=cheap,
        strong=strong,
        when=checks,
        second=second,
        on=Comparison(others[0].on) if others else Comparison.JSON,
        part=others[0].part if others else "",
    )
    _note_loss(cascade, path, mistakes)
    return cascade


def _against(candidate: Candidate, reference: Model) -> str | None:
    """What is wrong with it beside this reference. What a candidate leaves to its strong model counts as good as the reference's
    answer without being compared, and so must be the reference's."""
    if isinstance(candidate, Model):
        return f"{candidate.name!r} is the reference itself" if candidate.name == reference.name else None
    if {each.name for each in candidate.strong.deployments} == {each.name for each in reference.deployments}:
        return None
    return f"{candidate.name!r} leaves calls to {candidate.strong.name!r}, and the reference is {reference.name!r}"


def _found(name: str, path: Path, models: Models, mistakes: Mistakes) -> Model | None:
    model = models.find(name)
    if model is None:
        mistakes.add(path, unknown(name, models))
    return model


def _note_loss(cascade: Cascade, path: Path, mistakes: Mistakes) -> None:
    """A cascade that costs more than its strong model alone, unless it hardly ever escalates."""
    tried = [_cost(cascade.cheap), *([_cost(cascade.second)] if cascade.second is not None else [])]
    strong = _cost(cascade.strong)
    if strong is None or any(each is None for each in tried):
        return
    share = sum(each or 0.0 for each in tried) / strong if strong else 1.0
    if share > 1 - MOST_ESCALATED:
        worth = f"at {max(0.0, 1 - share):.0%} of calls escalated" if share < 1 else "always"
        mistakes.add(
            path,
            f"this cascade costs more than {cascade.strong.name!r} alone {worth}: what it tries costs {share:.0%} of that",
        )


def _expected_cost(candidate: Candidate) -> float:
    """In nano-USD for MIX tokens, with a third of a cascade's calls escalated; infinite where a price is not known."""
    if isinstance(candidate, Model):
        parts = [(1.0, candidate)]
    elif isinstance(candidate, Learned):
        parts = [(1 - candidate.strong_share, candidate.weak), (candidate.strong_share, candidate.strong)]
    else:
        parts = [(1.0, candidate.cheap), (1 / 3, candidate.strong)]
        parts += [(1.0, candidate.second)] if candidate.second is not None else []
    total = 0.0
    for share, model in parts:
        cost = _cost(model)
        if cost is None:
            return float("inf")
        total += share * cost
    return total


def _cost(model: Model) -> float | None:
    """Of MIX tokens at the model's dearest deployment; None where a price is not known."""
    prices: list[Price | None] = [each.price for each in model.deployments]
    known = [each for each in prices if each is not None]
    if not known or len(known) < len(prices):
        return None
    return max(MIX[0] * each.input + MIX[1] * each.output for each in known)
