"""The way of a request about files or batches, on one page: the stages of a call, as far as there are any.

It goes ingress → auth → budget → upstream → trace. What a batch costs is held and billed by nobody here: docs/decisions/026.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec
import orjson

from gateway.auth.keyring import Keyring
from gateway.budget.budgets import Budgets
from gateway.core.arrival import Reply
from gateway.core.clock import Clock
from gateway.core.deployment import Provider
from gateway.core.errand import Errand, Errands, Upload
from gateway.core.errors import Broken, Forbidden, InvalidRequest, NotFound
from gateway.core.secret import Secret
from gateway.core.tenant import Tenant
from gateway.files.ownership import METADATA, Ownership
from gateway.filing import jobs
from gateway.policy.current import Current
from gateway.policy.snapshot import Snapshot
from gateway.route import plan
from gateway.trace.recorder import Recorder
from gateway.upstream.forward import forward
from gateway.upstream.wire import Wire

_JSON = "application/json"
_CONTENT = "application/octet-stream"
_LARGEST = 16 * 1024 * 1024
_PAGE = {"files": 1000, "batches": 100}
_MOST_PAGES = 20
_SMALL = 256 * 1024


@dataclass(frozen=True, slots=True)
class Filing:
    policy: Current
    auth: Keyring
    budget: Budgets
    trace: Recorder
    wire: Wire
    pepper: Secret
    clock: Clock

    async def run(self, ingress: Errands, reply: Reply) -> None:
        """Answers one request; errors are ingress's to tell."""
        policy = self.policy.current
        with self.trace.record(ingress, policy.version, policy.trace) as record:
            tenant = record.auth(await self.auth.identify(ingress.credential, policy.tenants, peer=ingress.peer))
            await self.budget.admit(tenant)
            errand = ingress.read()
            provider = _keeper(policy)
            ownership = Ownership(self.pepper, provider.name, tenant)
            if errand.action == "content":
                await self._content(errand, provider, ownership, reply)
            elif errand.action == "list":
                await _answer(reply, await self._list(errand, provider, ownership))
            else:
                body, media = await _body(errand, policy, tenant, provider, ownership)
                await _answer(reply, ownership.shown(await self._told(errand, provider, ownership, body, media)))
        reply.end(b"", headers=())

    async def _told(
        self, errand: Errand, provider: Provider, ownership: Ownership, body: bytes, media: str
    ) -> Mapping[str, Any]:
        method = {"get": "GET", "delete": "DELETE"}.get(errand.action, "POST")
        path = _path(errand, ownership) + ("/cancel" if errand.action == "cancel" else "")
        return await self._ask(provider, method, path, body=body, media=media)

    async def _content(self, errand: Errand, provider: Provider, ownership: Ownership, reply: Reply) -> None:
        """A file's bytes, as they come, and whatever they are: nothing that a browser would run."""
        path = f"{_path(errand, ownership)}/content"
        async with forward(self.wire, provider, "GET", path, now=self.clock.now()) as forwarded:
            reply.begin(_CONTENT, stream=True, headers=(), native=None)
            while data := await forwarded.read():
                await reply.send(data)

    async def _list(self, errand: Errand, provider: Provider, ownership: Ownership) -> Mapping[str, Any]:
        """As many of the tenant's own as were asked for; others' are passed over, for at most 20 pages of the provider's."""
        query = dict(errand.query)
        limit = _limit(query.get("limit"), _PAGE[errand.kind])
        query["limit"] = str(_PAGE[errand.kind])
        if "after" in query:
            query["after"] = ownership.own(query["after"])
        found: list[Mapping[str, Any]] = []
        is_more = True
        for _ in range(_MOST_PAGES):
            page = await self._ask(provider, "GET", f"/{errand.kind}?{urlencode(query)}")
            listed = [each for each in page.get("data") or () if isinstance(each, dict)]
            found += [each for each in listed if ownership.is_own(each)]
            is_more = page.get("has_more") is True and bool(listed)
            if len(found) > limit or not is_more:
                break
            query["after"] = str(listed[-1].get("id"))
        shown = [ownership.shown(each) for each in found[:limit]]
        ends = (
            {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {"first_id": None, "last_id": None}
        )
        return {"object": "list", "data": shown, **ends, "has_more": is_more or len(found) > limit}

    async def _ask(
        self, provider: Provider, method: str, path: str, *, body: bytes = b"", media: str = ""
    ) -> Mapping[str, Any]:
        """Raises UpstreamError."""
        now = self.clock.now()
        async with forward(self.wire, provider, method, path, body=body, media=media, now=now) as forwarded:
            text = await forwarded.whole(_LARGEST)
        try:
            told = orjson.loads(text)
        except orjson.JSONDecodeError:
            told = None
        if not isinstance(told, dict):
            raise Broken("the provider's answer is not an object", code="upstream_invalid_response")
        return told


async def _answer(reply: Reply, told: Mapping[str, Any]) -> None:
    reply.begin(_JSON, stream=False, headers=(), native=None)
    await reply.send(msgspec.json.encode(told))


def _keeper(policy: Snapshot) -> Provider:
    """The provider that keeps files. Raises NotFound."""
    if policy.keeper is None:
        raise NotFound("no provider of this gateway keeps files", code="not_found")
    return policy.keeper


def _path(errand: Errand, ownership: Ownership) -> str:
    """Raises NotFound for an id that is not the tenant's."""
    return f"/{errand.kind}" + (f"/{ownership.own(errand.target)}" if errand.target else "")


async def _body(
    errand: Errand, policy: Snapshot, tenant: Tenant, provider: Provider, ownership: Ownership
) -> tuple[bytes, str]:
    """What is sent, and its type. Raises CallerError."""
    if errand.action != "create":
        return b"", ""
    if errand.upload is not None:
        return await _file(errand, errand.upload, policy, tenant, provider, ownership), errand.media
    hard = [each for each in policy.limits.of(tenant, None) if each.limit.hard and not each.is_rate]
    if hard and not provider.unbudgeted_batches:
        message = f"batches are in no budget, and {hard[0].name} must not be run past"
        raise Forbidden(message, code="batches_not_budgeted")
    fields = dict(errand.fields)
    file = fields.get("input_file_id")
    if not isinstance(file, str):
        text = "input_file_id is required"
        raise InvalidRequest(text, code="missing_required_parameter", param="input_file_id")
    metadata = fields.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise InvalidRequest("metadata must be an object", code="invalid_type", param="metadata")
    fields |= {"input_file_id": ownership.own(file), "metadata": {**metadata, METADATA: ownership.mark}}
    return msgspec.json.encode(fields), _JSON


async def _file(
    errand: Errand, upload: Upload, policy: Snapshot, tenant: Tenant, provider: Provider, ownership: Ownership
) -> bytes:
    """The form with the tenant's mark in the file's name, and the provider's names of models in a batch's lines."""
    body, (begin, end), (name_begin, name_end) = errand.body, upload.file, upload.name
    content = body[begin:end]

    def upstream(model: str) -> str:
        found = plan.check(model, tenant, policy.routes)
        deployments = () if found is None else (*found.deployments, *found.fallbacks)
        there = next((each.upstream_model for each in deployments if each.provider is provider), None)
        if there is None:
            raise InvalidRequest(f"{model} is not served where batches are", code="model_not_found", param="file")
        return there

    if upload.purpose == "batch":
        if len(content) > _SMALL:
            content = await asyncio.to_thread(jobs.translated, content, upstream, ownership.own)
        else:
            content = jobs.translated(content, upstream, ownership.own)
    name = ownership.marked(body[name_begin:name_end].decode("utf-8", "replace")).encode()
    return b"".join([body[:name_begin], name, body[name_end:begin], content, body[end:]])


def _limit(written: str | None, most: int) -> int:
    if written is None:
        return min(20, most) if most == _PAGE["batches"] else most
    if not (written.isascii() and written.isdecimal()) or not written.strip("0"):
        raise InvalidRequest("limit must be a positive integer", code="invalid_value", param="limit")
    return min(int(written), most) if len(written) <= len(str(most)) else most
