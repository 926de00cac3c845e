"""What admins ask and change: keys, policies, calls, deployments, budgets."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
from aiohttp import web

from gateway.auth.description import describe
from gateway.auth.virtual_key import mint
from gateway.auth.wanted import DEFAULT_TENANT, Wanted, expiry
from gateway.budget.accounts import Account
from gateway.core.clock import Clock
from gateway.core.errors import InvalidRequest, NotFound, Overloaded
from gateway.core.money import usd
from gateway.core.secret import Secret
from gateway.ingress import json_body
from gateway.ingress.admin.server import MAX_BODY, PREFIX, doorkeeper
from gateway.policy.current import Current
from gateway.policy.mistakes import Mistake, PolicyError
from gateway.policy.snapshot import Snapshot
from gateway.policy.watch import Watch
from gateway.store.contract import Store
from gateway.trace.journal import Journal
from gateway.trace.sqlite import FILTERS

_MOST_CALLS = 1000
_MOST_FILES = 100


class Resting(Protocol):
    """Deployment names, until when they rest (UTC seconds), and why."""

    def __call__(self) -> Mapping[str, tuple[float, str]]: ...


@dataclass(frozen=True, slots=True)
class Admin:
    """The parts that the admin API shows. `compile_folder` compiles a policy folder; `unready` says why not, or None."""

    key: Secret | None
    store: Store
    journal: Journal
    policy: Current
    watch: Watch
    compile_folder: Callable[[Path], Snapshot]
    resting: Resting
    accounts: Callable[[], Mapping[str, Account]]
    unready: Callable[[], str | None]
    clock: Clock

    def application(self) -> web.Application:
        application = web.Application(middlewares=[doorkeeper(self.key)], client_max_size=MAX_BODY)
        application.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get(PREFIX + "keys", self._keys),
                web.post(PREFIX + "keys", self._create_key),
                web.delete(PREFIX + "keys/{id}", self._revoke_key),
                web.get(PREFIX + "policies", self._policies),
                web.post(PREFIX + "policies:validate", self._validate),
                web.post(PREFIX + "policies:reload", self._reload),
                web.get(PREFIX + "calls", self._calls),
                web.get(PREFIX + "calls/{id}", self._call),
                web.get(PREFIX + "deployments", self._deployments),
                web.get(PREFIX + "budgets", self._budgets),
            ]
        )
        return application

    async def _healthz(self, request: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def _readyz(self, request: web.Request) -> web.Response:
        reason = self.unready()
        if reason is not None:
            raise Overloaded(reason, code="not_ready")
        return _json({"status": "ready"})

    async def _keys(self, request: web.Request) -> web.Response:
        _, keys = await self.store.keys.load(since=0)
        return _json({"keys": [describe(key, now=self.clock.now()) for key in keys]})

    async def _create_key(self, request: web.Request) -> web.Response:
        fields = await _fields(request, {"name", "tenant", "models", "expires"})
        now = self.clock.now()
        models, expires = fields.get("models"), fields.get("expires")
        wanted = Wanted(
            name=_text(fields, "name", ""),
            tenant=_text(fields, "tenant", DEFAULT_TENANT),
            models=None if models is None else _names(models),
            expires=None if expires is None else expiry(_text(fields, "expires", ""), now=now),
        )
        key, text = mint(wanted, self.store.pepper, now=now)
        await self.store.keys.create(key)
        return _json({**describe(key, now=now), "key": text.reveal()}, status=201)

    async def _revoke_key(self, request: web.Request) -> web.Response:
        if not await self.store.keys.revoke(request.match_info["id"]):
            raise NotFound("there is no such key")
        return web.Response(status=204)

    async def _policies(self, request: web.Request) -> web.Response:
        current, error = self.policy.current, self.policy.last_error
        return _json(
            {
                "version": current.version,
                "loaded_at": self.policy.loaded_at,
                "notes": current.notes,
                "last_error": _mistakes(error.mistakes) if error else None,
                "instances": await self.store.versions.versions(),
            }
        )

    async def _validate(self, request: web.Request) -> web.Response:
        files = (await _fields(request, {"files"})).get("files")
        if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
            raise InvalidRequest("files must map file names to their text", param="files")
        return _json(await asyncio.to_thread(self._compile, files))

    def _compile(self, files: Mapping[str, str]) -> dict[str, object]:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                if len(files) > _MOST_FILES or Path(name).name != name or not name.endswith((".yaml", ".yml")):
                    raise InvalidRequest("files must be named like policy.yaml, without a folder", param="files")
                (Path(folder) / name).write_text(text, encoding="utf-8", errors="replace")
            try:
                snapshot = self.compile_folder(Path(folder))
            except PolicyError as error:
                rows = [{**row, "file": Path(str(row["file"])).name} for row in _mistakes(error.mistakes)]
                return {"ok": False, "mistakes": rows}
        return {"ok": True, "version": snapshot.version, "notes": snapshot.notes, "mistakes": []}

    async def _reload(self, request: web.Request) -> web.Response:
        await self.watch.reload()
        return await self._policies(request)

    async def _calls(self, request: web.Request) -> web.Response:
        query = request.query
        if unknown := set(query) - {"limit", "before", *FILTERS}:
            raise InvalidRequest(f"calls cannot be filtered by {min(unknown)[:64]}", code="unknown_parameter")
        limit = max(1, min(_integer(query.get("limit", "50"), "limit"), _MOST_CALLS))
        before = _integer(query["before"], "before") if "before" in query else None
        filters: dict[str, str | int] = {name: query[name] for name in FILTERS if name in query}
        if "status" in filters:
            filters["status"] = _integer(query["status"], "status")
        page = await self.journal.latest(limit=limit, before=before, filters=filters)
        return _json({"calls": page.records, "before": page.before})

    async def _call(self, request: web.Request) -> web.Response:
        record = await self.journal.find(request.match_info["id"])
        if record is None:
            raise NotFound("there is no record of such a call")
        return _json(record)

    async def _deployments(self, request: web.Request) -> web.Response:
        resting = self.resting()
        models: dict[str, list[str]] = {}
        for model in self.policy.current.routes.models.values():
            for deployment in (*model.deployments, *model.fallbacks):
                models.setdefault(deployment.name, []).append(model.name)
        rows = []
        for name in sorted({*models, *resting}):
            until, reason = resting.get(name, (None, None))
            rows.append({"deployment": name, "models": models.get(name, []), "resting_until": until, "reason": reason})
        return _json({"deployments": rows})

    async def _budgets(self, request: web.Request) -> web.Response:
        rows = []
        for name, account in sorted(self.accounts().items()):
            spent = {"spent_nano_usd": account.spent, "spent_usd": usd(account.spent)}
            rows.append({"tenant": name, **spent, "calls": account.calls, "open": account.open})
        return _json({"budgets": rows})


def _json(value: object, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


async def _fields(request: web.Request, known: set[str]) -> dict[str, Any]:
    """The body's object. Raises InvalidRequest, for members that are not known too."""
    body = await request.read()
    fields = json_body.parse(body) if body else {}
    if unknown := fields.keys() - known:
        name = min(unknown)[:64]
        raise InvalidRequest(f"{name!r} is not known here", code="unknown_parameter", param=name)
    return fields


def _text(fields: Mapping[str, Any], name: str, default: str) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be a string", code="invalid_type", param=name)
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InvalidRequest("models must be an array of strings", code="invalid_type", param="models")
    return tuple(value)


def _integer(text: str, name: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise InvalidRequest(f"{name} must be a number", code="invalid_value", param=name)
    return int(text)


def _mistakes(mistakes: Sequence[Mistake]) -> list[dict[str, object]]:
    return [asdict(mistake) for mistake in mistakes]
