"""What is counted of calls that had the same version of a template, and would get the same one now."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gateway.replay.figures import Spent

MOST_EXAMPLES = 3
MOST_WORDINGS = 1000


@dataclass(frozen=True, slots=True)
class Named:
    """A version, as records have it."""

    version: int
    hash: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that the template would refuse: with which code, and what of the call is wrong."""

    code: str
    param: str | None


@dataclass(slots=True)
class Failure:
    """`message` is that of the first such call, `examples` are identifiers of calls."""

    message: str
    calls: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Wording:
    """`changed` calls get another version, by its hash, or none, or one that they did not have. Each of these is `counted`
    (both texts are known: `reworded` of them differ, and `tokens` and `spent` are of all of them), failed (`failures`), or
    `unjudged`, by why. `redacted` ones are counted by variables in which something had been taken out. Of those that are counted,
    `costed` ones are in `spent`: of the others there was or would be no answer, or a kept one."""

    calls: int = 0
    changed: int = 0
    counted: int = 0
    reworded: int = 0
    redacted: int = 0
    costed: int = 0
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    spent: tuple[Spent, Spent] = field(default_factory=lambda: (Spent(), Spent()))
    failures: dict[Failed, Failure] = field(default_factory=dict)
    unjudged: Counter[str] = field(default_factory=Counter)

    def fail(self, failed: Failed, message: str, id: str) -> None:
        found = self.failures.setdefault(failed, Failure(message))
        found.calls += 1
        if len(found.examples) < MOST_EXAMPLES:
            found.examples.append(id)
