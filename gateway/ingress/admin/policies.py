"""The policy: what is in force, what was before, and changes, which are tried out first and kept with who made them and why."""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from gateway.core.errors import Conflict, InvalidRequest, NotFound, Overloaded
from gateway.ingress.admin import draft, fields
from gateway.ingress.admin.server import PREFIX
from gateway.policy.current import Current
from gateway.policy.history import History, Version
from gateway.policy.mistakes import PolicyError
from gateway.policy.source.folder import apart, contents, policy_files, version_of, with_stored
from gateway.policy.source.replacing import alone, replace
from gateway.policy.stored import Put, StoredTemplates, texts
from gateway.policy.watch import Watch
from gateway.store.contract import Store

log = logging.getLogger("llmgw.admin")

ANY = "*"
"""The base of a change that overwrites whatever is there."""


class PolicyRoutes:
    """`folder` is the policy's."""

    def __init__(
        self,
        folder: Path,
        policy: Current,
        watch: Watch,
        trying: draft.Trying,
        history: History,
        stored: StoredTemplates,
        store: Store,
        now: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._policy = policy
        self._watch = watch
        self._trying = trying
        self._history = history
        self._stored = stored
        self._store = store
        self._now = now

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            web.get(PREFIX + "policies", self._state),
            web.get(PREFIX + "policies/{id}", self._one),
            web.post(PREFIX + "policies:validate", self._validate),
            web.post(PREFIX + "policies:reload", self._reload),
            web.post(PREFIX + "policies:apply", self._apply),
            web.post(PREFIX + "policies:rollback", self._rollback),
        )

    async def _state(self, request: web.Request) -> web.Response:
        current, error = self._policy.current, self._policy.last_error
        return fields.json(
            {
                "version": current.version,
                "loaded_at": self._policy.loaded_at,
                "notes": current.notes,
                "last_error": draft.rows(error.mistakes) if error else None,
                "instances": await self._instances(),
                "versions": await self._versions(),
            }
        )

    async def _instances(self) -> Mapping[str, str] | None:
        """None while the store is away: what is in force here can be told all the same."""
        try:
            return await self._store.versions.versions()
        except Overloaded:
            return None

    async def _versions(self) -> Sequence[Mapping[str, object]] | None:
        """The same."""
        try:
            return [_told(each) for each in await self._history.versions()]
        except Overloaded:
            return None

    async def _one(self, request: web.Request) -> web.Response:
        found = await self._find(request.match_info["id"])
        against = fields.single(request.query).get("against")
        told = {**_told(found), "files": found.files()}
        if against is not None:
            told["against"] = against
            told["diff"] = _difference(await self._find(against), found)
        return fields.json(told)

    async def _find(self, version: str) -> Version:
        found = await self._history.find(version)
        if found is None:
            raise NotFound("no such version of the policy is kept; GET policies lists those that are")
        return found

    async def _validate(self, request: web.Request) -> web.Response:
        asked = await fields.read_fields(request, {"files"})
        if asked:
            tried = await asyncio.to_thread(draft.try_out, fields.texts(asked, "files"), self._trying)
        else:
            tried = await asyncio.to_thread(draft.try_folder, self._folder, self._trying)
        return fields.json(tried.told())

    async def _reload(self, request: web.Request) -> web.Response:
        await self._watch.reload()
        return await self._state(request)

    async def _apply(self, request: web.Request) -> web.Response:
        asked = await fields.read_fields(request, {"files", "reason", "removes"})
        files, reason, removes = fields.texts(asked, "files"), fields.reason(asked), asked.get("removes", False)
        if not isinstance(removes, bool):
            raise InvalidRequest("removes must be true or false", code="invalid_type", param="removes")
        base = fields.seen(request)
        if not base:
            message = "say in If-Match which version was edited, or * to overwrite whatever is there"
            raise InvalidRequest(message, code="missing_if_match", status=428)
        await self._change(files, base=base, removes=removes, why=reason)
        return await self._state(request)

    async def _rollback(self, request: web.Request) -> web.Response:
        asked = await fields.read_fields(request, {"version", "reason"})
        wanted, reason = fields.required(asked, "version"), fields.reason(asked)
        base = self._policy.current.version
        if wanted == base and self._policy.last_error is None:
            raise Conflict("this version is in force already", code="policy_in_force", param="version")
        found = await self._find(wanted)
        if not found.is_whole:
            message = "this version had credentials written out, which are not kept: it cannot be put into force again"
            raise Conflict(message, code="policy_not_whole", param="version")
        why = f"back to this version: {reason}"
        files, stored_then = apart(found.files())
        number, there = await self._stored.load()
        puts = {name: Put(text.encode(), fields.WHO, why, self._now()) for name, text in stored_then.items()}
        beside = texts(puts)
        changes: dict[str, Put | None] = {**dict.fromkeys(there), **puts}
        changes = {name: put for name, put in changes.items() if texts(there).get(name) != beside.get(name)}
        await self._try_out(files, beside)
        async with self._stored_changed(changes, there, number):
            await self._write(files, beside, base=ANY, removes=True, why=why)
        return await self._state(request)

    async def _change(self, files: Mapping[str, str], *, base: str, removes: bool, why: str) -> None:
        """Raises InvalidRequest for what is no policy, Conflict where it does not fit what is there, Overloaded."""
        stored = texts((await self._stored.load())[1])
        await self._try_out(files, stored)
        await self._write(files, stored, base=base, removes=removes, why=why)

    async def _try_out(self, files: Mapping[str, str], stored: Mapping[str, bytes]) -> None:
        tried = await asyncio.to_thread(draft.try_out, files, self._trying, stored)
        if not tried.is_good:
            raise InvalidRequest(tried.summary(), code="policy_invalid", param="files")
        await self._history.versions()  # what cannot be kept is not changed

    async def _write(
        self, files: Mapping[str, str], stored: Mapping[str, bytes], *, base: str, removes: bool, why: str
    ) -> None:
        new = {name: text.encode() for name, text in files.items()}
        await asyncio.to_thread(_replace, self._folder, new, stored, base, removes)
        whole = with_stored(new, stored)
        version = version_of(whole.items())
        log.warning("the policy was changed", extra={"version": version, "who": fields.WHO, "reason": why})
        await self._history.note(whole, who=fields.WHO, why=why)
        await self._watch.reload()

    @asynccontextmanager
    async def _stored_changed(
        self, changes: Mapping[str, Put | None], there: Mapping[str, Put], number: int
    ) -> AsyncIterator[None]:
        """Changes stored templates, and puts them back should what is done within the block be refused."""
        if changes and not await self._stored.change(changes, since=number):
            message = "the stored templates were changed meanwhile; try again"
            raise Conflict(message, code="version_conflict", param="version")
        try:
            await self._stored.refresh()
            yield
        except Conflict:
            if changes:
                await self._stored.change({name: there.get(name) for name in changes}, since=number + 1)
                await self._stored.refresh()
            raise


