"""A WebSocket to a provider: dialled, its handshake made, then handed out as whom to talk with."""

from __future__ import annotations

import asyncio

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response
from websockets.uri import WebSocketURI

from gateway.core.deployment import Deployment
from gateway.core.errors import Timeout, Unavailable
from gateway.upstream.dialler import Dialler
from gateway.websocket.framing import LARGEST, Framing, quiet
from gateway.websocket.socket import Socket


class Refused(Exception):
    """The provider answered, and not with a WebSocket; header names are lower case."""

    def __init__(self, status: int, body: bytes, headers: dict[bytes, bytes]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


class Dialled(asyncio.Protocol):
    """A connection to a provider. Implements websocket.socket.Pipe."""

    def __init__(self, client: ClientProtocol) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._drained: asyncio.Future[None] | None = None
        self._answered: asyncio.Future[Response | None] = self._loop.create_future()
        self._socket: Socket | None = None

    async def handshake(self, headers: list[tuple[str, str]]) -> Response:
        """Raises Refused, or Unavailable for what is no answer."""
        request = self._client.connect()
        for name, value in headers:
            request.headers[name] = value
        self._client.send_request(request)
        self.write(b"".join(self._client.data_to_send()))
        response = await self._answered
        failure = self._client.handshake_exc
        if isinstance(failure, InvalidStatus):
            found = failure.response
            raise Refused(found.status_code, bytes(found.body or b""), _headers(found))
        if failure is not None or response is None:
            code = "upstream_reset" if failure is None else "upstream_invalid_response"
            message = "the provider did not begin a WebSocket"
            raise Unavailable(message, code=code, retriable=False, should_retry=False)
        return response

    def talk(self) -> Socket:
        """Once the handshake is over."""
        self._socket = Socket(Framing(self._client), self)
        self._socket.fed(b"")
        if self._transport is None:
            self._socket.lost()
        return self._socket

    # websocket.socket.Pipe

    @property
    def is_paused(self) -> bool:
        return self._drained is not None

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    async def drained(self) -> None:
        if self._drained is not None:
            await self._drained

    def read_on(self, on: bool, /) -> None:
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.resume_reading if on else self._transport.pause_reading)()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's class does not derive from asyncio's

    def data_received(self, data: bytes) -> None:
        if self._socket is not None:
            self._socket.fed(data)
            return
        self._client.receive_data(data)
        if self._answered.done():
            return
        events = self._client.events
        if self._client.handshake_exc is not None:
            self._answered.set_result(None)
        elif events and isinstance(events[0], Response):
            self._answered.set_result(events.pop(0))  # type: ignore[arg-type]
            self.read_on(False)  # what came with it is read by whoever talks

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None
        if self._socket is not None:
            self._socket.lost()
        elif not self._answered.done():
            self._client.receive_eof()
            self._answered.set_result(None)

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None


async def dialled(
    dialler: Dialler, deployment: Deployment, query: str, headers: list[tuple[str, str]]
) -> tuple[Socket, dict[bytes, bytes]]:
    """The provider at `/realtime`, ready to talk, and the headers of its answer. Raises UpstreamError, Refused."""
    provider = deployment.provider
    queries = "&".join(each for each in (provider.query, query) if each)
    path = f"{provider.path}/realtime".replace("{model}", deployment.upstream_model)
    uri = WebSocketURI(provider.tls, provider.host, provider.port, path, queries)
    made = await dialler.dial(provider, lambda: Dialled(ClientProtocol(uri, max_size=LARGEST, logger=quiet)))
    try:
        async with asyncio.timeout(provider.deadlines.headers):
            response = await made.handshake(headers)
    except TimeoutError:
        made.abort()
        raise Timeout("the provider took too long: the WebSocket's handshake", should_retry=True) from None
    except BaseException:
        made.abort()
        raise
    socket = made.talk()
    made.read_on(True)
    return socket, _headers(response)


def _headers(response: Response) -> dict[bytes, bytes]:
    return {
        name.lower().encode("latin-1", "replace"): value.encode("latin-1", "replace")
        for name, value in response.headers.raw_items()
    }
