"""The policy of one worker: what is in force, what watches over it, and how changes are tried out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.core.clock import Clock
from gateway.ingress.admin.draft import Trying
from gateway.meter.model_table import ModelTable
from gateway.meter.price import PriceTable
from gateway.meter.tokens import Tokens
from gateway.policy.check import tried
from gateway.policy.compile import compile_policy
from gateway.policy.current import Current
from gateway.policy.history import History
from gateway.policy.snapshot import Snapshot
from gateway.policy.stored import StoredTemplates
from gateway.policy.watch import Watch, tell_shadowed
from gateway.settings import Settings
from gateway.store.contract import Store


@dataclass(frozen=True, slots=True)
class InForce:
    """`stored` are the templates that the store has, which are compiled together with the folder."""

    policy: Current
    stored: StoredTemplates
    watch: Watch
    history: History
    trying: Trying


async def put_into_force(settings: Settings, store: Store, tokens: Tokens, clock: Clock) -> InForce:
    """Compiles the policy for the first time. Raises PolicyError, and OpenError where the store does not tell its templates."""
    prices, table, stored = PriceTable(clock), ModelTable(), StoredTemplates(store.templates)

    def compile_folder(folder: Path, beside: Mapping[str, bytes]) -> Snapshot:
        snapshot = compile_policy(folder, settings.environment, prices.price, table.abilities, beside)
        if snapshot.routes.counts_tokens or not snapshot.limits.is_empty:
            tokens.load("")  # before calls come: it holds the interpreter for a tenth of a second
        return snapshot

    trying = Trying(
        compile_folder, lambda folder, beside: tried(folder, settings.environment, table, beside), stored.texts
    )
    await stored.begin()
    policy = Current(await asyncio.to_thread(trying.snapshot, settings.policies), loaded_at=clock.now())
    tell_shadowed(policy.current)
    watch = Watch(settings.policies, policy, lambda: trying.snapshot(settings.policies), clock, lambda: stored.number)
    history = History(settings.policies, store.policies, policy, clock, stored.texts)
    return InForce(policy, stored, watch, history, trying)
