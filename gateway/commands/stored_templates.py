"""`llmgw templates put | delete | export`: the templates that a gateway's store has, and files of them, by the admin API."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from gateway.commands.asked import AdminApi, RefusedError, printable

if TYPE_CHECKING:
    Actions = argparse._SubParsersAction[argparse.ArgumentParser]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def add_parsers(actions: Actions) -> Sequence[argparse.ArgumentParser]:
    """Those of the commands here."""
    put = actions.add_parser(
        "put", help="put a template's file into the gateway's store, once it has been tried out there"
    )
    put.add_argument("file", type=Path, metavar="FILE")
    put.add_argument("--name", help="of the template (default: the file's)")
    delete = actions.add_parser("delete", help="remove a template from the gateway's store")
    delete.add_argument("name")
    for action in (put, delete):
        action.add_argument("--reason", required=True, help="why; it is kept")
        action.add_argument(
            "--if-match", metavar="ETAG", help="only if it is still at this etag (default: the one it is at now)"
        )
    export = actions.add_parser("export", help="write stored templates into files, as they were put")
    export.add_argument("folder", type=Path, metavar="FOLDER", help="such as policies/templates")
    export.add_argument("names", nargs="*", metavar="NAME", help="default: all that are stored")
    export.add_argument("--force", action="store_true", help="also over files that say something else")
    return put, delete, export


def _put(args: argparse.Namespace, api: AdminApi) -> int:
    name = args.name or args.file.stem
    try:
        content = args.file.read_bytes()
    except OSError as error:
        raise RefusedError(f"{args.file} cannot be read: {error.strerror}") from None
    etag = args.if_match or _stored(api).get(name)
    headers = {"If_None_Match": "*"} if etag is None else {"If_Match": f'"{etag}"'}
    told = api.put_file(("templates", name), content, args.reason, **headers)
    if args.json:
        print(orjson.dumps(told).decode())
    else:
        print(f"{printable(told['template'])} is stored, etag {told['etag']}; policy {told['policy']} is in force")
    return 0


def _delete(args: argparse.Namespace, api: AdminApi) -> int:
    etag = args.if_match or _stored(api).get(args.name)
    headers = {} if etag is None else {"If_Match": f'"{etag}"'}
    api.delete(("templates", args.name), args.reason, **headers)
    print("{}" if args.json else f"{printable(args.name)} is stored no more")
    return 0


def _export(args: argparse.Namespace, api: AdminApi) -> int:
    """Looks at every file before it writes any."""
    names = list(dict.fromkeys(args.names)) or sorted(_stored(api))
    texts: dict[Path, bytes] = {}
    for name in names:
        if not _NAME.fullmatch(name):
            raise RefusedError(f"{printable(name)} is no name of a template")
        texts[args.folder / f"{name}.yaml"] = api.fetch("templates", name, "source")
    try:
        _check(texts, may_replace=args.force)
        args.folder.mkdir(parents=True, exist_ok=True)
        for file, content in texts.items():
            file.write_bytes(content)
    except OSError as error:
        raise RefusedError(f"{error.filename or args.folder} cannot be written: {error.strerror}") from None
    if args.json:
        print(orjson.dumps([str(file) for file in texts]).decode())
    else:
        print(*map(str, texts), sep="\n") if texts else print("no template is stored")
    return 0


def _check(texts: Mapping[Path, bytes], *, may_replace: bool) -> None:
    """Raises OSError and RefusedError."""
    for file, content in texts.items():
        other = file.with_name(f"{file.stem}.yml")
        if other.exists():
            raise RefusedError(f"{other} is the file of this template: remove it first")
        if file.exists() and not may_replace and file.read_bytes() != content:
            raise RefusedError(f"{file} says something else: look at it, or use --force to replace it")


def _stored(api: AdminApi) -> Mapping[str, str]:
    """The etags of the stored templates by their names."""
    found: list[Mapping[str, Any]] = api.get("templates")["stored"]
    return {each["template"]: each["etag"] for each in found}


ACTIONS = {"put": _put, "delete": _delete, "export": _export}
