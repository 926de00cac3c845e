"""What the exact cache has for a call, and what of an answer is kept there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import orjson

from gateway.cache.admission import Control, Outcome, refuse_answer
from gateway.cache.assemble import assemble
from gateway.cache.entry import Entry, read, write
from gateway.cache.key import Target, exact_key, scope_of
from gateway.cache.place import cache_pepper, key_of, place_of
from gateway.cache.rules import Rule
from gateway.cache.semantic import asked as semantic
from gateway.cache.semantic.asked import SemanticRule
from gateway.core.call import Call, Operation
from gateway.core.clock import Clock
from gateway.core.deployment import Model
from gateway.core.purge import Marked
from gateway.core.secret import Secret
from gateway.core.tenant import Tenant

MISSES: Mapping[str, str] = {
    "new": "nothing is kept for this call",
    "no_cache": "the client said Cache-Control: no-cache, or max-age=0",
    "too_old": "what is kept is older than the client's max-age",
    "expired": "what was kept has expired",
    "purged": "what was kept was made before an order to forget it",
    "corrupt": "what was kept cannot be trusted",
    "unsure": "the store has not been heard of lately, and orders to forget may have been missed",
    "store_away": "the store did not answer in time",
    "no_rule": "no rule of the policy keeps the answers of such calls",
}
"""Why a call was not answered from the exact cache."""

KEEPING = 0.5
"""Seconds after which an answer that went out is kept, if it is to be; a removal looks for it LOOKS times in that time."""
LOOKS = 5

Removal = Literal["removed", "gone", "replaced"]
"""What became of an answer that was to be removed; replaced: another stands under its name, and stays."""


class CacheStore(Protocol):
    """See store.contract for what it promises."""

    async def get(self, name: str) -> bytes | None: ...

    async def put(self, name: str, value: bytes, *, ttl: float) -> None: ...

    async def remove(self, names: Collection[str]) -> int: ...


Get = Callable[[str], Awaitable[bytes | None]]
"""As CacheStore.get."""


class Orders(Protocol):
    """The orders to forget that this worker knows of."""

    @property
    def number(self) -> int:
        """Of the last one."""
        ...

    def kills(self, entry: Marked) -> bool: ...

    def is_current(self, now: float) -> bool:
        """Whether none can have been missed for more than a second; `now` in monotonic seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A call, as the cache knows it. `name` is where its answer is kept, `key` the exact key in it; `purges` is the number of the
    last order to forget that was known when it began."""

    name: str
    key: bytes
    tenant: Tenant
    call: Call
    model: Model
    route: str | None
    target: Target
    scope: tuple[str, ...]
    rule: Rule
    purges: int


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as it went to the client. `usage` is the provider's own count, where the client has not been given it; `cost` in
    nano-USD, `took` in seconds until it was whole; altered: what went out is not what the provider would have said."""

    body: bytes
    usage: Mapping[str, Any] | None
    is_complete: bool
    is_altered: bool
    is_fallback: bool
    cost: int
    took: float


