"""OpenAI's realtime API as clients speak it: the handshake of its WebSocket, and who asks for which model."""

from __future__ import annotations

import binascii
from base64 import b64decode
from urllib.parse import parse_qsl

from websockets.utils import accept_key

from gateway.core.arrival import Headers
from gateway.core.call import Call, Operation
from gateway.core.errors import InvalidRequest
from gateway.core.peer import Peer
from gateway.core.secret import Secret
from gateway.ingress.openai import bearer, span_context, tags_of, text_of
from gateway.ingress.reply import Response
from gateway.ingress.request import Request
from gateway.template.wanted import without_templates

PATH = "/v1/realtime"
_KEY = "openai-insecure-api-key."
_BETA = "openai-beta.realtime-v1"
_SPOKEN = ("realtime", _BETA)
_PRIVATE = frozenset({b"authorization", b"api-key", b"cookie", b"sec-websocket-protocol", b"sec-websocket-key"})
_LONGEST_MODEL = 256


class UpgradeRequired(InvalidRequest):
    """A request that did not ask to become a WebSocket, or one of another version."""

    status = 426
    code = "upgrade_required"
    headers = (("upgrade", "websocket"), ("sec-websocket-version", "13"))

    def __init__(self) -> None:
        super().__init__("this path is served over a WebSocket, version 13", headers=self.headers)


class RealtimeArrival:
    """A request for a session. Implements `core.arrival.Arrival`. Raises InvalidRequest for a handshake that is none."""

    __slots__ = ("_key", "_protocols", "_request", "context", "credential", "id", "peer", "received")

    method = "GET"
    path = PATH
    operation = Operation.REALTIME.value

    def __init__(self, request: Request, id: str) -> None:
        headers = request.headers
        if not request.asks_socket or headers.get(b"sec-websocket-version") != b"13":
            raise UpgradeRequired
        self._request = request
        self._key = _key(headers.get(b"sec-websocket-key", b""))
        offered = headers.get(b"sec-websocket-protocol", b"").decode("latin-1")
        self._protocols = [each.strip() for each in offered.split(",") if each.strip()]
        self.id = id
        self.received = request.received
        self.peer = request.peer
        self.context = span_context(headers)
        self.credential = bearer(headers) or self._browser_credential()

    def read(self, *, strict: bool) -> Call:
        request = self._request
        query = request.target.partition(b"?")[2].decode("latin-1")
        asked = parse_qsl(query, keep_blank_values=True, max_num_fields=32)
        unknown = next((name for name, _ in asked if name != "model"), None)
        if unknown is not None:
            raise InvalidRequest(
                f"{unknown[:64]} is not a parameter of this API", code="unknown_parameter", param=unknown[:64]
            )
        models = [value for _, value in asked]
        if len(models) != 1 or not models[0] or len(models[0]) > _LONGEST_MODEL:
            raise InvalidRequest("model is required, once", code="missing_required_parameter", param="model")
        headers = {name: value for name, value in request.headers.items() if name not in _PRIVATE}
        if text_of(headers, b"x-llmgw-template") is not None:
            raise without_templates()
        if _BETA in self._protocols:
            headers.setdefault(b"openai-beta", b"realtime=v1")
        return Call(
            id=self.id,
            operation=Operation.REALTIME,
            received=self.received,
            model=models[0],
            body=b"",
            fields={},
            tags=tags_of(headers.get(b"x-llmgw-tags")),
            conversation=text_of(headers, b"x-llmgw-conversation"),
            headers=headers,
            strict=strict,
        )

    def answer(self) -> Headers:
        """The headers that accept the handshake."""
        lines = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", accept_key(self._key))]
        spoken = next((each for each in self._protocols if each in _SPOKEN), None)
        return (*lines, *(() if spoken is None else (("sec-websocket-protocol", spoken),)))

    def _browser_credential(self) -> Secret | None:
        """Browsers cannot set headers, so that their key is among the protocols they offer."""
        found = next((each for each in self._protocols if each.startswith(_KEY)), None)
        token = "" if found is None else found.removeprefix(_KEY)
        return Secret(token) if token and token.isascii() else None


class Accepting:
    """Implements `realtime.flow.Client`."""

    def __init__(self, arrival: RealtimeArrival, response: Response) -> None:
        self._arrival = arrival
        self._response = response

    def accept(self, headers: Headers) -> Peer:
        return self._response.switch((*self._arrival.answer(), *headers))


def _key(value: bytes) -> str:
    """Raises InvalidRequest."""
    try:
        is_key = len(b64decode(value, validate=True)) == 16
    except (binascii.Error, ValueError):
        is_key = False
    if not is_key:
        raise InvalidRequest("sec-websocket-key must be 16 bytes in base64", code="bad_handshake")
    return value.decode("ascii")
