"""The templates that the store has: put, told as they were written, and removed by admins, beside those of the policy folder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from gateway.core.errors import Conflict, InvalidRequest, NotFound, Overloaded
from gateway.ingress.admin import fields
from gateway.ingress.admin.draft import Trying, try_folder
from gateway.ingress.admin.policies import ANY
from gateway.ingress.admin.server import PREFIX
from gateway.policy.current import Current
from gateway.policy.history import History
from gateway.policy.mistakes import PolicyError
from gateway.policy.sections.templates import NAMED, is_name
from gateway.policy.source.as_yaml import as_yaml
from gateway.policy.source.folder import TEMPLATES, YAML, contents, is_stored, with_stored
from gateway.policy.stored import Put, StoredTemplates, texts
from gateway.policy.watch import Watch

log = logging.getLogger("llmgw.admin")

MOST = 500
"""Templates that the store takes."""
LARGEST = 16 * 1024 * 1024
"""Bytes of all of them."""
_TRIES = 5
_PATH = PREFIX + "templates/{name}"
_YAML = (
    *("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain"),
    "application/octet-stream",  # is also what a request without a content type says
)


class StoredRoutes:
    """`folder` is the policy's."""

    def __init__(
        self,
        folder: Path,
        policy: Current,
        watch: Watch,
        trying: Trying,
        history: History,
        stored: StoredTemplates,
        now: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._policy = policy
        self._watch = watch
        self._trying = trying
        self._history = history
        self._stored = stored
        self._now = now

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            web.put(_PATH, self._put),
            web.delete(_PATH, self._delete),
            web.get(_PATH + "/source", self._source),
        )

    async def _put(self, request: web.Request) -> web.Response:
        name = name_of(request)
        if (file := await self._file(name)) is not None:
            raise _in_files(name, file)
        content, why = await _submitted(request)
        put = Put(content, fields.WHO, why, self._now())
        is_new = await self._change(request, name, put)
        told = {**stored_row(name, put), "policy": self._policy.current.version}
        response = fields.json(told, status=201 if is_new else 200)
        response.headers["etag"] = f'"{put.etag}"'
        return response

    async def _delete(self, request: web.Request) -> web.Response:
        name, why = name_of(request), fields.reason(fields.single(request.query))
        _, there = await self._stored.load()
        if name not in there and (file := await self._file(name)) is not None:
            raise _in_files(name, file)
        await self._change(request, name, None, why=why)
        return web.Response(status=204)

    async def _source(self, request: web.Request) -> web.Response:
        name = name_of(request)
        _, there = await self._stored.load()
        if name not in there:
            file = await self._file(name)
            raise _missing(name) if file is None else _in_files(name, file)
        put = there[name]
        headers = {"etag": f'"{put.etag}"'}
        return web.Response(body=put.content, content_type="application/yaml", charset="utf-8", headers=headers)

    async def _change(self, request: web.Request, name: str, put: Put | None, why: str = "") -> bool:
        """Whether there was none before. Raises InvalidRequest, Conflict, NotFound, Overloaded; then nothing is changed."""
        for _ in range(_TRIES):
            number, there = await self._stored.load()
            _check(request, name, there.get(name), is_removed=put is None)
            left = {each: found for each, found in there.items() if each != name}
            wanted = texts(left if put is None else {**left, name: put})
            _bound(wanted)
            await self._try_out(name, wanted, is_removed=put is None)
            await self._history.versions()  # what cannot be kept is not changed
            if await self._stored.change({name: put}, since=number):
                await self._note(name, put, why or (put.why if put else ""), wanted)
                return name not in there
        raise Conflict("templates are being changed by others all the time; try again", code="version_conflict")

    async def _try_out(self, name: str, wanted: Mapping[str, bytes], *, is_removed: bool) -> None:
        tried = await asyncio.to_thread(try_folder, self._folder, self._trying, wanted)
        if tried.is_good:
            return
        if is_removed:
            message = f"without the template {name!r} the policy has mistakes:\n{tried.summary()}"
            raise Conflict(message, code="template_in_use", param="name")
        raise InvalidRequest(tried.summary(), code="template_invalid", param="source")

    async def _note(self, name: str, put: Put | None, why: str, wanted: Mapping[str, bytes]) -> None:
        """It is done: if the store is away by now, the history has it as a change of the folder, as soon as that is noticed."""
        what = "removed" if put is None else "put"
        told = {"template": name, "who": fields.WHO, "reason": why, "etag": None if put is None else put.etag}
        log.warning("a stored template was %s", what, extra=told)
        with suppress(Overloaded, PolicyError):
            await self._stored.refresh()
            files = await asyncio.to_thread(contents, self._folder)
            await self._history.note(with_stored(files, wanted), who=fields.WHO, why=f"template {name} {what}: {why}")
        await self._watch.reload()

    async def _file(self, name: str) -> str | None:
        """The file in which the template of this name is."""
        found = self._policy.current.templates.named.get(name)
        if found is not None and not is_stored(found.file):
            return found.file
        if name in self._policy.current.shadowed:
            return self._policy.current.shadowed[name]
        return await asyncio.to_thread(_lies_in, self._folder, name)


