"""`llmgw templates`: what the versions of prompt templates came to, and who gets which, by the admin API."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from gateway.commands import stored_templates
from gateway.commands.asked import AdminApi, add_api_flags, answered, print_table, printable
from gateway.core.money import usd

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    templates = subparsers.add_parser("templates", help="versions of prompt templates: who gets which, and how they do")
    actions = templates.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="every template, and which version gets which share of its calls")
    show = actions.add_parser("show", help="what the calls of each version came to")
    show._negative_number_matcher = re.compile(r"-[\d.]+[smhdw]?")  # `--since -1h` has a value, and not a flag
    show.add_argument("--since", help="such as -1h or 2026-01-31T12:00:00Z; by whole hours, three days at most (-24h)")
    promote = actions.add_parser("promote", help="give all calls to one version, at once")
    rollback = actions.add_parser("rollback", help="give all calls to the version before, at once")
    reset = actions.add_parser("reset", help="do as the file says again: forget a step-back, a promotion or a rollback")
    for action in (show, promote, rollback, reset):
        action.add_argument("name")
    promote.add_argument("version", type=int)
    for action in (promote, rollback, reset):
        action.add_argument("--reason", required=True, help="why; it is kept")
        action.add_argument(
            "--if-match", metavar="ETAG", help="only if nobody has changed it since `show` told this etag"
        )
    for action in (listing, show, promote, rollback, reset, *stored_templates.add_parsers(actions)):
        add_api_flags(action)


def run(args: argparse.Namespace) -> int:
    """Does what was asked; 0: done, 1: not, for a reason printed on stderr."""
    actions = {"list": _list, "show": _show, "promote": _order, "rollback": _order, "reset": _order}
    actions |= stored_templates.ACTIONS
    return answered("templates", actions[args.action], args)


def _list(args: argparse.Namespace, api: AdminApi) -> int:
    found: list[Mapping[str, Any]] = api.get("templates")["templates"]
    if args.json:
        print(orjson.dumps(found).decode())
        return 0
    head = ("TEMPLATE", "SOURCE", "VERSION", "HASH", "LABELS", "SHARE", "STATE")
    rows = [_version(each, version) for each in found for version in each["versions"] if _is_of_interest(version)]
    print_table([head, *rows])
    return 0


def _show(args: argparse.Namespace, api: AdminApi) -> int:
    told = api.get("templates", args.name, since=args.since)
    if args.json:
        print(orjson.dumps(told).decode())
        return 0
    since = time.strftime("%Y-%m-%d %H:%M", time.gmtime(told["since"]))
    print(
        f"{printable(told['template'])}, etag {told['etag']}, calls since {since} UTC; in brackets where it lies with 95%"
    )
    head = (
        "VERSION",
        "SHARE",
        "CALLS",
        "ERRORS",
        "P50 MS",
        "P95 MS",
        "USD/CALL",
        "TOKENS IN",
        "OUT",
        "CACHE HITS",
        "GOOD",
    )
    shares = {version["version"]: version["share"] for version in told["versions"]}
    print_table([head, *(_figures(row, shares) for row in told["figures"])])
    if (override := told["override"]) is not None:
        who, reason = printable(override["who"]), printable(override["reason"])
        print(f"{override['kind']} to version {override['version']} by {who}: {reason}")
    for version in told["versions"]:
        for line in _state(told, version):
            print(f"version {version['version']}: {line}")
    return 0


def _order(args: argparse.Namespace, api: AdminApi) -> int:
    body = {"reason": args.reason} | ({"version": args.version} if args.action == "promote" else {})
    headers = {} if args.if_match is None else {"If_Match": f'"{args.if_match}"'}
    told = api.post_to(("templates", args.name), args.action, body, **headers)
    if args.json:
        print(orjson.dumps(told).decode())
        return 0
    shares = [f"{100 * each['share']:g}% get version {each['version']}" for each in told["versions"] if each["share"]]
    print(f"{printable(args.name)}: {', '.join(shares)}")
    return 0


def _is_of_interest(version: Mapping[str, Any]) -> bool:
    return bool(version["share"] or version["labels"] or version["stepped_back"] or version["evidence"])


def _version(template: Mapping[str, Any], version: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        printable(template["template"]),
        template["source"],
        str(version["version"]),
        version["hash"],
        printable(",".join(version["labels"])),
        f"{100 * version['share']:.3g}%",
        printable("; ".join(_state(template, version))),
    )


def _state(template: Mapping[str, Any], version: Mapping[str, Any]) -> list[str]:
    override, stepped = template["override"], version["stepped_back"]
    if override is not None and override["version"] == version["version"]:
        return ["promoted" if override["kind"] == "promote" else "rolled back to"]
    if stepped is not None:
        return [f"stepped back: {stepped['why']}"]
    return [_near(each) for each in version["evidence"]]


def _near(bound: Mapping[str, Any]) -> str:
    return f"{bound['measure']} {bound['bound']}: {bound['evidence']:.3g} of {bound['needed']:.3g}"


def _figures(row: Mapping[str, Any], shares: Mapping[int, float]) -> tuple[str, ...]:
    name = row["hash"] if row["version"] is None else str(row["version"])
    return (
        f"{name} (shadow)" if row["shadow"] else name,
        "" if row["shadow"] else f"{100 * shares.get(row['version'], 0):.3g}%",
        str(row["calls"]),
        _between(row["errors"], _percent),
        _between(row["latency_p50_ms"], _number),
        _between(row["latency_p95_ms"], _number),
        _between(row["cost_nano_usd"], lambda nano: usd(round(nano))),
        _between(row["input_tokens"], _number),
        _between(row["output_tokens"], _number),
        _between(row["cache_hits"], _percent),
        _between(row["feedback"], _percent),
    )


def _between(figure: Mapping[str, float | None], shown: Callable[[float], str]) -> str:
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    if value is None:
        return "-"
    ends = ("?" if each is None else shown(each) for each in (low, high))
    return f"{shown(value)} [{' to '.join(ends)}]"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _number(value: float) -> str:
    return f"{value:.4g}"
