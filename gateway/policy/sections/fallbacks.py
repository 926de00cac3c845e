"""Fallbacks: what is tried when all deployments of a model have failed, resolved from names to deployments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from graphlib import CycleError, TopologicalSorter

from gateway.policy import schema
from gateway.policy.mistakes import Mistakes, Path, nearest
from gateway.policy.sections.targets import Target, Targets

MOST = 100
"""Fallbacks of one model, those of its fallbacks included."""


class Fallbacks:
    """The fallbacks of each model: deployments, and other models with their own deployments and then their fallbacks."""

    def __init__(
        self, models: Mapping[str, schema.Model], declared: Set[str], targets: Targets, mistakes: Mistakes
    ) -> None:
        self._models = models
        self._declared = declared
        self._targets = targets
        self._mistakes = mistakes

    def expanded(self, used: Mapping[str, tuple[Target, ...]]) -> dict[str, tuple[Target, ...]]:
        """For each model its fallbacks in order, without repeats and without the model's own deployments."""
        expanded: dict[str, tuple[Target, ...]] = {}
        for model in self._dependencies_first(used):
            own = {target.name for target in used[model]}
            found: dict[str, Target] = {}
            for target in self._listed(model, used, expanded):
                if target.name not in own:
                    found.setdefault(target.name, target)
            if len(found) > MOST:
                self._mistakes.add(("models", model, "fallback"), f"these are more than {MOST} fallbacks in all")
            expanded[model] = tuple(found.values())[:MOST]
        return expanded

    def _listed(
        self, model: str, used: Mapping[str, tuple[Target, ...]], expanded: Mapping[str, tuple[Target, ...]]
    ) -> Iterator[Target]:
        for path, name in self._entries(model):
            if name in self._declared and not name.endswith("*"):
                if used.get(name):
                    yield from used[name]
                    yield from expanded.get(name, ())
            elif "/" in name:
                target = self._targets.fallback(path, name, model)
                if target is not None:
                    yield target
            else:
                self._mistakes.add(path, f"there is no model {name!r}{nearest(name, self._declared)}")

    def _entries(self, model: str) -> Iterator[tuple[Path, str]]:
        for index, name in enumerate(self._models[model].fallback):
            yield ("models", model, "fallback", index), name

    def _dependencies_first(self, used: Mapping[str, tuple[Target, ...]]) -> list[str]:
        """The models, each after those it falls back on. Notes every loop."""
        edges = {
            model: {name for _, name in self._entries(model) if name in used and not name.endswith("*")}
            for model in used
        }
        while True:
            try:
                return list(TopologicalSorter(edges).static_order())
            except CycleError as error:
                loop: list[str] = error.args[1][::-1]
                self._note_loop(loop)
                edges[loop[0]].discard(loop[1])

    def _note_loop(self, loop: list[str]) -> None:
        path = next(path for path, name in self._entries(loop[0]) if name == loop[1])
        self._mistakes.add(path, f"a fallback loop: {' → '.join(loop)}")
