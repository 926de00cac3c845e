"""A running gateway's admin API, for commands that need what only it knows: see decision 017."""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson

PATIENCE = 60.0
URL = "http://127.0.0.1:8081"


class RefusedError(Exception):
    """The gateway said no, or nothing; the text says what to do."""


@dataclass(frozen=True, slots=True)
class AdminApi:
    """At `url`, with the admin key of the environment."""

    url: str

    def get(self, *path: str, **query: str | None) -> Any:
        """Raises RefusedError, as `post` does."""
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        return self._ask("GET", "/".join(quote(each, safe="") for each in path) + (f"?{asked}" if asked else ""))

    def post(self, path: str, body: object, **headers: str) -> Any:
        """Names of headers have `_` for `-`."""
        return self._ask("POST", path, orjson.dumps(body), _named(headers, "application/json"))

    def fetch(self, *path: str) -> bytes:
        """What is there, as it is."""
        return self._told("GET", "/".join(quote(each, safe="") for each in path))

    def put_file(self, path: tuple[str, ...], content: bytes, reason: str, **headers: str) -> Any:
        """Names of headers have `_` for `-`."""
        return orjson.loads(self._told("PUT", _path(path, reason), content, _named(headers, "application/yaml")))

    def delete(self, path: tuple[str, ...], reason: str, **headers: str) -> None:
        self._told("DELETE", _path(path, reason), None, _named(headers, "application/json"))

    def post_to(self, path: tuple[str, ...], verb: str, body: object, **headers: str) -> Any:
        """An order (`verb`) to the thing at a path."""
        return self.post("/".join(quote(each, safe="") for each in path) + f":{verb}", body, **headers)

    def _ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
        try:
            return orjson.loads(self._told(method, path, body, headers))
        except orjson.JSONDecodeError as error:
            raise RefusedError(f"{self.url} gave no answer: {error}") from None

    def _told(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        if not self.url.startswith(("http://", "https://")):
            raise RefusedError("--url must be an http:// or https:// address")
        key = os.environ.get("LLMGW_ADMIN_KEY")
        if not key:
            raise RefusedError("set LLMGW_ADMIN_KEY to the gateway's admin key")
        sent = {"Authorization": f"Bearer {key}", **(headers or {"Content-Type": "application/json"})}
        url = f"{self.url.rstrip('/')}/admin/v1/{path}"
        try:
            request = urllib.request.Request(url, data=body, headers=sent, method=method)
            with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
                told: bytes = reply.read()
                return told
        except urllib.error.HTTPError as error:
            raise RefusedError(_message(error)) from None
        except urllib.error.URLError as error:
            raise RefusedError(f"{self.url} cannot be asked: {error.reason}") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise RefusedError(f"{self.url} gave no answer: {error}") from None


def add_api_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default=URL, help="of the admin API, asked with LLMGW_ADMIN_KEY (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def answered(name: str, action: Callable[[argparse.Namespace, AdminApi], int], args: argparse.Namespace) -> int:
    """What the action gives; 1 where the gateway said no, for a reason printed on stderr."""
    try:
        return action(args, AdminApi(args.url))
    except RefusedError as error:
        print(f"llmgw {name}: {error}", file=sys.stderr)
    return 1


def print_table(rows: list[tuple[str, ...]]) -> None:
    """The first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def printable(text: object) -> str:
    """A terminal obeys some characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


def _named(headers: Mapping[str, str], media_type: str) -> Mapping[str, str]:
    return {"Content-Type": media_type, **{name.replace("_", "-"): value for name, value in headers.items()}}


def _path(parts: tuple[str, ...], reason: str) -> str:
    return "/".join(quote(each, safe="") for each in parts) + "?" + urlencode({"reason": reason})


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(orjson.loads(error.read())["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return str(error)
