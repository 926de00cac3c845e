"""`llmgw replay`: what a change of the policy would have done to calls that were recorded, asking no provider."""

from __future__ import annotations

import argparse
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from gateway.core.clock import Clock
from gateway.meter.model_table import ModelTable
from gateway.meter.price import PriceTable
from gateway.policy.compile import rehearse
from gateway.policy.mistakes import PolicyError
from gateway.policy.quantities import last
from gateway.policy.snapshot import Snapshot
from gateway.policy.source.folder import policy_files
from gateway.replay.comparison import Comparison
from gateway.replay.promised import are_kept
from gateway.replay.report import document
from gateway.replay.table import table
from gateway.replay.traffic import from_file, from_folder
from gateway.route.candidates import Standing
from gateway.settings import DATA, policy_environment, shipped_policies
from gateway.trace.sqlite.schema import FILE

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

RUNNING = "running"
_PATIENCE = 600.0
_STANDINGS = ", ".join(each.value for each in Standing)


class Unable(Exception):
    """There is nothing to be told, for a reason."""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("replay", help="say what a changed policy would have done to recorded calls")
    parser.add_argument("folder", type=Path, metavar="NEW_DIR", help="the changed policy")
    parser.add_argument(
        "--against",
        default=RUNNING,
        metavar="running|DIR",
        help="the policy to compare it with (default: the one of --url, else the folder in LLMGW_POLICIES)",
    )
    parser.add_argument(
        "--traffic",
        metavar="FILE|last-7d",
        help="a file of `llmgw export`, or what was recorded here (default: as the policy's `replay` says)",
    )
    parser.add_argument(
        "--state",
        action="append",
        default=[],
        type=_state,
        metavar="ROUTE=STANDING",
        help=f"take it that the route's candidates are {_STANDINGS}, whatever was recorded",
    )
    parser.add_argument("--json", action="store_true", help="the whole report as JSON")
    data = Path(os.environ.get("LLMGW_DATA", DATA))
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help=f"data folder (default {DATA})")
    parser.add_argument(
        "--url",
        metavar="URL",
        help="of an admin API, which compares with its own policy and calls; with LLMGW_ADMIN_KEY",
    )


def run(args: argparse.Namespace) -> int:
    """0: told, and all that the policy promises is kept; 1: something is not, or nothing can be told."""
    try:
        found = _ask(args) if args.url is not None else _compare(args)
    except (PolicyError, Unable) as error:
        print(error, file=sys.stderr)
        return 1
    except urllib.error.HTTPError as error:
        print(f"llmgw replay: {_message(error)}", file=sys.stderr)
        return 1
    except urllib.error.URLError as error:
        print(f"llmgw replay: {args.url} cannot be asked: {error.reason}", file=sys.stderr)
        return 1
    except (OSError, EOFError) as error:
        print(f"llmgw replay: the traffic cannot be read: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    else:
        print(*table(found), sep="\n")
    if not found["traffic"]["calls"]:
        print("llmgw replay: there is no call in this traffic", file=sys.stderr)
        return 1
    return 0 if are_kept(found) else 1


def _compare(args: argparse.Namespace) -> dict[str, Any]:
    """Raises PolicyError, OSError, EOFError, Unable."""
    before = _running() if args.against == RUNNING else Path(args.against)
    old, new = _compiled(before), _compiled(args.folder)
    states = dict(args.state)
    if unknown := states.keys() - {rule.name for rule in new.routes.rules}:
        raise Unable(f"llmgw replay: the changed policy has no route {min(unknown)!r}")
    comparison = Comparison(old, new, states)
    for line in _traffic(args, new):
        comparison.take(line)
    return document(comparison)


def _running() -> Path:
    named = os.environ.get("LLMGW_POLICIES")
    return Path(named) if named else shipped_policies()


def _compiled(folder: Path) -> Snapshot:
    """With every provider on: whether there are keys here says nothing of where the calls were made."""
    able, prices = ModelTable().abilities, PriceTable(Clock()).price
    snapshot, _ = rehearse(folder, policy_environment(os.environ), able, prices)
    return snapshot


def _traffic(args: argparse.Namespace, new: Snapshot) -> Iterator[bytes]:
    seconds = _seconds(args, new)
    if seconds is None:
        return from_file(Path(args.traffic))
    path = args.data / FILE
    if not path.exists():
        raise Unable(f"llmgw replay: there are no call records in {args.data}")
    return from_folder(path, seconds, time.time())


def _seconds(args: argparse.Namespace, new: Snapshot) -> float | None:
    """How long ago the traffic begins; None: it is a file."""
    if args.traffic is None:
        if not new.promises:
            raise Unable("llmgw replay: say which calls: --traffic FILE or --traffic last-7d")
        return max(promise.seconds for promise in new.promises)
    if not args.traffic.startswith("last-") or Path(args.traffic).exists():
        return None
    try:
        return last(args.traffic)
    except ValueError as error:
        raise Unable(f"llmgw replay: {error}") from None


def _ask(args: argparse.Namespace) -> dict[str, Any]:
    """Raises OSError (HTTPError and URLError too), Unable."""
    url = f"{args.url.rstrip('/')}/admin/v1/policies:replay"
    if not url.startswith(("http://", "https://")):
        raise Unable("llmgw replay: --url must be an http:// or https:// address")
    if args.against != RUNNING or args.traffic is None or not args.traffic.startswith("last-"):
        raise Unable(
            "llmgw replay: a running gateway compares with its own policy, and calls such as --traffic last-7d"
        )
    body = {
        "files": {each.name: Path(each.entry.path).read_text() for each in policy_files(args.folder)},
        "traffic": args.traffic,
        "states": {route: standing.value for route, standing in args.state},
    }
    headers = {"Authorization": f"Bearer {os.environ.get('LLMGW_ADMIN_KEY', '')}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, data=orjson.dumps(body), headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=_PATIENCE) as reply:
        found: dict[str, Any] = orjson.loads(reply.read())
    return found


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(orjson.loads(error.read())["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return str(error)


def _state(written: str) -> tuple[str, Standing]:
    route, _, standing = written.rpartition("=")
    known: Mapping[str, Standing] = {each.value: each for each in Standing}
    if not route or standing not in known:
        raise argparse.ArgumentTypeError(f"{written!r} is not ROUTE=STANDING, with one of {_STANDINGS}")
    return route, known[standing]