def name_of(request: web.Request) -> str:
    """The template's name in the path. Raises InvalidRequest."""
    name = request.match_info["name"]
    if not is_name(name):
        raise InvalidRequest(NAMED, code="invalid_value", param="name")
    return name


def stored_row(name: str, put: Put) -> dict[str, object]:
    """Ready for JSON."""
    return {
        "template": name,
        "etag": put.etag,
        "bytes": len(put.content),
        "who": put.who,
        "why": put.why,
        "at": put.at,
    }


def _lies_in(folder: Path, name: str) -> str | None:
    files = (f"{TEMPLATES}/{name}{ending}" for ending in YAML)
    return next((file for file in files if (folder / file).is_file()), None)


def _in_files(name: str, file: str) -> Conflict:
    message = f"the template {name!r} is in the file {file}, which counts: change it there"
    return Conflict(message, code="template_in_files", param="name")


def _missing(name: str) -> NotFound:
    return NotFound(f"no template {name!r} is stored", code="template_not_found", param="name")


def _check(request: web.Request, name: str, there: Put | None, *, is_removed: bool) -> None:
    """Whether what the client has seen is what is there."""
    seen, unseen = fields.seen(request), request.headers.get("If-None-Match", "").strip()
    if unseen not in ("", ANY):
        raise InvalidRequest("If-None-Match can only be *: there must be none", code="invalid_value")
    if there is None:
        if is_removed:
            raise _missing(name)
        if seen not in ("", ANY):
            message = f"the template {name!r} was removed meanwhile; {seen[:64]} was seen"
            raise Conflict(message, code="version_conflict", param="name")
    elif unseen:
        message = f"the template {name!r} is there already, at {there.etag}"
        raise Conflict(message, code="version_conflict", param="name")
    elif not seen:
        message = f"the template {name!r} is there already: say in If-Match which etag was seen, or * to overwrite it"
        raise InvalidRequest(message, code="missing_if_match", status=428)
    elif seen not in (ANY, there.etag):
        message = f"the template {name!r} was changed meanwhile: it is at {there.etag}, and {seen[:64]} was seen"
        raise Conflict(message, code="version_conflict", param="name")


def _bound(wanted: Mapping[str, bytes]) -> None:
    if len(wanted) > MOST or sum(map(len, wanted.values())) > LARGEST:
        message = f"the store takes {MOST} templates, of {LARGEST // 1024 // 1024} MiB together: put some into files"
        raise Conflict(message, code="too_many_templates")


async def _submitted(request: web.Request) -> tuple[bytes, str]:
    """The template's file, and why it is put. Raises InvalidRequest."""
    if request.content_type == "application/json":
        asked = await fields.read_fields(request, {"source", "reason"})
        return source_of(asked), fields.reason(asked)
    if request.content_type not in _YAML or (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        message = "send the template's file as application/yaml, or {source, reason} as application/json"
        raise InvalidRequest(message, code="unsupported_media_type", status=415)
    why = fields.reason(fields.single(request.query))
    content = await fields.read_body(request)
    if not content.strip():
        raise InvalidRequest("the body must be the template's file", code="missing_parameter", param="source")
    return content, why


def source_of(asked: Mapping[str, object]) -> bytes:
    """A template's file from `source`: its text, or what it says as an object. Raises InvalidRequest."""
    source = asked.get("source")
    if isinstance(source, dict) and source:
        source = as_yaml(source)
    if not isinstance(source, str) or not source.strip():
        message = "source must be the text of a template's file, or an object that says the same"
        raise InvalidRequest(message, code="invalid_type", param="source")
    try:
        return source.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("source has characters that are none", code="invalid_value", param="source") from None
