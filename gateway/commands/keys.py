"""`llmgw keys`: creates, lists and revokes virtual keys, straight in the store, with or without a running server."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING

import orjson

from gateway.auth.description import describe, state
from gateway.auth.virtual_key import mint
from gateway.auth.wanted import DEFAULT_TENANT, Wanted, expiry
from gateway.commands.opened import opened_store
from gateway.core.errors import GatewayError
from gateway.core.tenant import VirtualKey
from gateway.settings import add_store_flags
from gateway.store.contract import OpenError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    keys = subparsers.add_parser("keys", help="create, list and revoke virtual keys")
    actions = keys.add_subparsers(dest="action", required=True)

    create = actions.add_parser("create", help="make a key and print it, this once")
    create.add_argument("--name", default="", help="a name for people; routes and policies can match it")
    create.add_argument("--tenant", default=DEFAULT_TENANT, metavar="ORG[/TEAM]", help="who is billed (%(default)s)")
    create.add_argument("--models", metavar="A,B", help="the only models it may ask for; shell patterns")
    create.add_argument("--expires", metavar="AGE", help="after how long it stops working: 90m, 12h, 30d, 52w")
    listing = actions.add_parser("list", help="show the keys, without their text")
    revoke = actions.add_parser("revoke", help="end a key, on every worker within a second")
    revoke.add_argument("id", metavar="ID", help="as `llmgw keys list` shows it")

    for action in (create, listing, revoke):
        action.add_argument("--json", action="store_true", help="print JSON")
        add_store_flags(action, os.environ)


def run(args: argparse.Namespace) -> int:
    """Does what was asked; 0: done, 1: not, for a reason printed on stderr."""
    action = {"create": _create, "list": _list, "revoke": _revoke}[args.action]
    try:
        return asyncio.run(action(args))
    except OpenError as error:
        print(f"llmgw keys: {error}", file=sys.stderr)
    except GatewayError as error:
        print(f"llmgw keys: {error.message}", file=sys.stderr)
    return 1


async def _create(args: argparse.Namespace) -> int:
    now = time.time()
    wanted = Wanted(
        name=args.name,
        tenant=args.tenant,
        models=None if args.models is None else tuple(args.models.split(",")),
        expires=None if args.expires is None else expiry(args.expires, now=now),
    )
    async with opened_store(args) as store:
        key, text = mint(wanted, store.pepper, now=now)
        await store.keys.create(key)
    if args.json:
        print(orjson.dumps({**describe(key, now=now), "key": text.reveal()}).decode())
    else:
        print(f"key {key.id} for {key.tenant}; it is not kept, so copy it now:")
        print(text.reveal())
    return 0


async def _list(args: argparse.Namespace) -> int:
    async with opened_store(args) as store:
        _, keys = await store.keys.load(since=0)
    keys = sorted(keys, key=lambda key: key.created)
    if args.json:
        print(orjson.dumps([describe(key, now=time.time()) for key in keys]).decode())
        return 0
    rows = [("ID", "NAME", "TENANT", "MODELS", "CREATED", "EXPIRES", "STATE"), *(_row(key) for key in keys)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


async def _revoke(args: argparse.Namespace) -> int:
    async with opened_store(args) as store:
        found = await store.keys.revoke(args.id)
    if not found:
        print(f"llmgw keys: there is no key {args.id}; `llmgw keys list` shows them", file=sys.stderr)
        return 1
    print(orjson.dumps({"id": args.id, "revoked": True}).decode() if args.json else f"key {args.id} is revoked")
    return 0


def _row(key: VirtualKey) -> tuple[str, ...]:
    models = "*" if key.models is None else ",".join(key.models)
    return (key.id, key.name, key.tenant, models, _day(key.created), _day(key.expires), state(key, now=time.time()))


def _day(seconds: float | None) -> str:
    return "never" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))
