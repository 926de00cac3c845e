"""What the policy says of kept answers, route by route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.cache.admission import Rules as Admission
from gateway.cache.key import Sharing
from gateway.cache.semantic.asked import SemanticRule


@dataclass(frozen=True, slots=True)
class Rule:
    """`ttl` is in seconds; `pace`, in characters per second, is how fast a hit is streamed (None: at once)."""

    ttl: float
    sharing: Sharing = Sharing.TEAM
    admits: Admission = field(default_factory=Admission)
    semantic: SemanticRule | None = None
    pace: float | None = None


@dataclass(frozen=True, slots=True)
class CacheRules:
    """`routes` has the routes with a rule of their own; None: nothing is kept."""

    default: Rule | None = None
    routes: Mapping[str, Rule | None] = field(default_factory=dict)

    def of(self, route: str | None) -> Rule | None:
        """The rule for a call that this route took; None stands for no route, whose model the client has named."""
        return self.default if route is None else self.routes.get(route, self.default)

    @property
    def semantic(self) -> tuple[SemanticRule, ...]:
        """The rules that ask for answers by their meaning."""
        rules = dict.fromkeys((self.default, *self.routes.values()))
        return tuple(rule.semantic for rule in rules if rule is not None and rule.semantic is not None)
