"""What the policy says of kept answers, route by route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.cache.admission import Rules as Admission
from gateway.cache.key import Sharing


@dataclass(frozen=True, slots=True)
class SemanticRule:
    """`ttl` is in seconds. Either `max_error`, the share of wrong hits that is borne (0 to 1), or `threshold`, a similarity
    that nobody has proven. `judge` names the model that compares answers, `embedder` the deployment that embeds."""

    ttl: float
    max_error: float | None = None
    threshold: float | None = None
    judge: str | None = None
    embedder: str | None = None


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
