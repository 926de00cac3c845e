"""`llmgw explain`: who would be billed for a call, what it would hold, and who would answer it, calling nobody."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import orjson

from gateway.auth.tenants import tenant_of
from gateway.auth.virtual_key import fingerprint, ready_made_key
from gateway.auth.wanted import DEFAULT_TENANT, Wanted
from gateway.budget.escrow import account_name
from gateway.budget.limits import Account, Limits, Unit
from gateway.budget.preview import Books, preview
from gateway.commands.caching import tell_cache
from gateway.commands.prompted import prompted, tell_template
from gateway.commands.tell import tell_call
from gateway.core.call import Call, Operation
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Model
from gateway.core.errors import GatewayError, Overloaded
from gateway.core.ledger.operations import Balance, Line
from gateway.core.money import usd
from gateway.core.secret import Secret
from gateway.core.tenant import Tenant, VirtualKey
from gateway.ingress.openai import OpenAIArrival
from gateway.ingress.request import Request
from gateway.meter.bound import Bounds
from gateway.meter.model_table import ModelTable
from gateway.meter.price import PriceTable
from gateway.meter.tokens import Tokens
from gateway.policy.compile import compile_policy
from gateway.policy.mistakes import PolicyError
from gateway.policy.snapshot import Snapshot
from gateway.route.decision import Circumstances, Decision
from gateway.route.plan import decide, order
from gateway.settings import add_store_flags, policy_environment, shipped_policies
from gateway.store.contract import OpenError, Store
from gateway.store.open import open_store

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_OPERATIONS = {each.value: each for each in Operation}
_SHORT = {
    Operation.CHAT: b'{"messages": [{"role": "user", "content": "Say hello"}]}',
    Operation.COMPLETION: b'{"prompt": "Say hello"}',
    Operation.EMBEDDINGS: b'{"input": "Say hello"}',
}


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("explain", help="say what would happen to a call, or what happened to one")
    parser.add_argument("--call", metavar="ID", help="instead: what happened to the call with this x-request-id")
    parser.add_argument(
        "--json", action="store_true", help="with --call: the whole record, its spans and its story as JSON"
    )
    parser.add_argument("--key", help="a virtual key: its text, its id or its name (default: OPENAI_API_KEY)")
    parser.add_argument("--tenant", metavar="ORG[/TEAM]", help="instead of a key: a key of this tenant")
    parser.add_argument("--model", help="the model asked for; default: the one in the file")
    parser.add_argument("--file", type=Path, metavar="BODY.json", help="the body of the call; default: a short one")
    parser.add_argument("--template", metavar="NAME[@VERSION]", help="the template that the call asks for")
    parser.add_argument("--show", action="store_true", help="print the messages that its template makes")
    parser.add_argument("--tags", default="", metavar="A,B", help="tags of the call")
    parser.add_argument("--cache-control", metavar="TEXT", help="the call's header of that name")
    parser.add_argument("--operation", choices=sorted(_OPERATIONS), default="chat", help="default: %(default)s")
    parser.add_argument("--policies", type=Path, default=shipped_policies(), metavar="DIR", help="default: %(default)s")
    add_store_flags(parser, os.environ)


def run(args: argparse.Namespace) -> int:
    """Prints the story; 1 if the call would be refused, or nothing can be said, for a reason printed last."""
    if args.call is not None:
        return tell_call(args.data, args.call, as_json=args.json)
    try:
        return asyncio.run(_explain(args))
    except (PolicyError, OpenError, OSError) as error:
        print(f"llmgw explain: {error}", file=sys.stderr)
    except GatewayError as error:
        print(f"refused   {error.status} {error.code}: {error.message}")
    return 1


async def _explain(args: argparse.Namespace) -> int:
    clock, tokens = Clock(), Tokens()
    environment, prices = policy_environment(os.environ), PriceTable(clock).price
    snapshot = compile_policy(args.policies, environment, prices, ModelTable().abilities)
    call = _call(args).read(strict=snapshot.strict)
    pepper = os.environ.get("LLMGW_SECRET")
    store = await open_store(args.store, args.data, pepper=Secret(pepper) if pepper else None)
    try:
        key = await _key(args, store)
        balances = {each.account: each for each in await store.ledger.balances()}
    finally:
        await store.close()
    tenant = tenant_of(key, snapshot.tenants)
    print(f"tenant    {tenant.name}, key {tenant.key_name or tenant.key_id or 'of nobody'}")
    call = await prompted(call, tenant, snapshot, tokens, clock)
    for line in tell_template(call, snapshot, show=args.show):
        print(line)
    count = await tokens.sent(call, call.model)
    decision = decide(call, tenant, snapshot.routes, Circumstances(lambda: count, clock.now(), sent=count))
    deployments = order(decision.model, Random(), call, decision=decision)
    for line in _story(call, tenant, decision, deployments, snapshot):
        print(line)
    if not deployments:
        raise Overloaded("no provider of this model is switched on", code="no_upstream_available")
    budget = _Budget(call, tenant, snapshot.limits, decision.model, deployments[0], Bounds(tokens), balances)
    async for line in budget.lines(counted=count):
        print(line)
    return 0


def _story(
    call: Call, tenant: Tenant, decision: Decision, deployments: Sequence[Deployment], snapshot: Snapshot
) -> Iterator[str]:
    for number, line in enumerate(tell_cache(call, tenant, decision.route, snapshot.cache)):
        yield f"{'' if number else 'cache':10}{line}"
    reason = "the model the client named" if decision.route is None else f"by route {decision.route}"
    yield f"route     {decision.model.name}, {reason}"
    for number, each in enumerate(deployments, 1):
        price = each.price
        per = "no price" if price is None else f"{usd(price.input)} USD in, {usd(price.output)} USD out per million"
        yield f"upstream  {number}. {each.name} ({per})"


@dataclass(frozen=True, slots=True)
class _Budget:
    call: Call
    tenant: Tenant
    limits: Limits
    model: Model
    deployment: Deployment
    bounds: Bounds
    balances: Mapping[str, Balance]

    async def lines(self, *, counted: int) -> AsyncIterator[str]:
        """Raises what the call would be refused with, once it has been said how the accounts stand."""
        accounts = self.limits.accounts(self.tenant, self.call.user, self.model.name)
        if not accounts:
            yield "budget    none applies"
            return
        books = Books(self.balances, Clock())
        try:
            held = await preview(
                self.call,
                self.tenant,
                self.limits,
                model=self.model,
                deployment=self.deployment,
                estimates=self.bounds,
                books=books,
            )
        except GatewayError:
            yield "budget    would not cover it:"
            for account in accounts:
                yield self._left(account, books)
            raise
        yield f"budget    reserves for at most {held.sent} tokens in (counted: {counted}) and {held.made} out"
        if held.cap is not None:
            lowered = ", which is lowered to what is left" if held.is_clamped else ""
            yield f"          and writes {self.deployment.provider.output_cap}: {held.cap} into the request{lowered}"
        for account, amount in held.amounts.items():
            yield self._left(account, books, f"{_shown(account, amount)} of ")

    def _left(self, account: Account, books: Books, amount: str = "") -> str:
        limit = account.limit
        own = Line(account_name(account, account.span(int(time.time() * 1000))), 0, limit.amount)
        left = f"{_shown(account, books.left(own))} left of {_shown(account, limit.amount)} per {limit.window}"
        mode = "" if limit.hard else " (soft)"
        return f"          {account.scope} {account.subject}{mode}: {amount}{left}"


def _shown(account: Account, amount: int) -> str:
    unit = account.limit.unit
    return f"{usd(amount)} USD" if unit is Unit.USD else f"{amount} {unit.value}"


def _call(args: argparse.Namespace) -> OpenAIArrival:
    operation = _OPERATIONS[args.operation]
    body = args.file.read_bytes() if args.file else _SHORT[operation]
    if args.model is not None:
        with suppress(orjson.JSONDecodeError):  # what is wrong with it is told as any client is told
            fields = orjson.loads(body)
            body = orjson.dumps({**fields, "model": args.model}) if isinstance(fields, dict) else body
    said = {b"x-llmgw-template": args.template, b"x-llmgw-tags": args.tags, b"cache-control": args.cache_control}
    headers = {name: value.encode() for name, value in said.items() if value}
    request = Request(method=b"POST", target=b"/", headers=headers, body=body, received=0.0, peer="")
    return OpenAIArrival(request, operation=operation, id="explained")


async def _key(args: argparse.Namespace, store: Store) -> VirtualKey:
    """The key that was named. Raises OSError when there is none of that name."""
    if args.tenant is not None:
        return VirtualKey(id="", name=args.key or "", tenant=args.tenant, fingerprint="")
    named = args.key or os.environ.get("OPENAI_API_KEY", "")
    ready_made = ready_made_key(store.pepper).reveal()
    if named in ("", ready_made):
        wanted = Wanted(name="ready-made")
        return VirtualKey(id=ready_made[9:19], name=wanted.name, tenant=DEFAULT_TENANT, fingerprint="")
    mark = fingerprint(named, store.pepper.reveal().encode()).hex()
    _, keys = await store.keys.load(since=0)
    for key in keys:
        is_over = key.revoked or (key.expires is not None and key.expires <= time.time())
        if not is_over and (named in (key.id, key.name) or key.fingerprint == mark):
            return key
    raise OSError("there is no such key that is valid; `llmgw keys list` shows them")
