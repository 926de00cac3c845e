"""A request for a response on its way through the gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.core.call import Call, Operation
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.tenant import Tenant
from gateway.ingress import json_body, messages, parameters
from gateway.ingress.openai import bearer, check_media, headers_of, span_context
from gateway.ingress.reply import Response
from gateway.ingress.request import Request
from gateway.ingress.responses.kept import KeptResponses
from gateway.ingress.responses.own_tools import OWN_TOOLS
from gateway.ingress.responses.reading import input_of, read
from gateway.ingress.responses.speech import ResponsesSpeech
from gateway.ingress.responses.tools import spread
from gateway.ingress.tool_names import Names, flat
from gateway.template.wanted import PREFIX, names_template

DIALECT = "responses"
_MAX_ITEMS = 4096

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class ResponsesArrival:
    """Implements `core.arrival.Arrival` and `core.arrival.Remembering`."""

    method = "POST"
    path = "/v1/responses"
    operation = Operation.CHAT.value

    def __init__(
        self, request: Request, response: Response, speech: ResponsesSpeech, kept: KeptResponses, *, id: str
    ) -> None:
        self._request = request
        self._response = response
        self._speech = speech
        self._kept = kept
        self._fields: Mapping[str, Any] | None = None
        self._tenant: Tenant | None = None
        self._items: Sequence[Any] = ()
        self._history: Sequence[Any] = ()
        self.id = id
        self.received = request.received
        self.peer = request.peer
        self.credential = bearer(request.headers)
        self.context = span_context(request.headers)

    async def recall(self, tenant: Tenant) -> None:
        self._tenant = tenant
        fields = self._parsed()
        previous = fields.get("previous_response_id")
        if previous is None:
            return
        if not isinstance(previous, str):
            raise InvalidRequest("must be a string", code="invalid_type", param="previous_response_id")
        found = await self._kept.find(tenant, previous)
        if found is None:
            raise NotFound(
                f"there is no response {previous[:128]!r} to go on from",
                code="previous_response_not_found",
                param="previous_response_id",
            )
        self._history = found.conversation

    def read(self, *, strict: bool) -> Call:
        fields, request = self._parsed(), self._request
        parameters.refuse(fields)
        said = headers_of(request.headers)
        if not isinstance(fields.get("store"), bool | None):
            raise InvalidRequest("store must be true or false", code="invalid_type", param="store")
        self._items = [*self._history, *input_of(fields, is_templated=said.template is not None)]
        if len(self._items) > _MAX_ITEMS:
            raise InvalidRequest(f"at most {_MAX_ITEMS} items", code="too_many_messages", param="input")
        reading = read(fields, self._history, is_templated=said.template is not None)
        chat, template = reading.chat, _template(reading.template, said.template)
        model = _model(fields, reading.template)
        chat["model"] = model
        parameters.check(chat, strict=False)
        has = parameters.features(chat)
        if chat["messages"] or (template is None and not names_template(model)):
            has |= messages.features(chat)
        tools = spread(fields.get("tools"), [])
        named = [(tool["name"], namespace) for tool, namespace in tools if isinstance(tool.get("name"), str)]
        self._speech.asked(
            fields,
            names=Names(named),
            custom=frozenset(flat(str(tool.get("name")), within) for tool, within in tools if tool["type"] == "custom"),
            own=frozenset(str(tool["type"]) for tool, _ in tools if tool["type"] in OWN_TOOLS),
            is_kept=self._is_kept,
        )
        return Call(
            id=self.id,
            operation=Operation.CHAT,
            received=self.received,
            model=model,
            body=msgspec.json.encode(chat),
            fields=chat,
            stream=chat.get("stream") is True,
            wants_usage=chat.get("stream") is True,
            has=has,
            tags=said.tags,
            conversation=said.conversation,
            template=template,
            idempotency_key=said.idempotency_key,
            headers=request.headers,
            dialect=DIALECT,
            native=self._native(),
            dropped=tuple(reading.dropped),
            unsaid=reading.unsaid,
            strict=strict,
        )

    async def keep(self, last: bytes) -> None:
        if not self._is_kept or self._tenant is None:
            return
        self._response.rehearse(last)
        if (response := self._speech.response) is not None:
            await self._kept.keep(self._tenant, response, self._items)

    @property
    def _is_kept(self) -> bool:
        return self._parsed().get("store") is not False

    def _parsed(self) -> Mapping[str, Any]:
        if self._fields is None:
            check_media(self._request.headers)
            self._fields = json_body.parse(self._request.body)
        return self._fields

    def _native(self) -> bytes:
        """What was sent; where it goes on from a response that we keep, with the items of that one before its own."""
        if not self._parsed().get("previous_response_id"):
            return self._request.body
        sent = _members(self._request.body)
        del sent["previous_response_id"]
        sent["input"] = msgspec.Raw(msgspec.json.encode(self._items))
        return msgspec.json.encode(sent)


def _model(fields: Mapping[str, Any], prompt: str | None) -> str:
    """A prompt may bring its own. Raises InvalidRequest."""
    model = fields.get("model")
    if model is None and prompt is not None:
        return PREFIX + prompt
    if not isinstance(model, str) or not model:
        raise InvalidRequest("model is required", code="missing_required_parameter", param="model")
    return model


def _template(prompt: str | None, header: str | None) -> str | None:
    """Raises InvalidRequest for two."""
    if prompt is not None and header not in (None, prompt):
        raise InvalidRequest(
            "`prompt` names one template, and the header x-llmgw-template another",
            code="template_conflict",
            param="prompt",
        )
    return prompt or header
