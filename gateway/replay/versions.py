"""Which version of a template a recorded call had, and which one another policy would put round it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.prompt import ByRoute
from gateway.policy.snapshot import Snapshot
from gateway.replay.again import Again
from gateway.replay.recorded import Recorded
from gateway.replay.wordings import Named
from gateway.template.apply import render
from gateway.template.choose import Choice, choose
from gateway.template.engine import Engine
from gateway.template.prompts import find, unit_of_user
from gateway.template.rollout.rollouts import OVERRIDE
from gateway.template.rollout.standing import basis_of
from gateway.template.rules import PRODUCTION, Rollout, Template, Unit, Version
from gateway.template.wanted import split, unknown

_CONVERSATIONS = 100_000


class UnknownError(Exception):
    """The text cannot be made; the argument says what of the call is not known."""


@dataclass(frozen=True, slots=True)
class Put:
    """A version that is put round a call; `route` is the rule that puts it, None where the client asked for it."""

    template: Template
    version: Version
    reason: str
    engine: Engine
    route: str | None = None

    @property
    def named(self) -> Named:
        return Named(self.version.number, self.version.hash)

    def messages(self, given: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Raises InvalidRequest."""
        return render(self.template, self.version, given, self.engine)

    def brings(self, messages: list[dict[str, Any]]) -> object:
        """All of it that a provider gets, to be compared."""
        version = self.version
        return messages, version.tools, version.response_format, version.parameters, self.template.mode


class Versions:
    """`again` decides under the new policy. A conversation keeps the version that it began with there."""

    def __init__(self, old: Snapshot, again: Again) -> None:
        self._old = old
        self._new = again.snapshot
        self._again = again
        self._begun: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self.approximated: dict[str, int] = {}

    def asked(self, recorded: Recorded) -> ByRoute | str | None:
        """What is asked for under the new policy, by a route of its or by the client. Raises Unrecorded, CallerError."""
        was = recorded.prompt
        if was is None or was.prompt.route is not None:
            return self._again.template(recorded)
        wanted = was.prompt.wanted
        return was.prompt.name if wanted is None else f"{was.prompt.name}@{wanted}"

    def before(self, recorded: Recorded) -> Put | None:
        """The version that the call had; if the old policy does not have it any more, what it chooses now. None for a call
        without a template. Raises UnknownError."""
        was = recorded.prompt
        if was is None:
            return None
        template, prompt = self._old.templates.named.get(was.prompt.name), was.prompt
        if template is None:
            raise UnknownError("the version that they had")
        version = _by_hash(template, prompt.hash)
        if version is None:
            choice = choose(template, prompt.wanted, prompt.unit) if was.is_asked_known else None
            if choice is None:
                raise UnknownError("the version that they had")
            version = choice.version
            self._note(
                "the version of a template was not in the old policy any more, and what it chooses now was taken"
            )
        return Put(template, version, prompt.reason, self._old.templates.engine)

    def after(self, recorded: Recorded, asked: ByRoute | str) -> Put:
        """What the new policy chooses. Raises NotFound, and UnknownError."""
        was, text = recorded.prompt, asked if isinstance(asked, str) else asked.template
        name, version = split(text)
        template = find(self._new.templates, name, self._again.tenant(recorded.key))
        if template is None:
            raise unknown(text)
        if isinstance(asked, str) and was is not None and not was.is_asked_known:
            raise UnknownError("which version was asked for")
        choice = self._as_an_admin_said(template, recorded) or self._choose(template, version, recorded)
        if choice is None:
            raise unknown(text)
        route = None if isinstance(asked, str) else asked.route
        return Put(template, choice.version, choice.reason, self._new.templates.engine, route)

    def _as_an_admin_said(self, template: Template, recorded: Recorded) -> Choice | None:
        """What stands beside a file holds as long as the file stays the same."""
        was = recorded.prompt
        if was is None or was.prompt.reason not in (OVERRIDE, "stepped_back") or was.prompt.name != template.name:
            return None
        before = self._old.templates.named.get(template.name)
        if before is None or basis_of(before) != basis_of(template):
            return None
        same = _by_hash(template, was.prompt.hash)
        return None if same is None else Choice(same, was.prompt.reason)

    def _choose(self, template: Template, asked: str | None, recorded: Recorded) -> Choice | None:
        rollout, was = template.rollout, recorded.prompt
        if rollout is None or asked not in (None, PRODUCTION):
            return choose(template, asked, "")
        unit = self._unit(template, rollout, recorded)
        if rollout.by is not Unit.CONVERSATION:
            return choose(template, asked, unit)
        key = (template.name, rollout.salt, unit)
        kept = self._begun.get(key)
        if kept is None and was is not None and was.prompt.reason == "sticky" and was.prompt.name == template.name:
            kept = was.prompt.version
        choice = choose(template, asked, unit, kept=kept)
        if choice is not None:
            self._begun[key] = choice.version.number
            if len(self._begun) > _CONVERSATIONS:
                self._begun.popitem(last=False)
        return choice

    def _unit(self, template: Template, rollout: Rollout, recorded: Recorded) -> str:
        if rollout.by is Unit.USER and recorded.user is not None:
            return unit_of_user(self._again.tenant(recorded.key), recorded.user)
        was, before = recorded.prompt, self._old.templates.named.get(template.name)
        is_same = before is not None and before.rollout is not None and before.rollout.by is rollout.by
        if is_same and was is not None and was.prompt.unit:
            return was.prompt.unit
        self._note("a rollout's version was drawn by something else than the call, which has no digest to draw by")
        return recorded.call.id if recorded.conversation is None else recorded.conversation.id

    def _note(self, what: str) -> None:
        self.approximated[what] = self.approximated.get(what, 0) + 1


def _by_hash(template: Template, hash: str) -> Version | None:
    return next((each for each in template.versions.values() if each.hash == hash), None)
