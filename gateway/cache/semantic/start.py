"""Makes the semantic cache, if the packages of its extra are there: they are imported when a policy first asks for it."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from gateway.cache.semantic.asked import NO_SEMANTIC, Asked, Found, Meanings, SemanticRule
from gateway.cache.semantic.outside import Embeds, Judges, Shares
from gateway.core.clock import Clock
from gateway.core.tasks import Tasks

NEEDED = ("numpy", "tokenizers")
"""Without these there is none."""
NEEDED_HERE = ("onnx", "onnxruntime")
"""Without these, only embedders at providers work."""

log = logging.getLogger("llmgw.semantic")


def is_installed(rules: Iterable[SemanticRule]) -> bool:
    """Whether the packages that these rules need are there."""
    return not any(missing(rule) for rule in rules)


def missing(rule: SemanticRule) -> Sequence[str]:
    """The packages that the rule needs and that are not there."""
    needed = NEEDED if rule.embedder is not None else (*NEEDED, *NEEDED_HERE)
    return [package for package in needed if importlib.util.find_spec(package) is None]


class OnDemand:
    """Meanings that cost nothing before a policy asks for them; until they are there, nothing is found."""

    def __init__(
        self, shares: Shares, *, pepper: bytes, embeds: Embeds | None, judges: Judges | None, tasks: Tasks, clock: Clock
    ) -> None:
        self._shares = shares
        self._pepper = pepper
        self._outside = embeds, judges
        self._tasks = tasks
        self._clock = clock
        self._made: Meanings = NO_SEMANTIC
        self._reason = ""

    def begin(self, rule: SemanticRule) -> None:
        if self._made is not NO_SEMANTIC:
            self._made.begin(rule)
        elif not self._reason:
            self._reason = "loading"
            self._tasks.start(self._make(rule), name="semantic cache")

    async def look(self, asked: Asked) -> Found:
        self.begin(asked.rule)
        return Found("none", self._reason, asked) if self._made is NO_SEMANTIC else await self._made.look(asked)

    async def keep(self, found: Found, name: str, expires: float, document: bytes = b"") -> None:
        await self._made.keep(found, name, expires, document)

    async def learn(self, found: Found, kept: bytes, real: bytes) -> None:
        await self._made.learn(found, kept, real)

    async def report(self, name: str, *, bad: bool, is_replaced: bool = False) -> None:
        await self._made.report(name, bad=bad, is_replaced=is_replaced)

    async def forget(self, names: Collection[str]) -> None:
        await self._made.forget(names)

    async def forget_org(self, org: str) -> None:
        await self._made.forget_org(org)

    def state(self) -> list[dict[str, Any]]:
        return self._made.state()

    def figures(self) -> dict[str, int]:
        return self._made.figures()

    async def close(self) -> None:
        await self._made.close()

    async def _make(self, rule: SemanticRule) -> None:
        if lacking := missing(rule):
            log.error(
                "nothing is found by its meaning, for packages are missing: run `make semantic`, or see docs/semantic-cache.md",
                extra={"missing": ", ".join(lacking)},
            )
        if any(package in NEEDED for package in lacking):
            self._reason = "off"
            return
        assembly = await asyncio.to_thread(importlib.import_module, "gateway.cache.semantic.assembly")
        embeds, judges = self._outside
        made = assembly.assembled(self._shares, pepper=self._pepper, embeds=embeds, judges=judges, clock=self._clock)
        made.begin(rule)
        self._made = made
