"""`llmgw cache`: tells what is kept, and orders to forget, straight in the store, with or without a running server."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from gateway.cache.kept import Found, Kept
from gateway.cache.purges import Purges
from gateway.commands.opened import opened_store
from gateway.core.clock import Clock
from gateway.core.errors import GatewayError, Overloaded
from gateway.core.purge import Purge
from gateway.settings import add_store_flags
from gateway.store.contract import OpenError, Store
from gateway.trace.sqlite.reader import Reader
from gateway.trace.sqlite.schema import FILE

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_DAY = 86400
_MARKS = {
    "org": "organisation that asked",
    "team": "team that asked",
    "key-id": "virtual key that asked",
    "model": "model that answered",
    "route": "route that was taken",
    "template": "template of the prompt",
    "tag": "tag of the call",
}


def add_parser(subparsers: Subparsers) -> None:
    cache = subparsers.add_parser("cache", help="tell what is kept of answers, and forget it")
    actions = cache.add_subparsers(dest="action", required=True)
    stats = actions.add_parser("stats", help="how much is kept, and what that did in the last day")
    listing = actions.add_parser("list", help="the kept answers that have all of the given marks, without their text")
    listing.add_argument("--limit", type=int, default=50, help="how many at most (%(default)s)")
    purge = actions.add_parser(
        "purge", help="forget those that have all of the given marks, everywhere within a second"
    )
    purge.add_argument("--entry", metavar="ID", help="one answer, as `llmgw cache list` shows it")
    purge.add_argument("--all", action="store_true", help="everything")
    for action in (listing, purge):
        for mark, help in _MARKS.items():
            action.add_argument(f"--{mark}", help=help)
    for action in (stats, listing, purge):
        action.add_argument("--json", action="store_true", help="print JSON")
        add_store_flags(action, os.environ)


def run(args: argparse.Namespace) -> int:
    """Does what was asked; 0: done, 1: not, for a reason printed on stderr."""
    action = {"stats": _stats, "list": _list, "purge": _purge}[args.action]
    try:
        return asyncio.run(action(args))
    except OpenError as error:
        print(f"llmgw cache: {error}", file=sys.stderr)
    except GatewayError as error:
        print(f"llmgw cache: {error.message}", file=sys.stderr)
    except OSError as error:
        print(f"llmgw cache: the call records cannot be read: {error}", file=sys.stderr)
    return 1


async def _stats(args: argparse.Namespace) -> int:
    async with opened_store(args) as store:
        size, orders = await store.cache.size(), await store.cache.orders()
    done = _done_lately(args)
    if args.json:
        print(
            orjson.dumps({"size": size, "last_order": orders[-1].number if orders else None, "last_day": done}).decode()
        )
        return 0
    print(f"{size.entries} answers are kept, in {size.bytes / 1e6:.1f} MB; {size.dropped} gave way to newer ones")
    print(f"{len(orders)} orders to forget are in force")
    for figures in done["routes"] if done else ():
        hits, misses = figures["hits"], sum(figures["misses"].values())
        kinds = ", ".join(f"{count} {kind}" for kind, count in hits.items() if count)
        found = sum(hits.values())
        looked_up = found + misses
        share = f"{found / looked_up:.1%} of {looked_up}" if looked_up else "nothing looked up"
        route = figures["route"] or "(no route)"
        print(f"{route}: {share}{f' ({kinds})' if kinds else ''}, ${figures['saved_nano_usd'] / 1e9:.4f} saved")
    return 0


async def _list(args: argparse.Namespace) -> int:
    found: list[Found] = []
    async with opened_store(args) as store:
        kept = await _kept(store)
        after = ""
        while len(found) < args.limit:
            some, after = await kept.search(_marks(args), after=after, limit=args.limit - len(found))
            found += some
            if not after:
                break
    if args.json:
        print(orjson.dumps([_told(each) for each in found]).decode())
        return 0
    head = ("ID", "ORG", "TEAM", "MODEL", "ROUTE", "TAGS", "CREATED", "EXPIRES", "BYTES")
    rows = [head, *(_row(each) for each in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


async def _purge(args: argparse.Namespace) -> int:
    marks = _marks(args)
    if args.all and marks != Purge():
        print("llmgw cache: say either --all or what is to be forgotten, not both", file=sys.stderr)
        return 1
    if not args.all and marks == Purge():
        print("llmgw cache: say what is to be forgotten (see --help), or --all for everything", file=sys.stderr)
        return 1
    removed = 0
    async with opened_store(args) as store:
        kept = await _kept(store)
        number = await kept.order(marks)
        async for some in kept.remove(marks):
            removed += some
    if args.json:
        print(orjson.dumps({"number": number, "removed": removed}).decode())
    else:
        print(f"order {number}: forgotten everywhere within a second; {removed} answers were removed")
    return 0


async def _kept(store: Store) -> Kept:
    """With the orders that are in force. Raises Overloaded."""
    clock = Clock()
    purges = Purges(store.cache)
    last = (await store.changes()).purges
    if last is None:
        raise Overloaded("The cache cannot be read; see the log for the reason.")
    await purges.refresh(last, clock.monotonic())
    return Kept(store.cache, purges, store.pepper, clock)


def _done_lately(args: argparse.Namespace) -> Mapping[str, Any] | None:
    """What the records of this machine say. Raises OSError."""
    path = args.data / FILE
    if not path.exists():
        return None
    now = int(time.time())
    reader = Reader(path)
    try:
        figures = reader.cache(since=now - _DAY, until=now + 1, step=_DAY + 1)
    finally:
        reader.close()
    return {"routes": figures["routes"]}


def _marks(args: argparse.Namespace) -> Purge:
    return Purge(
        org=args.org,
        team=args.team,
        key_id=args.key_id,
        model=args.model,
        route=args.route,
        template=args.template,
        tag=args.tag,
        entry=getattr(args, "entry", None),
    )


def _told(found: Found) -> Mapping[str, object]:
    entry = found.entry
    marks = {
        name: getattr(entry, name) for name in ("id", "org", "team", "key_id", "model", "route", "template", "tags")
    }
    times = {"created": entry.created, "expires": entry.expires}
    return {"name": found.name, **marks, **times, "bytes": found.size, "cost_nano_usd": entry.cost}


def _row(found: Found) -> tuple[str, ...]:
    entry = found.entry
    marks = (entry.id, entry.org, entry.team or "", entry.model, entry.route, ",".join(entry.tags))
    return (*map(_printable, marks), _minute(entry.created), _minute(entry.expires), str(found.size))


def _printable(text: str) -> str:
    """Tags are callers' own words, and a terminal obeys some."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _minute(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))
