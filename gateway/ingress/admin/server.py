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

from gateway.auth import virtual_key
from gateway.core.errors import GatewayError, InvalidRequest, NotFound, Unauthenticated
from gateway.core.secret import Secret
from gateway.ingress.admin.fields import MAX_BODY
from gateway.ingress.reply import envelope

log = logging.getLogger("llmgw.admin")

_SILENT = logging.getLogger("llmgw.admin.access")
_SILENT.disabled = True

PREFIX = "/admin/v1/"
_NOTHING_HERE = "there is nothing at this path"
_REFUSALS = {
    404: ("not_found", _NOTHING_HERE),
    405: ("method_not_allowed", "the method is not one that this path takes; the Allow header names those"),
    413: ("request_too_large", f"the body is larger than {MAX_BODY} bytes"),
    417: ("expectation_failed", "only 100-continue can be expected"),
}
"""aiohttp's own refusals: status to code and message."""

_Handle = Callable[[Any], Awaitable[web.StreamResponse]]


def doorkeeper(key: Secret | None) -> Middleware:
    """A middleware that asks for the admin key below PREFIX. Without a key there is nothing below PREFIX."""

    @web.middleware
    async def keep(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(PREFIX):
            _admit(request.headers.get("Authorization", ""), key)
        return await handler(request)

    return keep


async def serve(application: web.Application, sock: socket.socket) -> Callable[[], Awaitable[None]]:
    """Starts the application on the socket; what is returned ends it."""
    runner = _Runner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, sock).start()
    return runner.cleanup


def _admit(authorization: str, key: Secret | None) -> None:
    if key is None:
        raise NotFound(_NOTHING_HERE)
    scheme, _, shown = authorization.partition(" ")
    shown = shown.strip()
    if scheme.lower() == "bearer" and _same(shown, key):
        return
    if shown.startswith(virtual_key.PREFIX) and not shown.startswith(virtual_key.ADMIN_PREFIX):
        raise NotFound(_NOTHING_HERE)
    raise Unauthenticated("The admin API needs the admin key.")


def _same(shown: str, key: Secret) -> bool:
    """Takes as long whatever is shown. Bytes that are no text are surrogates in headers and environment alike."""
    return hmac.compare_digest(
        shown.encode("utf-8", "surrogateescape"), key.reveal().encode("utf-8", "surrogateescape")
    )


def _mannerly(handle: _Handle) -> _Handle:
    """The outermost handler: aiohttp refuses some requests before it asks any middleware."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        try:
            response = await handle(request)
        except web.HTTPException as refused:
            response = _refusal(refused)
        except GatewayError as error:
            response = _failure(error)
        return finished(response)

    return answer


def _refusal(refused: web.HTTPException) -> web.Response:
    code, message = _REFUSALS.get(refused.status, ("invalid_request", refused.reason))
    response = _failure(InvalidRequest(message, code=code, status=refused.status))
    if "Allow" in refused.headers:
        response.headers["allow"] = refused.headers["Allow"]
    return response


def _failure(error: GatewayError) -> web.Response:
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    if error.retry_after is not None:
        headers["retry-after"] = str(round(error.retry_after))
    return web.Response(status=error.status, body=envelope(error), content_type="application/json", headers=headers)


def finished(response: web.StreamResponse) -> web.StreamResponse:
    """With the headers that every answer has; one that is streamed needs them before it begins."""
    response.headers["x-request-id"] = f"req_{secrets.token_hex(12)}"
    response.headers["x-content-type-options"] = "nosniff"
    response.headers.setdefault("cache-control", "no-store")
    response.headers["server"] = "llmgw"
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
        response = finished(_failure(error))
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), access_log=_SILENT)


class _Runner(web.AppRunner):
    async def _make_server(self) -> Any:
        server = await super()._make_server()
        return _Server(_mannerly(server.request_handler), request_factory=server.request_factory)
