"""Anthropic's endpoints: messages, their tokens counted, and the models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.core.errors import GatewayError
from gateway.flow import Flow
from gateway.ingress.anthropic.arrival import PATH, MessagesArrival, credential
from gateway.ingress.anthropic.errors import OVERLOADED
from gateway.ingress.anthropic.speech import AnthropicSpeech
from gateway.ingress.openai import ModelsAsked
from gateway.ingress.reply import Response, Speech
from gateway.ingress.request import Request
from gateway.ingress.server import Endpoint

_BELOW = "/anthropic"
_MODELS = "/v1/models"
_CREATED = "2023-11-14T22:13:20Z"  # clients want a time; a model of the policy has no birthday

SPEECHES: Mapping[bytes, Callable[[str], Speech]] = {
    PATH.encode(): AnthropicSpeech,
    f"{PATH}/".encode(): AnthropicSpeech,
    f"{_BELOW}/".encode(): AnthropicSpeech,
}
"""Where errors are told in Anthropic's shape, whatever was asked."""


class AnthropicEndpoints:
    """Each under its own path, and below `/anthropic`."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def endpoints(self) -> Mapping[tuple[bytes, bytes], Endpoint]:
        return {
            **{(b"POST", f"{place}{PATH}".encode()): self._message for place in ("", _BELOW)},
            **{(b"POST", f"{place}{PATH}/count_tokens".encode()): self._count for place in ("", _BELOW)},
            (b"GET", f"{_BELOW}{_MODELS}".encode()): self.models,
            (b"GET", f"{_BELOW}{_MODELS}/".encode()): self.model,
        }

    async def _message(self, request: Request, response: Response, id: str) -> None:
        speech = AnthropicSpeech(id)
        response.speaks(speech)
        response.add("request-id", id)
        try:
            await self._flow.run(MessagesArrival(request, id=id, speech=speech), response)
        except GatewayError as error:
            raise _spoken(error) from None

    async def _count(self, request: Request, response: Response, id: str) -> None:
        """By our own tokenizer, whose count is near the provider's."""
        response.add("request-id", id)
        try:
            counted = await self._flow.count(MessagesArrival(request, id=id, speech=None))
        except GatewayError as error:
            raise _spoken(error) from None
        response.add("x-llmgw-estimated", "1")
        response.whole(200, orjson.dumps({"input_tokens": counted}))

    async def models(self, request: Request, response: Response, id: str) -> None:
        response.speaks(AnthropicSpeech(id))
        names = await self._flow.models(_asked(request, id))
        ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
        response.whole(200, orjson.dumps({"data": [_card(name) for name in names], "has_more": False, **ends}))

    async def model(self, request: Request, response: Response, id: str) -> None:
        response.speaks(AnthropicSpeech(id))
        name = ModelsAsked.name(request.target, _MODELS)
        await self._flow.check_model(_asked(request, id), name)
        response.whole(200, orjson.dumps(_card(name)))


def speaks_anthropic(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request on a path that several dialects share is Anthropic's."""
    return b"anthropic-version" in headers


def _asked(request: Request, id: str) -> ModelsAsked:
    asked = ModelsAsked(request, id)
    asked.credential = credential(request.headers)
    return asked


def _spoken(error: GatewayError) -> GatewayError:
    """With the status by which Anthropic's clients know that they should come again."""
    if error.status == 503:
        error.status = OVERLOADED
    return error


def _card(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED}
