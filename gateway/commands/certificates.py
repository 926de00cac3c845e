"""`llmgw certificates`: what has been shown of each route's candidates, and the order to begin anew, by the admin API."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from gateway.commands.asked import AdminApi, add_api_flags, answered, print_table, printable
from gateway.core.money import usd

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    certificates = subparsers.add_parser("certificates", help="what has been shown of cheaper models, route by route")
    actions = certificates.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="how each candidate stands, why, and what trials cost today")
    listing.add_argument("--route", help="of this route alone")
    reset = actions.add_parser("reset", help="forget what was shown of a candidate: it has to be shown anew")
    reset.add_argument("route")
    reset.add_argument("candidate")
    reset.add_argument("--prompt", help="of one system prompt, as the list with --json has it; without: of all")
    reset.add_argument("--reason", required=True, help="why; it is kept")
    for action in (listing, reset):
        add_api_flags(action)


def run(args: argparse.Namespace) -> int:
    """Does what was asked; 0: done, 1: not, for a reason printed on stderr."""
    return answered("certificates", {"list": _list, "reset": _reset}[args.action], args)


def _list(args: argparse.Namespace, api: AdminApi) -> int:
    found: list[Mapping[str, Any]] = api.get("certificates", route=args.route)["certificates"]
    if args.json:
        print(orjson.dumps(found).decode())
        return 0
    head = (
        "ROUTE",
        "CANDIDATE",
        "PROMPT",
        "STANDING",
        "SINCE",
        "LABELS",
        "LOSS",
        "ALLOWED",
        "TRIED",
        "SPENT TODAY",
        "WHY",
    )
    print_table([head, *(_row(each) for each in found)])
    return 0


def _reset(args: argparse.Namespace, api: AdminApi) -> int:
    body = {"route": args.route, "candidate": args.candidate, "prompt": args.prompt, "reason": args.reason}
    done = api.post("certificates:reset", body)["certificates"]
    if args.json:
        print(orjson.dumps(done).decode())
    else:
        what = f"{len(done)} certificate{'' if len(done) == 1 else 's'}"
        print(f"{what} of {printable(args.candidate)} on {printable(args.route)} begin anew; it does not serve")
    return 0


def _row(each: Mapping[str, Any]) -> tuple[str, ...]:
    budget = each["budget"]
    limit, spent = budget["limit_nano_usd"], budget["spent_nano_usd"]
    since = "" if each["since"] is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(each["since"]))
    standing = each["standing"] + (", suspicious" if each["suspicious"] else "")
    loss = f"{_percent(each['mean_loss'])} ({_percent(each['least_loss'])} to {_percent(each['most_loss'])})"
    return (
        printable(each["route"]),
        printable(each["candidate"]),
        (each["prompt"] or "any")[:12],
        standing,
        since,
        str(each["labels"]),
        loss if each["labels"] else "unknown",
        _percent(each["max_loss"]),
        _percent(each["share"]),
        "no limit" if limit is None else f"{'?' if spent is None else usd(spent)} of {usd(limit)} USD",
        printable(each["why"]),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
