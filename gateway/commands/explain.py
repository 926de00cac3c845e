"""`llmgw explain`: who would be billed for a call, what it would hold, and who would answer it, calling nobody."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import orjson

from gateway.auth.tenants import tenant_of
from gateway.auth.virtual_key import fingerprint, ready_made_key
from gateway.auth.wanted import DEFAULT_TENANT, Wanted
from gateway.budget.escrow import account_name
from gateway.budget.hold import STEP
from gateway.budget.limits import Account, Unit
from gateway.budget.needs import Needs
from gateway.core.call import Call, Operation
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment
from gateway.core.errors import GatewayError
from gateway.core.ledger.operations import Balance
from gateway.core.money import usd
from gateway.core.secret import Secret
from gateway.core.tenant import Tenant, VirtualKey
from gateway.ingress.openai import OpenAIArrival
from gateway.ingress.request import Request
from gateway.meter.bound import Bounds
from gateway.meter.price import PriceTable
from gateway.meter.tokens import Tokens
from gateway.policy.compile import compile_policy
from gateway.policy.mistakes import PolicyError
from gateway.policy.snapshot import Snapshot
from gateway.route.plan import Decision, decide, order
from gateway.settings import add_store_flags, policy_environment, shipped_policies
from gateway.store.contract import OpenError, Store
from gateway.store.open import open_store

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_OPERATIONS = {each.value: each for each in Operation}


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("explain", help="say what would happen to a call, without making it")
    parser.add_argument("--key", help="a virtual key: its text, its id or its name (default: OPENAI_API_KEY)")
    parser.add_argument("--tenant", metavar="ORG[/TEAM]", help="instead of a key: a key of this tenant")
    parser.add_argument("--model", help="the model asked for; default: the one in the file")
    parser.add_argument(
        "--file", type=Path, metavar="BODY.json", help="the body of the call; default: one short message"
    )
    parser.add_argument("--tags", default="", metavar="A,B", help="tags of the call")
    parser.add_argument("--operation", choices=sorted(_OPERATIONS), default="chat", help="default: %(default)s")
    parser.add_argument("--policies", type=Path, default=shipped_policies(), metavar="DIR", help="default: %(default)s")
    add_store_flags(parser, os.environ)


def run(args: argparse.Namespace) -> int:
    """Prints the story; 1 if the call would be refused, or nothing can be said, for a reason printed last."""
    try:
        return asyncio.run(_explain(args))
    except (PolicyError, OpenError, OSError) as error:
        print(f"llmgw explain: {error}", file=sys.stderr)
    except GatewayError as error:
        print(f"refused   {error.status} {error.code}: {error.message}")
    return 1


async def _explain(args: argparse.Namespace) -> int:
    clock, tokens = Clock(), Tokens()
    snapshot = compile_policy(args.policies, policy_environment(os.environ), PriceTable(clock).price)
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
    count = await tokens.sent(call, call.model)
    decision = decide(call, tenant, snapshot.routes, lambda: count)
    story = _Story(call, tenant, snapshot, decision, count, Bounds(tokens), balances)
    refused = False
    for line in story.lines():
        print(line)
        refused = refused or line.startswith("refused")
    return int(refused)


@dataclass(frozen=True, slots=True)
class _Story:
    call: Call
    tenant: Tenant
    snapshot: Snapshot
    decision: Decision
    count: int
    bounds: Bounds
    balances: Mapping[str, Balance]

    def lines(self) -> Iterator[str]:
        deployments = order(self.decision.model, Random())
        yield "template  none"
        yield from self._budget(deployments)
        yield "cache     " + ("by its Idempotency-Key alone" if self.call.idempotency_key else "bypass")
        reason = "the model the client named" if self.decision.route is None else f"by route {self.decision.route}"
        yield f"route     {self.decision.model.name}, {reason}"
        if not deployments:
            yield "refused   503 no_upstream_available: no provider of this model is switched on"
        for number, each in enumerate(deployments, 1):
            price = each.price
            per = "no price" if price is None else f"{usd(price.input)} USD in, {usd(price.output)} USD out per million"
            yield f"upstream  {number}. {each.name} ({per})"

    def _budget(self, deployments: Sequence[Deployment]) -> Iterator[str]:
        accounts = self.snapshot.limits.accounts(self.tenant, _user(self.call), self.decision.model.name)
        if not accounts or not deployments:
            yield "budget    none applies"
            return
        needs = Needs(self.call, accounts, self.bounds)
        cap, is_written = self._cap(needs)
        sent, made = self.bounds.sent(self.call, deployments[0]), cap * needs.choices
        yield f"budget    reserves for at most {sent} tokens in (counted: {self.count}) and {made} out"
        if is_written:
            yield f"          and writes {deployments[0].provider.output_cap}: {cap} into the request"
        for account, amount in needs.all(needs.amounts(deployments[0], sent=sent, made=made)):
            yield from self._account(account, amount)

    def _cap(self, needs: Needs) -> tuple[int, bool]:
        if self.call.operation is Operation.EMBEDDINGS:
            return 0, False
        asked = self.bounds.asked_output(self.call)
        cap = asked or self.decision.model.max_output
        return min(cap, STEP) if self.call.stream else cap, needs.is_bound and asked is None

    def _account(self, account: Account, amount: int) -> Iterator[str]:
        limit = account.limit
        balance = self.balances.get(account_name(account, account.span(int(time.time() * 1000))))
        taken = 0 if balance is None else balance.spent + balance.held
        left = max(0, limit.amount - taken)
        of = f"of {_shown(account, left)} left of {_shown(account, limit.amount)} per {limit.window}"
        mode = "" if limit.hard else " (soft)"
        yield f"          {account.scope} {account.subject}{mode}: {_shown(account, amount)} {of}"
        if limit.hard and amount > left:
            yield f"refused   429: the {account.scope}'s limit does not cover this call"


def _shown(account: Account, amount: int) -> str:
    unit = account.limit.unit
    return f"{usd(amount)} USD" if unit is Unit.USD else f"{amount} {unit.value}"


def _call(args: argparse.Namespace) -> OpenAIArrival:
    body = args.file.read_bytes() if args.file else b'{"messages": [{"role": "user", "content": "Say hello"}]}'
    if args.model is not None:
        fields = orjson.loads(body)
        body = orjson.dumps({**fields, "model": args.model}) if isinstance(fields, dict) else body
    headers = {b"x-llmgw-tags": args.tags.encode()} if args.tags else {}
    request = Request(method=b"POST", target=b"/", headers=headers, body=body, received=0.0, peer="")
    return OpenAIArrival(request, operation=_OPERATIONS[args.operation], id="explained")


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
        if (not key.revoked and named in (key.id, key.name)) or key.fingerprint == mark:
            return key
    raise OSError("there is no such key; `llmgw keys list` shows them")


def _user(call: Call) -> str | None:
    user = call.fields.get("user")
    return user if isinstance(user, str) else None
