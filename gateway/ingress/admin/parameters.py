"""Refuses parameters that an operation does not have: one that is misspelt must not be taken for one that is not there."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.core.errors import InvalidRequest
from gateway.ingress.admin.openapi import OPERATIONS
from gateway.ingress.admin.server import PREFIX

_KNOWN = {(each.method.upper(), PREFIX + each.path): tuple(each.query) for each in OPERATIONS}


@web.middleware
async def known_parameters(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A middleware. Raises InvalidRequest with the names that there are."""
    resource = request.match_info.route.resource
    known = _KNOWN.get((request.method, resource.canonical)) if resource is not None else None
    if known is not None and (unknown := [name for name in request.query if name not in known]):
        name = unknown[0][:64]
        there_are = f"it takes {', '.join(known)}" if known else "it takes none"
        raise InvalidRequest(f"there is no parameter {name!r} here: {there_are}", code="unknown_parameter", param=name)
    return await handler(request)
