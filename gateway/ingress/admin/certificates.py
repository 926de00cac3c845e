"""What has been shown of each route's candidates, and the order to forget it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from gateway.budget.budgets import Budgets
from gateway.budget.limits import Limits, account
from gateway.core.errors import NotFound, Overloaded
from gateway.core.ledger.operations import Balance
from gateway.ingress.admin import fields
from gateway.ingress.admin.server import PREFIX
from gateway.policy.sections.candidates import price_ratio
from gateway.policy.sections.limits import daily
from gateway.policy.snapshot import Snapshot
from gateway.route.candidates import Candidate, Cascade, Learned
from gateway.route.certificate.certificates import Certificate, Certificates
from gateway.route.trials import spending
from gateway.store.contract import away

Balances = Mapping[str, Balance]
"""Those of windows that have not ended, by their account."""

log = logging.getLogger("llmgw.admin")


class CertificateRoutes:
    """`policy` gives the snapshot in force, `now` UTC seconds."""

    def __init__(
        self, certificates: Certificates, budgets: Budgets, policy: Callable[[], Snapshot], now: Callable[[], float]
    ) -> None:
        self._certificates = certificates
        self._budgets = budgets
        self._policy = policy
        self._now = now

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            web.get(PREFIX + "certificates", self._list),
            web.post(PREFIX + "certificates:reset", self._reset),
        )

    async def _list(self, request: web.Request) -> web.Response:
        wanted = fields.single(request.query).get("route")
        found = [each for each in await self._known() if wanted in (None, each.route.name)]
        spent = await self._spent()
        return fields.json({"certificates": [_row(each, spent) for each in found]})

    async def _reset(self, request: web.Request) -> web.Response:
        asked = await fields.read_fields(request, {"route", "candidate", "prompt", "reason"})
        route, candidate = fields.required(asked, "route"), fields.required(asked, "candidate")
        prompt = fields.text(asked, "prompt") if asked.get("prompt") is not None else None
        reason = fields.reason(asked)
        found = [
            each
            for each in await self._known()
            if (each.route.name, each.candidate.name) == (route, candidate) and prompt in (None, each.prompt)
        ]
        if not found:
            raise NotFound(f"there is no such certificate of the candidate {candidate!r} on the route {route!r}")
        told = {"route": route, "candidate": candidate, "prompt": prompt, "who": fields.WHO, "reason": reason}
        log.warning("certificates begin anew", extra=told)
        done = [await self._certificates.begin_anew(each, f"begun anew by {fields.WHO}: {reason}") for each in found]
        if not all(done):
            raise away()
        spent = await self._spent()
        return fields.json({"certificates": [_row(each, spent) for each in found]})

    async def _known(self) -> Sequence[Certificate]:
        """In the order of the policy, with what other workers have told the store."""
        rules = self._policy().routes
        await self._certificates.flush(rules)
        named = ((route.name, candidate.name) for route in rules.rules for candidate in route.candidates)
        places = {name: place for place, name in enumerate(named)}
        known = [(places.get((each.route.name, each.candidate.name)), each) for each in self._certificates]
        found = [(place, each.prompt, each) for place, each in known if place is not None]
        return [each for _, _, each in sorted(found, key=lambda one: one[:2])]

    async def _spent(self) -> Balances | None:
        """None while the store is away: what was shown can be told all the same."""
        try:
            balances, _ = await self._budgets.balances(Limits())
        except Overloaded:
            return None
        now = self._now() * 1000
        return {each.account.partition("|")[0]: each for each in balances if each.end > now}


def _row(known: Certificate, spent: Balances | None) -> Mapping[str, object]:
    shown, guarantee = known.shown, known.guarantee
    return {
        "route": known.route.name,
        "candidate": known.candidate.name,
        "prompt": known.prompt or None,
        "kind": _kind(known.candidate),
        "reference": guarantee.reference.name,
        "standing": shown.status.value,
        "serves": known.shared.serves,
        "since": shown.since or None,
        "why": shown.why,
        "trial": shown.trial,
        "labels": shown.labels,
        "audited": shown.audited,
        "mean_loss": shown.mean,
        "least_loss": shown.least,
        "most_loss": shown.most,
        "max_loss": guarantee.max_loss,
        "confidence": shown.confidence,
        "score": guarantee.scorer.value,
        "judge": guarantee.judge.name if guarantee.judge is not None else None,
        "judge_error": guarantee.judge_error,
        "share": known.shared.share,
        "suspicious": shown.suspicious,
        "price_ratio": price_ratio(known.candidate, guarantee.reference),
        "budget": _budget(known, spent),
    }


def _kind(candidate: Candidate) -> str:
    if isinstance(candidate, Cascade):
        return "cascade"
    return "learned" if isinstance(candidate, Learned) else "model"


def _budget(known: Certificate, spent: Balances | None) -> Mapping[str, object]:
    """Of today's trials of the route, all its candidates together; in nano-USD. What is spent is not counted without a limit."""
    name, limit = spending(known.route)[0]
    settled = held = left = None
    if spent is not None and limit is not None:
        balance = spent.get(account("route", name, daily(limit)).name)
        settled, held = (0, 0) if balance is None else (balance.spent, balance.held)
        left = max(0, limit - settled - held)
    return {
        "account": name,
        "limit_nano_usd": limit,
        "spent_nano_usd": settled,
        "held_nano_usd": held,
        "left_nano_usd": left,
    }
