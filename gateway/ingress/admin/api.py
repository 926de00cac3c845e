"""What admins ask and change: keys, policies, calls, the cache, deployments, budgets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiohttp import web

from gateway.auth.description import describe
from gateway.auth.virtual_key import mint
from gateway.auth.wanted import DEFAULT_TENANT, Wanted, expiry
from gateway.budget.budgets import Budgets
from gateway.cache.kept import Kept
from gateway.cache.purges import Purges
from gateway.cache.semantic.asked import Meanings
from gateway.cache.semantic.start import is_installed
from gateway.core.clock import Clock
from gateway.core.errors import NotFound, Overloaded
from gateway.core.secret import Secret
from gateway.ingress.admin import fields, openapi
from gateway.ingress.admin.balances import rows
from gateway.ingress.admin.cache import CacheRoutes
from gateway.ingress.admin.calls import CallRoutes, Tell
from gateway.ingress.admin.certificates import CertificateRoutes
from gateway.ingress.admin.console import console_routes
from gateway.ingress.admin.draft import Trying
from gateway.ingress.admin.meanings import MeaningRoutes, Reports
from gateway.ingress.admin.parameters import known_parameters
from gateway.ingress.admin.policies import PolicyRoutes
from gateway.ingress.admin.preview import PreviewRoutes
from gateway.ingress.admin.replay import ReplayRoutes
from gateway.ingress.admin.rollouts import RolloutRoutes
from gateway.ingress.admin.server import PREFIX, doorkeeper
from gateway.ingress.admin.statistics import StatisticsRoutes
from gateway.ingress.admin.stored import StoredRoutes
from gateway.meter.tokens import Tokens
from gateway.policy.current import Current
from gateway.policy.history import History
from gateway.policy.stored import StoredTemplates
from gateway.policy.watch import Watch
from gateway.route.certificate.certificates import Certificates
from gateway.store.contract import Store
from gateway.template.rollout.rollouts import Rollouts
from gateway.trace.journal import Journal
from gateway.trace.metrics.instruments import DROPPED
from gateway.trace.metrics.metrics import Metrics

log = logging.getLogger("llmgw.admin")
_HOUR = 3600.0
_NONE: Mapping[str, object] = {
    "attempts": 0,
    "errors": 0,
    "error_codes": {},
    "other_codes": {},
    "p50_ms": None,
    "p95_ms": None,
}


class Resting(Protocol):
    """Deployment names, until when they rest (UTC seconds), and why."""

    def __call__(self) -> Mapping[str, tuple[float, str]]: ...


class Observed(Protocol):
    """Deployment names, the calls under way there, and the seconds until a stream from there begins."""

    def __call__(self) -> Mapping[str, tuple[int, float | None]]: ...


@dataclass(frozen=True, slots=True)
class Admin:
    """The parts that the admin API shows. `folder` is the policy's; `unready` says why not, or None."""

    key: Secret | None
    store: Store
    journal: Journal
    policy: Current
    watch: Watch
    folder: Path
    trying: Trying
    stored: StoredTemplates
    tokens: Tokens
    history: History
    resting: Resting
    observed: Observed
    budgets: Budgets
    certificates: Certificates
    rollouts: Rollouts
    metrics: Metrics
    purges: Purges
    meanings: Meanings
    reports: Reports
    unready: Callable[[], str | None]
    clock: Clock
    tell: Tell | None = None

    def application(self) -> web.Application:
        """Without a key there are only the health checks, which a warning says once."""
        application = web.Application(
            middlewares=[doorkeeper(self.key), known_parameters], client_max_size=fields.MAX_BODY
        )
        application.add_routes([web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)])
        application.add_routes([web.get("/metrics", self._metrics)])
        if self.key is None:
            log.warning("there is no admin key, so the admin port only answers health checks; set LLMGW_ADMIN_KEY")
            return application
        application.add_routes(console_routes())
        application.add_routes(
            [
                web.get(PREFIX + "keys", self._keys),
                web.post(PREFIX + "keys", self._create_key),
                web.delete(PREFIX + "keys/{id}", self._revoke_key),
                *self._policies().routes(),
                *self._replay().routes(),
                *CallRoutes(self.journal.calls, self.clock, self.tell).routes(application),
                *StatisticsRoutes(self.journal.calls, self.clock).routes(),
                *self._cache().routes(application),
                *self._meanings().routes(),
                *self._certificates().routes(),
                *self._rollouts().routes(),
                *self._stored_templates().routes(),
                *PreviewRoutes(self.folder, self.policy, self.tokens).routes(),
                web.get(PREFIX + "deployments", self._deployments),
                web.get(PREFIX + "budgets", self._budgets),
                web.get(PREFIX + "telemetry", self._telemetry),
                web.get(PREFIX + "openapi.json", self._openapi),
            ]
        )
        return application

    def _cache(self) -> CacheRoutes:
        kept = Kept(self.store.cache, self.purges, self.store.pepper, self.clock)
        return CacheRoutes(self.store.cache, kept, self.journal.calls, self.clock)

    def _replay(self) -> ReplayRoutes:
        return ReplayRoutes(self.journal.calls, self.clock, lambda: self.policy.current, self.trying.snapshot)

    def _meanings(self) -> MeaningRoutes:
        return MeaningRoutes(
            self.meanings, self.reports, self.journal.find, lambda: self.policy.current.cache, is_installed
        )

    def _policies(self) -> PolicyRoutes:
        return PolicyRoutes(
            self.folder, self.policy, self.watch, self.trying, self.history, self.stored, self.store, self.clock.now
        )

    def _certificates(self) -> CertificateRoutes:
        return CertificateRoutes(self.certificates, self.budgets, lambda: self.policy.current, self.clock.now)

    def _rollouts(self) -> RolloutRoutes:
        return RolloutRoutes(self.rollouts, self.policy, self.stored.named, self.clock)

    def _stored_templates(self) -> StoredRoutes:
        return StoredRoutes(
            self.folder, self.policy, self.watch, self.trying, self.history, self.stored, self.clock.now
        )

    async def _healthz(self, request: web.Request) -> web.Response:
        return fields.json({"status": "ok"})

    async def _readyz(self, request: web.Request) -> web.Response:
        reason = self.unready()
        if reason is not None:
            raise Overloaded(reason, code="not_ready")
        return fields.json({"status": "ready"})

    async def _keys(self, request: web.Request) -> web.Response:
        _, keys = await self.store.keys.load(since=0)
        return fields.json({"keys": [describe(key, now=self.clock.now()) for key in keys]})

    async def _create_key(self, request: web.Request) -> web.Response:
        asked = await fields.read_fields(request, {"name", "tenant", "models", "expires"})
        now = self.clock.now()
        wanted = Wanted(
            name=fields.text(asked, "name"),
            tenant=fields.text(asked, "tenant", DEFAULT_TENANT),
            models=fields.names(asked, "models"),
            expires=None if asked.get("expires") is None else expiry(fields.text(asked, "expires"), now=now),
        )
        key, text = mint(wanted, self.store.pepper, now=now)
        await self.store.keys.create(key)
        return fields.json({**describe(key, now=now), "key": text.reveal()}, status=201)

    async def _revoke_key(self, request: web.Request) -> web.Response:
        if not await self.store.keys.revoke(request.match_info["id"]):
            raise NotFound("there is no such key")
        return web.Response(status=204)

    async def _deployments(self, request: web.Request) -> web.Response:
        resting, observed = self.resting(), self.observed()
        models: dict[str, list[str]] = {}
        for model in self.policy.current.routes.models.values():
            for deployment in (*model.deployments, *model.fallbacks):
                models.setdefault(deployment.name, []).append(model.name)
        now = self.clock.now()
        figures = await self.journal.calls.attempts(since=now - _HOUR, until=now + 1)
        rows = []
        for name in sorted({*models, *resting}):
            until, reason = resting.get(name, (None, None))
            rest = {"resting_until": until, "reason": reason}
            busy, first_token = observed.get(name, (0, None))
            rows.append(
                {
                    "deployment": name,
                    "provider": name.partition("/")[0],
                    "models": models.get(name, []),
                    **rest,
                    "busy": busy,
                    "first_token_ms": None if first_token is None else round(first_token * 1000, 1),
                    "figures": figures.get(name, _NONE),
                }
            )
        return fields.json({"deployments": rows})

    async def _budgets(self, request: web.Request) -> web.Response:
        balances, limits = await self.budgets.balances(self.policy.current.limits)
        return fields.json({"budgets": rows(balances, limits, now=self.clock.now())})

    async def _telemetry(self, request: web.Request) -> web.Response:
        dropped = await self.metrics.counted(DROPPED)
        rows = [
            {"signal": signal, "where": where, "count": int(count)}
            for (signal, where), count in dropped.items()
            if count
        ]
        return fields.json({"dropped": rows})

    async def _metrics(self, request: web.Request) -> web.Response:
        text, content_type = await self.metrics.exposition(request.headers.get("Accept", ""))
        response = web.Response(body=text, headers={"content-type": content_type}, zlib_executor_size=0)
        response.enable_compression()
        return response

    async def _openapi(self, request: web.Request) -> web.Response:
        return fields.json(openapi.document(PREFIX))
