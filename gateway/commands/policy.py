"""`llmgw policy`: the versions of a running gateway's policy, and changes that it tries out first, by the admin API."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from gateway.commands.asked import AdminApi, RefusedError, add_api_flags, answered, print_table, printable
from gateway.policy.mistakes import PolicyError
from gateway.policy.source.folder import contents

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    policy = subparsers.add_parser(
        "policy", help="versions of a running gateway's policy: list, compare, apply, put back"
    )
    actions = policy.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="the version in force, and those before it, with who and why")
    show = actions.add_parser("show", help="the files of a version, or how it differs from another")
    show.add_argument("version")
    show.add_argument("--against", metavar="VERSION", help="print how it differs from this one")
    validate = actions.add_parser(
        "validate", help="try a folder out in the gateway, with its tests, and change nothing"
    )
    apply = actions.add_parser("apply", help="make the files of a folder the gateway's policy: all of them, or none")
    for action in (validate, apply):
        action.add_argument("folder", type=Path, metavar="DIR")
    apply.add_argument("--base", metavar="VERSION", help="the version that was edited (default: the one in force)")
    apply.add_argument("--removes", action="store_true", help="remove the gateway's other policy files")
    rollback = actions.add_parser("rollback", help="put a version that was in force into force again")
    rollback.add_argument("version")
    for action in (apply, rollback):
        action.add_argument("--reason", required=True, help="why; it is kept")
    for action in (listing, show, validate, apply, rollback):
        add_api_flags(action)


def run(args: argparse.Namespace) -> int:
    """Does what was asked; 0: done, 1: not, for a reason printed on stderr."""
    actions = {"list": _list, "show": _show, "validate": _validate, "apply": _apply, "rollback": _rollback}
    return answered("policy", actions[args.action], args)


def _list(args: argparse.Namespace, api: AdminApi) -> int:
    told = api.get("policies")
    if args.json:
        print(orjson.dumps(told).decode())
        return 0
    print(f"{told['version']} is in force since {_minute(told['loaded_at'])}")
    for mistake in told["last_error"] or ():
        print(f"  the folder is refused: {_place(mistake)}")
    if told["versions"] is None:
        print("the store is away: what was before cannot be told")
        return 0
    head = ("VERSION", "AT", "WHO", "WHY")
    rows = [(each["version"], _minute(each["at"]), each["who"], printable(each["why"])) for each in told["versions"]]
    print_table([head, *rows])
    return 0


def _show(args: argparse.Namespace, api: AdminApi) -> int:
    told = api.get("policies", args.version, against=args.against)
    if args.json:
        print(orjson.dumps(told).decode())
    elif args.against is not None:
        print(_shown(told["diff"]), end="")
    else:
        for name, text in told["files"].items():
            print(f"# {printable(name)}\n{_shown(text)}")
    return 0


def _validate(args: argparse.Namespace, api: AdminApi) -> int:
    tried = api.post("policies:validate", {"files": _files(args.folder)})
    if args.json:
        print(orjson.dumps(tried).decode())
    else:
        for line in _tried(tried):
            print(line)
    return 0 if tried["ok"] else 1


def _apply(args: argparse.Namespace, api: AdminApi) -> int:
    base = args.base or api.get("policies")["version"]
    body = {"files": _files(args.folder), "reason": args.reason, "removes": args.removes}
    return _told(args, api.post("policies:apply", body, If_Match=f'"{base}"'))


def _rollback(args: argparse.Namespace, api: AdminApi) -> int:
    return _told(args, api.post("policies:rollback", {"version": args.version, "reason": args.reason}))


def _told(args: argparse.Namespace, told: Mapping[str, Any]) -> int:
    print(orjson.dumps(told).decode() if args.json else f"{told['version']} is in force")
    return 0


def _files(folder: Path) -> Mapping[str, str]:
    """Raises RefusedError."""
    try:
        return {name: content.decode() for name, content in contents(folder).items()}
    except PolicyError as error:
        raise RefusedError(str(error)) from None
    except UnicodeDecodeError as error:
        raise RefusedError(f"a file in {folder} is not valid UTF-8: {error}") from None


def _tried(tried: Mapping[str, Any]) -> Iterator[str]:
    yield from map(_place, tried["mistakes"])
    for failed in tried["tests"]["failed"]:
        yield f"{failed['file']}:{failed['line']}:{failed['column']}: test {failed['name']!r}: {failed['message']}"
    if tried["ok"]:
        yield f"policies OK: {tried['tests']['count']} tests, version {tried['version']}"
        for skipped in tried["tests"].get("skipped", ()):
            yield f"  SKIPPED: {_place(skipped)}"
        for note in tried["notes"]:
            yield f"  {note}"


def _place(mistake: Mapping[str, Any]) -> str:
    return f"{mistake['file']}:{mistake['line']}:{mistake['column']}: {mistake['message']}"


def _shown(text: str) -> str:
    """As it is into a pipe; what a terminal might obey is not shown there."""
    if not sys.stdout.isatty():
        return text
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)


def _minute(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))
