"""The names that a policy has: what may be a label of a metric."""

from __future__ import annotations

from gateway.policy.snapshot import Snapshot
from gateway.trace.metrics.names import Known


def known(snapshot: Snapshot) -> Known:
    """Models, and the deployments behind them; what only a wildcard stands for is not among them."""
    routes = snapshot.routes
    models = [*routes.models.values(), *(route.model for route in routes.rules)]
    deployments = (each.name for model in models for each in (*model.deployments, *model.fallbacks))
    return Known(frozenset({*routes.models, *routes.aliases}), frozenset(deployments))