def _replace(folder: Path, files: Mapping[str, bytes], stored: Mapping[str, bytes], base: str, removes: bool) -> None:
    """It blocks."""
    try:
        with alone(folder):
            before = contents(folder) if policy_files(folder) else {}
            there = version_of(with_stored(before, stored).items())
            if base not in (ANY, there):
                message = f"the policy was changed meanwhile: its folder has {there}, and {base[:64]} was edited"
                raise Conflict(message, code="policy_changed", status=412)
            left_out = sorted(before.keys() - files.keys())
            if left_out and not removes:
                message = f"the folder also has {', '.join(left_out)}: give them too, or say removes: true"
                raise Conflict(message, code="files_left_out", param="removes")
            replace(folder, files)
    except OSError as error:
        message = (
            f"the policy folder cannot be written ({error.strerror or error}): change the policy where it comes from, "
            "such as a ConfigMap or an image"
        )
        raise Conflict(message, code="policies_read_only") from error
    except PolicyError as error:
        raise Conflict(f"the policy folder cannot be read: {error}", code="policies_unreadable") from error


def _told(version: Version) -> dict[str, object]:
    names = ("version", "at", "who", "why", "is_whole")
    return {name: getattr(version, name) for name in names}


def _difference(before: Version, after: Version) -> str:
    """Of all files, in the unified form."""
    old, new = before.files(), after.files()
    lines: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        one, other = (each.get(name, "").splitlines(keepends=True) for each in (old, new))
        places = (f"{name}@{before.version}", f"{name}@{after.version}")
        lines += difflib.unified_diff(one, other, *places)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
