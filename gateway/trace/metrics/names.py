"""Label values: only names that the policy has, or that a provider has answered to, so that no client can make series."""

from __future__ import annotations

from dataclasses import dataclass, field

OTHER = "_other"
"""A model or deployment that nobody knows."""
LEARNED = 200
"""Names that only wildcards stand for, at most, of models and of deployments each."""
CODES = 100
"""Error codes told apart, at most: some are the providers' own."""
LONGEST = 128

NO_CODE = "_OTHER"
"""An error code that is not told apart."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the policy names."""

    models: frozenset[str] = frozenset()
    deployments: frozenset[str] = frozenset()


@dataclass(slots=True)
class Names:
    """What is known in all: `policy` is replaced when the policy is."""

    policy: Known = field(default_factory=Known)
    models: set[str] = field(default_factory=set)
    deployments: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)

    def model(self, name: str | None) -> str:
        """ "" where no model was named, or not yet read."""
        if name is None:
            return ""
        return clean(name) if name in self.policy.models or name in self.models else OTHER

    def deployment(self, name: str | None) -> str:
        if name is None:
            return ""
        return clean(name) if name in self.policy.deployments or name in self.deployments else OTHER

    def code(self, code: str | None) -> str:
        if code is None:
            return ""
        if code not in self.codes and len(self.codes) < CODES:
            self.codes.add(code)
        return clean(code) if code in self.codes else NO_CODE

    def learn(self, model: str | None, deployment: str | None) -> bool:
        """Takes up names that a provider has answered to. Whether any was new."""
        before = len(self.models) + len(self.deployments)
        _learn(self.models, self.policy.models, model)
        _learn(self.deployments, self.policy.deployments, deployment)
        return len(self.models) + len(self.deployments) > before


def clean(value: object) -> str:
    """As a label: text that can be encoded, and "" for None."""
    return "" if value is None else str(value)[:LONGEST].encode("utf-8", "replace").decode()


def _learn(learned: set[str], known: frozenset[str], name: str | None) -> None:
    if name is not None and name not in known and len(learned) < LEARNED and len(name) <= LONGEST:
        learned.add(name)
