"""What an admin's request says: its body's fields and its numbers, each refused unless it is what it should be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from gateway.core.errors import InvalidRequest
from gateway.ingress import json_body

MAX_BODY = 1024 * 1024
"""Bytes of the largest body."""
PATIENCE = 30.0
"""Seconds a body may take. aiohttp does not tell a body that is no chunk from one that is late, so that ends here too."""
LONGEST_REASON = 500
WHO = "admin"
"""Whoever has the admin key: there is one."""
_MOST = 10**18  # fits SQLite's integers


async def read_fields(request: web.Request, known: set[str]) -> dict[str, Any]:
    """The body's object, empty when there is no body. Raises InvalidRequest, for members that are not known too."""
    body = await read_body(request)
    fields = json_body.parse(body) if body else {}
    if unknown := fields.keys() - known:
        name = min(unknown)[:64]
        raise InvalidRequest(f"{name!r} is not known here", code="unknown_parameter", param=name)
    return fields


async def read_body(request: web.Request) -> bytes:
    """Raises InvalidRequest, and aiohttp's HTTPRequestEntityTooLarge."""
    if "Content-Encoding" in request.headers:
        raise InvalidRequest("the body must not be compressed", code="unsupported_encoding", status=415)
    if (request.content_length or 0) > MAX_BODY:
        raise web.HTTPRequestEntityTooLarge(MAX_BODY)
    try:
        async with asyncio.timeout(PATIENCE):
            return await request.read()
    except TimeoutError:
        raise InvalidRequest("the body did not come in time", code="request_timeout", status=408) from None
    except (web.RequestPayloadError, ConnectionError):
        raise InvalidRequest("the body is broken or ends too early", code="incomplete_body") from None


def seen(request: web.Request) -> str:
    """What If-Match says was seen, without its quotes; "" where it says nothing."""
    return request.headers.get("If-Match", "").strip().removeprefix("W/").strip('"')


def text(fields: Mapping[str, Any], name: str, default: str = "") -> str:
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be a string", code="invalid_type", param=name)
    return value


def required(fields: Mapping[str, Any], name: str) -> str:
    """A text that says something."""
    value = text(fields, name)
    if not value.strip():
        raise InvalidRequest(f"{name} is required", code="missing_parameter", param=name)
    return value


def reason(fields: Mapping[str, Any]) -> str:
    """Why something is done, in a few words that are kept."""
    value = required(fields, "reason").strip()
    if len(value) > LONGEST_REASON or not value.isprintable():
        message = f"reason must be at most {LONGEST_REASON} printable characters"
        raise InvalidRequest(message, code="invalid_value", param="reason")
    return value


def names(fields: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """An array of strings, or None when there is none."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidRequest(f"{name} must be an array of strings", code="invalid_type", param=name)
    return tuple(value)


def texts(fields: Mapping[str, Any], name: str) -> Mapping[str, str]:
    """An object whose members are all strings."""
    value = fields.get(name)
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise InvalidRequest(f"{name} must be an object of strings", code="invalid_type", param=name)
    return value


def integer(digits: str, name: str, *, least: int = 0, most: int = _MOST) -> int:
    """Raises InvalidRequest unless it is a whole number within these bounds."""
    if digits.isascii() and digits.isdecimal() and len(digits) < 20 and least <= int(digits) <= most:
        return int(digits)
    bounds = f" from {least} to {most}" if most < _MOST else ""
    raise InvalidRequest(f"{name} must be a number{bounds}", code="invalid_value", param=name)


def json(value: object, *, status: int = 200) -> web.Response:
    """An answer."""
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


def single(query: Mapping[str, str]) -> Mapping[str, str]:
    """The parameters of a query, each of which may stand in it once. Raises InvalidRequest."""
    found: dict[str, str] = {}
    for name, value in query.items():
        if name in found:
            raise InvalidRequest(f"{name[:64]!r} stands there twice", code="invalid_value", param=name[:64])
        found[name] = value
    return found
