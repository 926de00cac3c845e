"""From a plan to a provider that talks: tries deployments in order until one has opened its WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from gateway.core.attempt import Attempt, Attempts
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment
from gateway.core.errors import InvalidRequest, Overloaded, UpstreamError
from gateway.core.peer import GOING_AWAY, Peer
from gateway.upstream.attempt import blame, request_id_of, secrets_of
from gateway.upstream.dialects.openai import failure
from gateway.upstream.dialled import Refused, dialled
from gateway.upstream.dialler import Dialler
from gateway.upstream.health import Health
from gateway.upstream.opening import Purse

_PASSED_ON = (b"openai-beta", b"openai-safety-identifier")
"""Headers of the client's that providers read."""


class Line(Protocol):
    """A way to talk with providers of a dialect."""

    async def open(
        self, deployment: Deployment, call: Call, headers: Sequence[tuple[str, str]]
    ) -> tuple[Peer, Mapping[bytes, bytes]]:
        """`headers` are to be sent besides. Gives the headers of the answer, too. Raises UpstreamError, Refused."""
        ...


@dataclass(slots=True)
class Session:
    """A provider that talks. Implements trace.parts.Served."""

    deployment: Deployment
    attempt: Attempt
    peer: Peer
    headers: Mapping[bytes, bytes]
    said: None = None

    def produced(self) -> list[str]:
        """What was said is no answer to one question, and is not kept."""
        return []


class OpenAILine:
    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler

    async def open(
        self, deployment: Deployment, call: Call, headers: Sequence[tuple[str, str]]
    ) -> tuple[Peer, Mapping[bytes, bytes]]:
        provider = deployment.provider
        sent = [(name, secret.reveal()) for name, secret in provider.headers]
        sent += [(name.decode(), call.headers[name].decode("latin-1")) for name in _PASSED_ON if name in call.headers]
        query = "" if "{model}" in provider.path else f"model={quote(deployment.upstream_model, safe='')}"
        return await dialled(self._dialler, deployment, query, [*sent, ("user-agent", "llmgw"), *headers])


class Sessions:
    """`lines` maps the dialects that sessions are held in to the way their providers are reached."""

    def __init__(self, lines: Mapping[str, Line], health: Health, clock: Clock) -> None:
        self._lines = lines
        self._health = health
        self._clock = clock

    def able(self, plan: Sequence[Deployment]) -> tuple[Deployment, ...]:
        """Those of a plan that sessions can be held with. Raises InvalidRequest where there is none."""
        able = tuple(each for each in plan if each.provider.dialect in self._lines)
        if plan and not able:
            raise InvalidRequest("this model is not served in real time", code="model_not_realtime", param="model")
        return able

    @asynccontextmanager
    async def open(
        self, plan: Sequence[Deployment], call: Call, attempts: Attempts, purse: Purse
    ) -> AsyncIterator[Session]:
        """Leaving it hangs up. Entering it raises UpstreamError, the last try's; Overloaded when no deployment may be tried;
        and what the purse raises."""
        session = await self._first(plan, call, attempts, purse)
        attempt = session.attempt
        try:
            yield session
        except BaseException as error:
            attempt.error, attempt.fault = blame(error)
            if isinstance(error, UpstreamError):
                attempt.detail = error.detail
                self._health.failed(session.deployment, error)
            raise
        else:
            self._health.succeeded(session.deployment)
        finally:
            await session.peer.close(GOING_AWAY)
            attempt.ended = self._clock.monotonic()

    async def _first(self, plan: Sequence[Deployment], call: Call, attempts: Attempts, purse: Purse) -> Session:
        failure: UpstreamError | None = None
        for deployment in plan:
            if not self._health.is_available(deployment):
                continue
            try:
                return await self._try(deployment, call, attempts, purse, is_fallback=failure is not None)
            except UpstreamError as error:
                failure = error
                if error.status >= 500 or error.status == 429:
                    self._health.failed(deployment, error)
                if not error.retriable:
                    raise
        raise failure or Overloaded("every deployment of this model is resting after failures", code=_NOBODY)

    async def _try(
        self, deployment: Deployment, call: Call, attempts: Attempts, purse: Purse, *, is_fallback: bool
    ) -> Session:
        clock = self._clock
        try:
            await purse.reserve(deployment)
            reason = "fallback" if is_fallback else "primary"
            attempt = attempts.begin(deployment, started=clock.monotonic(), reason=reason)
        except BaseException:
            self._health.abandoned(deployment)
            raise
        attempt.is_sent = True
        try:
            peer, headers = await self._reach(attempt, call, attempts)
        except BaseException as error:
            attempt.ended = clock.monotonic()
            attempt.error, attempt.fault = blame(error)
            if isinstance(error, UpstreamError):
                attempt.detail = error.detail
            else:
                self._health.abandoned(deployment)
            raise
        attempt.status, attempt.first_byte = 101, clock.monotonic()
        attempt.request_id = request_id_of(headers, secrets_of(deployment))
        self._health.answered(deployment)
        return Session(deployment, attempt, peer, headers)

    async def _reach(self, attempt: Attempt, call: Call, attempts: Attempts) -> tuple[Peer, Mapping[bytes, bytes]]:
        deployment = attempt.target
        context = attempts.context(attempt) if deployment.provider.propagate_trace else None
        told = [] if context is None else [("traceparent", context.traceparent())]
        try:
            return await self._lines[deployment.provider.dialect].open(deployment, call, told)
        except Refused as refused:
            attempt.status = refused.status
            status, secrets, now = refused.status, secrets_of(deployment), self._clock.now()
            raise failure(status, refused.body, refused.headers, secrets=secrets, now=now) from None


_NOBODY = "no_upstream_available"
