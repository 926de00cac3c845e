"""`llmgw export`: the records of calls as a file, from the data folder or from a running gateway's admin API."""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlencode

import orjson

from gateway.core.errors import GatewayError
from gateway.ingress.admin.calls import FORMATS, export
from gateway.settings import DATA
from gateway.trace.reading.calls import Calls
from gateway.trace.reading.search import FILTERS, Search, search_of
from gateway.trace.sqlite.reader import Reader
from gateway.trace.sqlite.schema import FILE

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_CHUNK = 256 * 1024
_PATIENCE = 60.0


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("export", help="write the records of calls to a file")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="(default %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="(default: standard output)")
    data = Path(os.environ.get("LLMGW_DATA", DATA))
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help=f"data folder (default {DATA})")
    parser.add_argument(
        "--url", metavar="URL", help="of an admin API, to ask it instead, with LLMGW_ADMIN_KEY: http://127.0.0.1:8081"
    )
    parser._negative_number_matcher = re.compile(r"-[\d.]+[smhdw]?")  # `--since -1h` has a value, and not a flag
    for name in FILTERS:
        parser.add_argument(
            f"--{name.replace('_', '-')}", dest=name, metavar="VALUE", help="as GET /admin/v1/calls has it"
        )


def run(args: argparse.Namespace) -> int:
    """0: written, 1: not, for a reason printed on stderr."""
    query = {name: value for name in FILTERS if (value := getattr(args, name)) is not None}
    try:
        if args.url is not None:
            return _ask(args, query)
        search = search_of(query, now=time.time())
        return asyncio.run(_read(args, search))
    except GatewayError as error:
        print(f"llmgw export: {error.message}", file=sys.stderr)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or its end would be reported once more
    except urllib.error.URLError as error:
        print(f"llmgw export: {args.url} cannot be asked: {error.reason}", file=sys.stderr)
    except OSError as error:
        print(f"llmgw export: {error}", file=sys.stderr)
    except http.client.HTTPException as error:
        print(f"llmgw export: {error!r}", file=sys.stderr)
    return 1


async def _read(args: argparse.Namespace, search: Search) -> int:
    path = args.data / FILE
    if not path.exists():
        print(f"llmgw export: there are no call records in {args.data}", file=sys.stderr)
        return 1
    calls = Calls(Reader(path), _nothing_is_under_way)
    try:
        _, parts = export(calls, search, format=args.format)
        with _opened(args.out) as file:
            async for part in parts:
                file.write(part)
    finally:
        calls.close()
    return 0


async def _nothing_is_under_way() -> None:
    """What a running gateway has not written yet is for its own admin API to tell."""


def _ask(args: argparse.Namespace, query: Mapping[str, str]) -> int:
    url = f"{args.url.rstrip('/')}/admin/v1/calls:export?{urlencode({**query, 'format': args.format})}"
    if not url.startswith(("http://", "https://")):
        print("llmgw export: --url must be an http:// or https:// address", file=sys.stderr)
        return 1
    key = os.environ.get("LLMGW_ADMIN_KEY", "")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as reply, _opened(args.out) as file:
            while part := reply.read(_CHUNK):
                file.write(part)
    except urllib.error.HTTPError as error:
        print(f"llmgw export: {_message(error)}", file=sys.stderr)
        return 1
    return 0


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(orjson.loads(error.read())["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return str(error)


@contextmanager
def _opened(path: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a new file that only its owner can read, which is there once it is whole."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        yield file
    part.replace(path)
