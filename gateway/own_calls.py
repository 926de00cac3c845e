"""Calls that the gateway makes for itself: the trials of routes, and the semantic cache's judge and embedder, where a policy
names models for them.

They go the way of every call, as the organisation `llmgw`: with a record, budgets and rates, and never through a cache.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

import msgspec
import orjson

from gateway.core.arrival import Audience, Headers, Native
from gateway.core.call import Call, Operation
from gateway.core.errors import Broken, Overloaded
from gateway.core.prompt import Prompt
from gateway.core.secret import Secret
from gateway.core.span import SpanContext
from gateway.core.trial import TrialResult
from gateway.flow import Flow
from gateway.trace.reading.beside import TRIAL_OF

ORGANISATION = "llmgw"
"""Whose calls they are."""

_PATHS = {Operation.CHAT: "/v1/chat/completions", Operation.EMBEDDINGS: "/v1/embeddings"}


class OwnCalls:
    """Implements cache.semantic.outside.Embeds and Judges and route.trials.Asks, once it has been given the flow."""

    def __init__(self, credential: Secret) -> None:
        """A virtual key of ORGANISATION's."""
        self._credential = credential
        self.flow: Flow | None = None

    async def embed(self, model: str, text: str) -> Sequence[float]:
        """The vector of one text. Raises GatewayError."""
        answer = await self._answer(Operation.EMBEDDINGS, {"model": model, "input": text}, tag="embedder")
        try:
            return [float(number) for number in answer["data"][0]["embedding"]]
        except (KeyError, IndexError, TypeError, ValueError):
            raise Broken("the embedder's answer holds no vector of numbers") from None

    async def ask(self, model: str, prompt: str) -> str:
        """The text of its reply. Raises GatewayError."""
        messages = [{"role": "user", "content": prompt}]
        fields = {"model": model, "messages": messages, "temperature": 0}
        answer = await self._answer(Operation.CHAT, fields, tag="judge")
        text = answer["choices"][0]["message"].get("content")
        return text if isinstance(text, str) else ""

    async def answer(
        self,
        model: str,
        fields: Mapping[str, Any],
        *,
        tag: str,
        account: str,
        context: SpanContext,
        prompt: Prompt | None = None,
    ) -> dict[str, Any]:
        """The chat completion. `account`: see Call; `context` is the span that it belongs to, `prompt` the template that is in
        `fields` already. Raises GatewayError."""
        asked = _Own(Operation.CHAT, {**fields, "model": model}, tag, self._credential, account, context, prompt)
        return await self._run(asked)

    def note(self, result: TrialResult, context: SpanContext) -> None:
        """Records what came of a trial; see route.trials.Results."""
        if self.flow is not None:
            self.flow.trial(_Tried(result, context))

    async def _answer(
        self,
        operation: Operation,
        fields: Mapping[str, Any],
        *,
        tag: str,
    ) -> dict[str, Any]:
        return await self._run(_Own(operation, fields, tag, self._credential))

    async def _run(self, asked: _Own) -> dict[str, Any]:
        if self.flow is None:
            raise Overloaded("the gateway is starting")
        reply = _Caught()
        await self.flow.run(asked, reply)
        return orjson.loads(reply.body)  # type: ignore[no-any-return]


class _Own:
    """Implements core.arrival.Arrival."""

    peer = ""
    method = "POST"

    def __init__(
        self,
        operation: Operation,
        fields: Mapping[str, Any],
        tag: str,
        credential: Secret,
        account: str | None = None,
        context: SpanContext | None = None,
        prompt: Prompt | None = None,
    ) -> None:
        self._prompt = prompt
        self._operation = operation
        self._fields = fields
        self._tag = tag
        self._account = account
        self.context = context
        self.credential: Secret | None = credential
        self.id = f"own_{secrets.token_hex(12)}"
        self.received = monotonic()
        self.operation = operation.value
        self.path = _PATHS[operation]

    def read(self, *, strict: bool) -> Call:
        return Call(
            id=self.id,
            operation=self._operation,
            received=self.received,
            model=self._fields["model"],
            body=msgspec.json.encode(self._fields),
            fields=self._fields,
            tags=(self._tag,),
            headers={b"cache-control": b"no-store"},
            is_own=True,
            account=self._account,
            prompt=self._prompt,
        )


class _Tried:
    """Implements core.arrival.Tried."""

    peer = ""
    method = ""
    path = ""
    operation = "trial"
    credential: Secret | None = None

    def __init__(self, result: TrialResult, context: SpanContext) -> None:
        self.result = result
        self.context: SpanContext | None = context
        self.id = f"{TRIAL_OF}{result.request_id}_{secrets.token_hex(6)}"
        self.received = monotonic()


class _Caught:
    """Implements core.arrival.Reply."""

    def __init__(self) -> None:
        self.body = b""

    def share(self, audience: Audience | None) -> None:
        """Nobody else listens to what no cache sees."""

    def begin(self, content_type: str, *, stream: bool, headers: Headers, native: Native | None) -> None:
        """The body says all that is needed."""

    async def send(self, chunk: bytes) -> None:
        self.body += chunk

    def end(self, last: bytes, *, headers: Headers) -> None:
        self.body += last
