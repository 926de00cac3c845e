"""The templates in force: their versions, what calls of each came to, and orders to promote one, go back, or begin anew."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from gateway.core.clock import Clock
from gateway.core.errors import Conflict, InvalidRequest, NotFound
from gateway.ingress.admin import fields
from gateway.ingress.admin.policies import ANY
from gateway.ingress.admin.server import PREFIX
from gateway.ingress.admin.stored import stored_row
from gateway.policy.current import Current
from gateway.policy.source.folder import is_stored
from gateway.policy.stored import Put
from gateway.template.rollout import orders
from gateway.template.rollout.bounds import written
from gateway.template.rollout.counted import HOUR, KEPT, SHADOW
from gateway.template.rollout.intervals import figures
from gateway.template.rollout.rollouts import Followed, Rollouts, number_of, shares
from gateway.template.rollout.standing import Standing, Stepped
from gateway.template.rollout.tally import Tally
from gateway.trace.reading.search import LONGEST, moment

_DAY = 86400.0
_PATH = PREFIX + "templates/{name}"

log = logging.getLogger("llmgw.admin")

Ordered = Callable[[Standing], Standing]


class RolloutRoutes:
    def __init__(
        self, rollouts: Rollouts, policy: Current, stored: Callable[[], Mapping[str, Put]], clock: Clock
    ) -> None:
        self._rollouts = rollouts
        self._policy = policy
        self._stored = stored
        self._clock = clock

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            web.get(PREFIX + "templates", self._list),
            web.get(_PATH, self._one),
            web.post(_PATH + ":promote", self._promote),
            web.post(_PATH + ":rollback", self._rollback),
            web.post(_PATH + ":reset", self._reset),
        )

    async def _list(self, request: web.Request) -> web.Response:
        known = [self._row(each) for each in await self._known()]
        stored = [stored_row(name, put) for name, put in self._stored().items()]
        return fields.json({"templates": known, "stored": stored})

    async def _one(self, request: web.Request) -> web.Response:
        query, now = fields.single(request.query), self._clock.now()
        since = moment(query["since"][:LONGEST], "since", now=now) if "since" in query else now - _DAY
        since = max(since, now - KEPT * HOUR)
        followed = await self._find(request)
        tallies = followed.ledger.whole().since(since)
        rows = [_figures(followed, version, tally) for version, tally in tallies.items()]
        rows.sort(key=lambda row: (row["version"] is None, -(row["version"] or 0), row["shadow"]))
        return self._told(followed, {"since": since // HOUR * HOUR, "until": now, "figures": rows})

    async def _promote(self, request: web.Request) -> web.Response:
        asked = await fields.read_fields(request, {"version", "reason"})
        number = asked.get("version")
        if not isinstance(number, int) or isinstance(number, bool):
            raise InvalidRequest("version must be the number of a version", code="invalid_type", param="version")
        word, followed = self._word(asked), await self._find(request)
        return await self._order(
            request, followed, lambda there: orders.promoted(followed.template, there, number, word), word
        )

    async def _rollback(self, request: web.Request) -> web.Response:
        word = self._word(await fields.read_fields(request, {"reason"}))
        followed = await self._find(request)
        return await self._order(
            request, followed, lambda there: orders.rolled_back(followed.template, there, word), word
        )

    async def _reset(self, request: web.Request) -> web.Response:
        word = self._word(await fields.read_fields(request, {"reason"}))
        return await self._order(request, await self._find(request), orders.reset, word)

    async def _order(
        self, request: web.Request, followed: Followed, change: Ordered, word: orders.Word
    ) -> web.Response:
        seen = fields.seen(request)

        def checked(there: Standing) -> Standing:
            etag = there.etag(followed.basis)
            if seen not in ("", ANY, etag, self._policy.current.version):
                message = f"{followed.template.name} was changed meanwhile: it is at {etag}, and {seen[:64]} was seen"
                raise Conflict(message, code="version_conflict")
            return change(there)

        await self._rollouts.order(followed, checked)
        what = request.path.rpartition(":")[2]
        told = {"template": followed.template.name, "order": what, "who": word.who, "reason": word.reason}
        log.warning("the standing of a template was changed", extra=told)
        return self._told(followed, {})

    async def _known(self) -> list[Followed]:
        """With what other workers have told the store."""
        await self._rollouts.flush(self._policy.current.templates.named, everything=True)
        return sorted(self._rollouts, key=lambda each: each.template.name)

    async def _find(self, request: web.Request) -> Followed:
        name = request.match_info["name"]
        found = next((each for each in await self._known() if each.template.name == name), None)
        if found is None:
            raise NotFound(f"there is no template {name[:64]!r}", code="template_not_found")
        return found

    def _word(self, asked: Mapping[str, Any]) -> orders.Word:
        return orders.Word(fields.WHO, fields.reason(asked), self._clock.now())

    def _told(self, followed: Followed, more: Mapping[str, object]) -> web.Response:
        row = self._row(followed)
        response = fields.json({**row, **more})
        response.headers["etag"] = f'"{row["etag"]}"'
        return response

    def _row(self, followed: Followed) -> dict[str, object]:
        template, standing = followed.template, followed.standing
        put = self._stored().get(template.name)
        return {
            "template": template.name,
            "description": template.description,
            "file": template.file,
            "source": "stored" if is_stored(template.file) else "file",
            "stored": None if put is None else stored_row(template.name, put),
            "labels": dict(template.labels),
            "standing": template.standing,
            "versions": [self._version(followed, number) for number in sorted(template.versions, reverse=True)],
            "rollout": _rollout(followed),
            "override": _override(followed),
            "trial": standing.trial,
            "etag": standing.etag(followed.basis),
        }

    def _version(self, followed: Followed, number: int) -> dict[str, object]:
        template, standing = followed.template, followed.standing
        version = template.versions[number]
        stepped = standing.stepped.get(version.hash)
        evidence = self._rollouts.shown(followed, number) if number in followed.watched else []
        return {
            "version": number,
            "hash": version.hash,
            "labels": sorted(label for label, each in template.labels.items() if each == number),
            "share": shares(followed).get(number, 0.0),
            "stepped_back": None if stepped is None else _stepped(followed, stepped),
            "evidence": [msgspec.to_builtins(each) for each in evidence],
        }


def _stepped(followed: Followed, stepped: Stepped) -> Mapping[str, object]:
    told = msgspec.to_builtins(stepped)
    return {**told, "current": number_of(followed.template, stepped.current), "why": stepped.why}


def _rollout(followed: Followed) -> Mapping[str, object] | None:
    rollout = followed.template.rollout
    if rollout is None:
        return None
    bounds, shadow = rollout.step_back, rollout.shadow
    return {
        "weights": {str(number): weight for number, weight in rollout.weights.items()},
        "baseline": rollout.baseline,
        "by": rollout.by.value,
        "salt": rollout.salt,
        "step_back": {measure.value: written(measure, limit) for measure, limit in bounds.limits()},
        "confidence": bounds.confidence,
        "shadow": None
        if shadow is None
        else {"version": shadow.version, "share": shadow.share, "budget_nano_usd": shadow.budget},
    }


def _override(followed: Followed) -> Mapping[str, object] | None:
    override = followed.standing.override
    if override is None:
        return None
    numbers = {name: number_of(followed.template, getattr(override, name)) for name in ("version", "before")}
    return {**msgspec.to_builtins(override), **numbers}


def _figures(followed: Followed, version: str, tally: Tally) -> dict[str, Any]:
    hash = version.removeprefix(SHADOW)
    return {
        "version": number_of(followed.template, hash),
        "hash": hash,
        "shadow": version.startswith(SHADOW),
        "calls": tally.calls,
        "rated": tally.rated,
        **{name: figure.told() for name, figure in figures(tally).items()},
    }