class Keeper:
    """`missed`: why the last call of `find` found nothing."""

    def __init__(self, store: CacheStore, orders: Orders, secret: Secret, clock: Clock) -> None:
        """`secret` is the store's; names and checksums are made with a key of their own that is drawn from it."""
        self._store = store
        self._orders = orders
        self._pepper = cache_pepper(secret)
        self._clock = clock

    def asked(self, tenant: Tenant, call: Call, model: Model, route: str | None, rule: Rule) -> Asked:
        scope = scope_of(tenant, rule.sharing)
        target = Target(
            call.operation.value,
            model.name,
            route or "",
            "" if call.prompt is None else call.prompt.identity,
            tuple([(f"{each.provider.name} {each.provider.host}", each.upstream_model) for each in model.deployments]),
            _unsaid(call, model) if call.unsaid else b"",
        )
        key = exact_key(self._pepper, scope, target, call.fields)
        name = f"{place_of(self._pepper, tenant.org)}:{key.hex()}"
        return Asked(name, key, tenant, call, model, route, target, scope, rule, self._orders.number)

    async def find(self, asked: Asked, control: Control, get: Get | None = None) -> Entry | str:
        """The kept answer, or the word in MISSES for why there is none; `get` asks in the store's place. Raises Overloaded."""
        if not self._orders.is_current(self._clock.monotonic()):
            return "unsure"
        return self._judge(await (get or self._store.get)(asked.name), asked.key, control.max_age)

    async def find_by_name(self, name: str, max_age: float | None = None) -> Entry | str:
        """The same for an answer that was found by its meaning."""
        if not self._orders.is_current(self._clock.monotonic()):
            return "unsure"
        key = key_of(name)
        return "corrupt" if key is None else self._judge(await self._store.get(name), key, max_age)

    def asked_by_meaning(self, asked: Asked, rule: SemanticRule) -> semantic.Asked:
        org = asked.name.partition(":")[0]
        return semantic.Asked(asked.scope, asked.target, asked.call.fields, org, asked.route or "", rule)

    async def remove(self, name: str, id: str | None = None) -> Removal:
        """Removes the answer with this id, which may only be about to be kept, or any (None). Raises Overloaded."""
        if id is None:
            return "removed" if await self._store.remove([name]) else "gone"
        key, left = key_of(name), LOOKS
        while True:
            found = None if key is None else await self._store.get(name)
            entry = None if found is None or key is None else read(found, key=key, pepper=self._pepper)
            if entry is not None and entry.id == id:
                return "removed" if await self._store.remove([name]) else "gone"
            left -= 1
            if not left:
                return "gone" if entry is None else "replaced"
            await asyncio.sleep(KEEPING / LOOKS)

    async def keep(self, asked: Asked, answered: Answered, *, id: str, question: str = "") -> Entry | str:
        """Puts the answer into the store, by this id, if it is one to be kept, or gives the word that says why not.

        Raises Overloaded.
        """
        document = _document(asked.call, answered)
        if isinstance(document, str):
            return document
        rule, now = asked.rule, self._clock.now()
        entry = Entry(
            id=id,
            operation=asked.call.operation.value,
            created=now,
            expires=now + rule.ttl,
            document=orjson.dumps(document) if asked.call.stream else answered.body,
            org=asked.tenant.org,
            team=asked.tenant.team,
            key_id=asked.tenant.key_id,
            model=asked.model.name,
            route=asked.route or "",
            template="" if asked.call.prompt is None else asked.call.prompt.label,
            tags=asked.call.tags,
            purges=asked.purges,
            cost=answered.cost,
            took=answered.took,
            question=question,
        )
        outcome = Outcome(200, answered.is_complete, len(entry.document), answered.is_altered or answered.is_fallback)
        if (word := refuse_answer(document, outcome, rule.admits, wanted=_wanted(asked.call))) is not None:
            return word
        await self._store.put(asked.name, write(entry, key=asked.key, pepper=self._pepper), ttl=rule.ttl)
        return entry

    def _judge(self, found: bytes | None, key: bytes, max_age: float | None) -> Entry | str:
        if found is None:
            return "new"
        entry = read(found, key=key, pepper=self._pepper)
        if entry is None:
            return "corrupt"
        now = self._clock.now()
        if not entry.is_fresh(now=now):
            return "expired"
        if self._orders.kills(entry):
            return "purged"
        return entry if entry.is_fresh(now=now, max_age=max_age) else "too_old"


def _document(call: Call, answered: Answered) -> dict[str, Any] | str:
    """The answer as one document, without what the gateway put into it."""
    if not call.stream:
        try:
            return orjson.loads(answered.body)  # type: ignore[no-any-return]
        except orjson.JSONDecodeError:  # a number that no float holds
            return "unfinished"
    document = assemble(answered.body)
    if document is None:
        return "incomplete"
    document.pop("llmgw", None)
    usage = document.get("usage") or answered.usage
    if usage:
        document["usage"] = {name: value for name, value in usage.items() if name != "cost_usd"}
    else:
        document.pop("usage", None)
    return document


def _unsaid(call: Call, model: Model) -> bytes:
    """What chat has no word for, where anybody who may answer is told of it."""
    told = (call.unsaid_to(each.provider.dialect) for each in (*model.deployments, *model.fallbacks))
    return next(filter(None, told), b"")


def _wanted(call: Call) -> int:
    """How many choices or vectors the call asked for."""
    if call.operation is Operation.EMBEDDINGS:
        return _parts(call.fields["input"])
    prompts = _parts(call.fields["prompt"]) if call.operation is Operation.COMPLETION else 1
    return prompts * int(call.fields.get("n") or 1)


def _parts(value: Any) -> int:
    """How many texts there are; a list of token ids is one."""
    return len(value) if isinstance(value, list) and value and isinstance(value[0], str | list) else 1
