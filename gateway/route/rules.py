"""Routes: the first whose match fits a call says which model answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.core.deployment import Model
from gateway.route.candidates import Canary, Candidate, Guarantee, Hedge, Mirror
from gateway.route.hours import Hours


@dataclass(frozen=True, slots=True)
class Span:
    """A range of input tokens, both ends included; `most` None is open."""

    least: int = 0
    most: int | None = None

    def __contains__(self, count: int) -> bool:
        return count >= self.least and (self.most is None or count <= self.most)


@dataclass(frozen=True, slots=True)
class Match:
    """What a call must be like; a condition left empty always holds. Names are matched as shell patterns (`billing-*`)."""

    models: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    headers: tuple[tuple[bytes, str], ...] = ()
    tokens_in: Span | None = None
    has: frozenset[str] = frozenset()
    has_not: frozenset[str] = frozenset()
    stream: bool | None = None
    time: Hours | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A named rule. `model` answers the calls that `match` fits, unless one of `candidates`, the cheapest first, has shown
    that it may. With `sticky` a conversation keeps the model that it began with. `template`, a name or `name@version`, is put
    round the calls that it fits."""

    name: str
    match: Match
    model: Model
    candidates: tuple[Candidate, ...] = ()
    guarantee: Guarantee | None = None
    canary: Canary | None = None
    mirror: Mirror | None = None
    hedge: Hedge | None = None
    sticky: bool = True
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Routes:
    """The routing section of a snapshot: rules in order, and the models clients may name.

    `wildcards` are models whose name ends in `*`, resolved by name on first use. `aliases` are names that only routes know,
    such as `auto`. `counts_tokens` says whether any rule asks for the number of input tokens, and
    `headers` which of a call's headers any rule asks for; `puts_templates`, whether any rule has a template.
    """

    rules: tuple[Route, ...]
    models: Mapping[str, Model]
    wildcards: tuple[tuple[str, Callable[[str], Model]], ...] = ()
    aliases: frozenset[str] = field(default_factory=frozenset)
    counts_tokens: bool = False
    headers: tuple[bytes, ...] = ()
    puts_templates: bool = False
