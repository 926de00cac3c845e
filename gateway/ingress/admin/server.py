"""The admin port's manners: who may enter, and one envelope for every error, the parser's included."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.core.errors import GatewayError, InvalidRequest, NotFound, Unauthenticated
from gateway.core.secret import Secret
from gateway.ingress.reply import envelope

log = logging.getLogger("llmgw.admin")

_SILENT = logging.getLogger("llmgw.admin.access")
_SILENT.disabled = True

PREFIX = "/admin/v1/"
MAX_BODY = 1024 * 1024
_VIRTUAL_KEY = "sk-llmgw-"
_ADMIN_KEY = "sk-llmgw-admin-"
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "request_too_large"}


def doorkeeper(key: Secret | None) -> Middleware:
    """A middleware that asks for the admin key below PREFIX and turns every error into JSON. Without a key nobody enters."""

    @web.middleware
    async def keep(request: web.Request, handler: Handler) -> web.StreamResponse:
        id = f"req_{secrets.token_hex(12)}"
        try:
            if request.path.startswith(PREFIX):
                _admit(request.headers.get("Authorization", ""), key)
            response = await handler(request)
        except web.HTTPException as refused:
            response = _plain(refused)
        except GatewayError as error:
            response = error_response(error)
        response.headers["x-request-id"] = id
        response.headers["x-content-type-options"] = "nosniff"
        response.headers["cache-control"] = "no-store"
        response.headers["server"] = "llmgw"
        return response

    return keep


def error_response(error: GatewayError) -> web.Response:
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    if error.retry_after is not None:
        headers["retry-after"] = str(round(error.retry_after))
    return web.Response(status=error.status, body=envelope(error), content_type="application/json", headers=headers)


async def serve(application: web.Application, sock: socket.socket) -> Callable[[], Awaitable[None]]:
    """Starts the application on the socket; what is returned ends it."""
    runner = _Runner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, sock).start()
    return runner.cleanup


def _admit(authorization: str, key: Secret | None) -> None:
    scheme, _, shown = authorization.partition(" ")
    shown = shown.strip()
    if shown.startswith(_VIRTUAL_KEY) and not shown.startswith(_ADMIN_KEY):
        raise NotFound("there is nothing at this path")
    if key is None or scheme.lower() != "bearer" or not _same(shown, key):
        raise Unauthenticated("The admin API needs the admin key.")


def _same(shown: str, key: Secret) -> bool:
    """Takes as long whatever is shown; aiohttp gives bytes that are no text as surrogates."""
    return hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), key.reveal().encode())


def _plain(refused: web.HTTPException) -> web.Response:
    """One of aiohttp's own refusals in our envelope."""
    code = _CODES.get(refused.status, "invalid_request")
    response = error_response(InvalidRequest(refused.reason, code=code, status=refused.status))
    if "Allow" in refused.headers:
        response.headers["Allow"] = refused.headers["Allow"]
    return response


class _Connection(web.RequestHandler):
    """Answers what is no HTTP, and bugs, in JSON too: aiohttp would do it in plain text."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status < 500:
            error: GatewayError = InvalidRequest("the request is not valid HTTP/1.1", code="bad_http", status=status)
        else:
            log.error("a bug ended an admin call", exc_info=exc)
            error = GatewayError("internal error")
        response = error_response(error)
        response.headers["x-request-id"] = f"req_{secrets.token_hex(12)}"
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), access_log=_SILENT)


class _Runner(web.AppRunner):
    async def _make_server(self) -> Any:
        server = await super()._make_server()
        return _Server(server.request_handler, request_factory=server.request_factory)
