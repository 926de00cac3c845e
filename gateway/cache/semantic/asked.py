"""What is asked of the semantic cache and what it answers, without the packages of its extra.

A call asks with `look`; what comes back goes into `keep` once the real answer was kept, and into `learn` where the kept answer is
to be compared with the real one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from gateway.cache.key import Target
from gateway.cache.semantic import eligible, guard

Verdict = Literal["serve", "shadow", "pass", "none"]

REASONS: Mapping[str, str] = {
    **eligible.REFUSALS,
    **{f"guard_{word}": f"the nearest question differs in its {word}" for word in guard.VETOES},
    "off": "the semantic cache is off, or its packages are not installed",
    "loading": "the embedder is not loaded yet",
    "missing": "the embedder's weights are not installed",
    "busy": "too many questions wait for the embedder",
    "slow": "it took longer than a call waits",
    "failed": "the embedder failed, or gave no vector of its kind",
    "misread": "the embedder does not know these letters, or the question is longer than it looks",
    "no_neighbour": "nothing kept is near enough",
    "contested": "a question almost as near has another answer",
    "not_earned": "nothing has been earned yet at this similarity",
    "audit": "near enough, and compared with the real answer as a sample",
    "near": "near enough",
}
"""What the words for a verdict mean."""


@dataclass(frozen=True, slots=True)
class SemanticRule:
    """A route's policy. `ttl` in seconds. Either `max_error`, the share of hits that may be wrong, from 0 to 1, or `threshold`, a
    similarity that serves without proof. `judge` is a model's name; `embedder` is `PROVIDER/MODEL`, None for the one that is
    loaded here."""

    ttl: float
    max_error: float | None = None
    threshold: float | None = None
    judge: str | None = None
    embedder: str | None = None

    def __post_init__(self) -> None:
        if (self.max_error is None) == (self.threshold is None):
            raise ValueError("a rule has either max_error or threshold")


@dataclass(frozen=True, slots=True)
class Asked:
    """One call. `scope` as of key.scope_of, `fields` its parsed JSON, `org` the organisation's digest, 16 hexadecimal digits;
    `route` is "" where the model was taken as named. `hottest` is held against a temperature that the client asks for."""

    scope: tuple[str, ...]
    target: Target
    fields: Mapping[str, Any]
    org: str
    route: str
    rule: SemanticRule
    hottest: float = 0.3


@dataclass(frozen=True, slots=True)
class Found:
    """What was found. `serve`: give the answer kept under `name`. `shadow`: call upstream, then `learn`. `pass`: there is a
    candidate, which is not good enough. `none`: there is none. `reason` is in REASONS.

    `question` is the text asked, "" where it is not eligible, and `neighbour` the candidate's. The rest is for `keep` and
    `learn`; `vector` holds 16-bit floats.
    """

    verdict: Verdict
    reason: str
    asked: Asked
    similarity: float | None = None
    name: str | None = None
    question: str = ""
    neighbour: str = ""
    partition: bytes = b""
    vector: bytes | None = None


class Meanings(Protocol):
    """The semantic cache, or NO_SEMANTIC. Nothing here raises because a store, a model or an embedder is away."""

    def begin(self, rule: SemanticRule) -> None:
        """Loads, in the background, what a route with this rule needs; the first `look` does it too."""
        ...

    async def look(self, asked: Asked) -> Found:
        """Takes 100 ms at most."""
        ...

    async def keep(self, found: Found, name: str, expires: float, document: bytes = b"") -> None:
        """Makes the question findable, once its answer, the JSON `document`, was put into the cache under `name` until `expires`
        (UTC seconds). Does nothing for what was not eligible or was served: a hit makes no entry."""
        ...

    async def learn(self, found: Found, kept: bytes, real: bytes) -> None:
        """Compares two JSON documents. Not for the way of a call: a judge may be asked."""
        ...

    async def report(self, name: str, *, bad: bool, is_replaced: bool = False) -> None:
        """A user's word on an entry that was served by its meaning. A bad one is a wrong hit, and gone from every index unless
        it is replaced: what is found under its name then is another answer."""
        ...

    async def forget(self, names: Collection[str]) -> None:
        """These entries are gone from the cache: they expired, were purged, or did not check."""
        ...

    async def forget_org(self, org: str) -> None:
        """All that this organisation (its digest) has asked is forgotten."""
        ...

    def state(self) -> list[dict[str, Any]]:
        """For each route what it has earned, as JSON for admins; see proof.route.Route.state."""
        ...

    def figures(self) -> dict[str, int]:
        """Of this worker: entries, rows that did not check, and what could not be done, by its word."""
        ...

    async def close(self) -> None: ...


class NoSemantic:
    """Finds nothing and keeps nothing."""

    def begin(self, rule: SemanticRule) -> None:
        return None

    async def look(self, asked: Asked) -> Found:
        return Found("none", "off", asked)

    async def keep(self, found: Found, name: str, expires: float, document: bytes = b"") -> None:
        return None

    async def learn(self, found: Found, kept: bytes, real: bytes) -> None:
        return None

    async def report(self, name: str, *, bad: bool, is_replaced: bool = False) -> None:
        return None

    async def forget(self, names: Collection[str]) -> None:
        return None

    async def forget_org(self, org: str) -> None:
        return None

    def state(self) -> list[dict[str, Any]]:
        return []

    def figures(self) -> dict[str, int]:
        return {}

    async def close(self) -> None:
        return None


NO_SEMANTIC = NoSemantic()
