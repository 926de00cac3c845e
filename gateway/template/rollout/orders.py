"""What an admin may say of a template beside its file. Each order is checked against the standing that the store has."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from gateway.core.errors import Conflict, NotFound
from gateway.template.rollout.rollouts import number_of, serving
from gateway.template.rollout.standing import Override, Standing
from gateway.template.rules import Template

PROMOTE, ROLLBACK = "promote", "rollback"


@dataclass(frozen=True, slots=True)
class Word:
    """Who says it, why, and when (UTC seconds)."""

    who: str
    reason: str
    at: float


def promoted(template: Template, standing: Standing, number: int, word: Word) -> Standing:
    """Version `number` gets all calls, whether it was stepped back or not. Raises NotFound, Conflict."""
    version = template.versions.get(number)
    if version is None:
        there_are = ", ".join(str(each) for each in sorted(template.versions))
        raise NotFound(f"{template.name} has no version {number}; there are {there_are}", code="template_not_found")
    if _gets_all(template, standing, number):
        raise Conflict(f"version {number} gets all calls already", code="version_in_force", param="version")
    return _overridden(template, standing, PROMOTE, version.hash, word)


def rolled_back(template: Template, standing: Standing, word: Word) -> Standing:
    """All calls go to the version before: what served before a promotion, the current version of a rollout, or else the next
    lower number. Raises Conflict where there is none."""
    number = _before(template, standing)
    if number is None:
        raise Conflict("there is no version before to go back to", code="no_version_before")
    return _overridden(template, standing, ROLLBACK, template.versions[number].hash, word)


def reset(standing: Standing) -> Standing:
    """What the file says is in force again, and what was shown of its rollout counts no more."""
    return Standing(trial=standing.trial + 1)


def _overridden(template: Template, standing: Standing, kind: str, version: str, word: Word) -> Standing:
    override = Override(kind, version, serving(template, standing).hash, word.who, word.reason, word.at)
    return replace(standing, override=override)


def _before(template: Template, standing: Standing) -> int | None:
    override = standing.override
    if override is not None:
        before = number_of(template, override.before) if override.kind == PROMOTE else None
        return before if before != number_of(template, override.version) else None
    if template.rollout is not None and len(template.rollout.weights) > 1:
        return template.rollout.baseline
    lower = [number for number in template.versions if number < serving(template, standing).number]
    return max(lower, default=None)


def _gets_all(template: Template, standing: Standing, number: int) -> bool:
    if serving(template, standing).number != number:
        return False
    return standing.override is not None or template.rollout is None or len(template.rollout.weights) == 1
