"""The data plane's listeners: every request is answered by a route, an error or a health check, and drained at the end."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

from gateway.core.errors import GatewayError, InvalidRequest, NotFound, Overloaded
from gateway.ingress.http1 import Connection
from gateway.ingress.proxies import Proxies
from gateway.ingress.reply import Response, Speech
from gateway.ingress.request import Limits, Request

log = logging.getLogger("llmgw.ingress")

SWEEP_SECONDS = 0.5
_LAST_WORDS_SECONDS = 3.0
_LAST_BILL_SECONDS = 5.0
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:-]{1,128}")

Endpoint = Callable[[Request, Response, str], Awaitable[None]]
"""Answers one request; the text is the request's id. Raises GatewayError."""


class Routes:
    """Paths and methods, and who answers them. A path that ends in `/` serves everything below it."""

    def __init__(self, endpoints: Mapping[tuple[bytes, bytes], Endpoint], *, sockets: Iterable[bytes] = ()) -> None:
        """`endpoints` maps (method, path). `sockets` are the paths where a GET may become a WebSocket."""
        self._endpoints = endpoints
        self._methods: dict[bytes, list[bytes]] = {}
        for method, path in endpoints:
            self._methods.setdefault(path, []).append(method)
        self.sockets = frozenset(sockets)
        self._below = [path for path in self._methods if path.endswith(b"/")]

    def find(self, method: bytes, target: bytes) -> Endpoint:
        """Raises NotFound, or InvalidRequest (405) for a path that is served by other methods."""
        path = target.partition(b"?")[0]
        endpoint = self._endpoints.get((method, path))
        if endpoint is not None:
            return endpoint
        place = path if path in self._methods else next((each for each in self._below if path.startswith(each)), None)
        if place is None:
            raise NotFound("there is nothing at this path")
        if (endpoint := self._endpoints.get((method, place))) is not None:
            return endpoint
        raise MethodNotAllowed(self._methods[place])


class MethodNotAllowed(InvalidRequest):
    status = 405
    code = "method_not_allowed"

    def __init__(self, allowed: list[bytes]) -> None:
        self.allowed = b", ".join(allowed).decode()
        super().__init__(f"this path is served by {self.allowed}")


class Server:
    """`policy_version` is asked once for each response, for its `x-llmgw-policy` header; `refused` counts
    the requests that become no call, by error code; `speeches` has the paths whose clients do not speak OpenAI's dialect,
    those that end in `/` with everything below them, and makes a speech for the request of an id."""

    def __init__(
        self,
        routes: Routes,
        *,
        limits: Limits,
        policy_version: Callable[[], str],
        refused: Counter[str] | None = None,
        proxies: Proxies | None = None,
        speeches: Mapping[bytes, Callable[[str], Speech]] | None = None,
    ) -> None:
        self._routes = routes
        self._limits = limits
        self._policy_version = policy_version
        self._proxies = Proxies(()) if proxies is None else proxies
        self._speeches = {} if speeches is None else speeches
        self._spoken_below = [path for path in self._speeches if path.endswith(b"/")]
        self._refused: Counter[str] = Counter() if refused is None else refused
        self._connections: set[Connection] = set()
        self._listeners: list[asyncio.Server] = []
        self._is_draining = False
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._id_prefix = f"req_{secrets.token_hex(8)}"
        self._served = 0

    async def listen(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._listeners.append(await loop.create_server(lambda: self._connect(loop), sock=sock, backlog=1024))

    async def sweep(self) -> None:
        """Enforces deadlines and keeps silent streams warm. Runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = loop.time()
            for connection in tuple(self._connections):
                connection.check(now)

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    def retire(self) -> None:
        """Still serves, and asks every client to leave after its answer."""
        self._is_draining = True

    async def drain(self, seconds: float) -> None:
        """Stops listening, lets what is under way end, and after `seconds` ends it with an error."""
        self._is_draining = True
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self._connections):
            connection.drain()
        await self._empty(seconds)
        for connection in tuple(self._connections):
            connection.stop()
        await self._empty(_LAST_WORDS_SECONDS)
        for connection in tuple(self._connections):
            connection.abort()
        await self._empty(_LAST_BILL_SECONDS)

    def _joined(self, connection: Connection) -> None:
        if len(self._connections) >= self._limits.connections:
            connection.turn_away()
        self._connections.add(connection)
        self._emptied.clear()

    def _left(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._emptied.set()

    async def _empty(self, seconds: float) -> None:
        """Waits until no connection is left, `seconds` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._emptied.wait()

    def _connect(self, loop: asyncio.AbstractEventLoop) -> Connection:
        return Connection(
            handler=self._handle,
            refuse=self._refuse,
            limits=self._limits,
            loop=loop,
            joined=self._joined,
            left=self._left,
            retiring=lambda: self._is_draining,
            sockets=self._routes.sockets,
        )

    async def _handle(self, request: Request, response: Response) -> None:
        id = self._begin(request, response)
        try:
            if request.method == b"OPTIONS":
                response.empty(204)
                return
            endpoint = self._find(request)
            request.peer = self._proxies.client(request.peer, request.headers.get(b"x-forwarded-for"))
            await endpoint(request, response, id)
        except MethodNotAllowed as error:
            response.add("allow", error.allowed)
            response.fail(error)
        except GatewayError as error:
            response.fail(error)
        except asyncio.CancelledError:
            response.fail(Overloaded("the gateway is shutting down", code="shutting_down"))
        except Exception:
            log.exception("a bug ended a call", extra={"request_id": id})
            response.fail(GatewayError("internal error"))

    def _refuse(self, error: GatewayError, request: Request, response: Response) -> None:
        """Answers what did not become a request."""
        self._refused[error.code] += 1
        self._begin(request, response)
        response.fail(error)

    def _find(self, request: Request) -> Endpoint:
        """Raises NotFound, InvalidRequest."""
        try:
            return self._routes.find(request.method, request.target)
        except GatewayError as error:
            self._refused[error.code] += 1
            raise

    def _speech(self, path: bytes) -> Callable[[str], Speech] | None:
        speech = self._speeches.get(path)
        if speech is not None:
            return speech
        return next((self._speeches[place] for place in self._spoken_below if path.startswith(place)), None)

    def _begin(self, request: Request, response: Response) -> str:
        sent = request.headers.get(b"x-request-id")
        if sent is not None and _REQUEST_ID.fullmatch(sent):
            id = sent.decode()
        else:
            self._served += 1
            id = f"{self._id_prefix}{self._served}"
        if (speech := self._speech(request.target.partition(b"?")[0])) is not None:
            response.speaks(speech(id))
        response.add("x-request-id", id)
        response.add("x-llmgw-policy", self._policy_version())
        return id
