"""A cascade on its way: a cheap model's whole answer is looked at before a byte of it leaves, and where it will not do a
strong model is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

import orjson

from gateway.core.call import Call
from gateway.core.deployment import Deployment, Model
from gateway.core.errors import Broken, CallerError, Overloaded, UpstreamError
from gateway.route.candidates import Cascade
from gateway.route.quality import answer as quality
from gateway.route.quality.agreement import Agreement, agree
from gateway.route.quality.checks import CHECKS, first

FAILED = "failed"
DISAGREES = "disagrees"
SECOND_FAILED = "second_failed"
SECOND_UNAFFORDABLE = "second_unaffordable"
AGREES = "agrees"
NOT_NEEDED = "not_needed"
"""Why an answer was not served, besides the names of the checks."""


class Answer(Protocol):
    def chunks(self) -> AsyncIterator[bytes]:
        """May be read again, if it is whole. Raises UpstreamError."""
        ...


AnswerT = TypeVar("AnswerT", bound=Answer)
AnswerT_co = TypeVar("AnswerT_co", bound=Answer, covariant=True)


class Asked(Protocol[AnswerT_co]):
    """A model that is asked; see upstream.asked."""

    async def holds(self) -> bool:
        """Waits until it has money and is asked, or has failed."""
        ...

    def start(self) -> object: ...

    async def answer(self) -> AnswerT_co:
        """Raises UpstreamError, Overloaded, and what a budget says."""
        ...

    def serve(self) -> None: ...

    async def leave(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def drop(self, because: str | None = None, *, error: BaseException | None = None) -> None: ...


class Asking(Protocol[AnswerT_co]):
    """How the call asks; see upstream.asking."""

    @property
    def call(self) -> Call: ...

    async def admit(self) -> None: ...

    def open(self, plan: tuple[Deployment, ...]) -> AbstractAsyncContextManager[AnswerT_co]: ...

    def escalate(self, plan: tuple[Deployment, ...], model: Model) -> AbstractAsyncContextManager[AnswerT_co]: ...

    def beside(
        self, plan: tuple[Deployment, ...], model: Model, *, reason: str, is_needed: bool
    ) -> Asked[AnswerT_co]: ...


def why_not(
    cascade: Cascade, said: quality.Answer, other: quality.Answer | None, asked: Mapping[str, Any]
) -> str | None:
    """Why the cheap model's answer to this request is not served; `other` is the second model's, once it is there."""
    wanted = {check.value for check in cascade.when}
    fired = first((name for name in CHECKS if name in wanted), said, asked)
    if fired is not None or other is None:
        return fired
    return None if agree(said, other, Agreement(cascade.on.value, cascade.part)) else DISAGREES


class Cascading(Generic[AnswerT]):
    """An async context manager that gives the answer that is served; leaving it closes that answer.

    The cheap model's answer and a second opinion are paid for whether they are served or not. Entering it raises what the
    cheap model's budget says, and what the strong model's opening raises.
    """

    def __init__(
        self, cascade: Cascade, asking: Asking[AnswerT], order: Callable[[Model], tuple[Deployment, ...]]
    ) -> None:
        """`order` makes a plan of a model."""
        self._cascade = cascade
        self._asking = asking
        self._order = order
        self._cheap: Asked[AnswerT] | None = None
        self._strong: AbstractAsyncContextManager[AnswerT] | None = None

    async def __aenter__(self) -> AnswerT:
        await self._asking.admit()
        cascade = self._cascade
        asked = self._cheap = self._beside(cascade.cheap, reason="try", is_needed=True)
        second = None
        if cascade.second is not None:
            second = self._beside(cascade.second, reason="second", is_needed=False)
        try:
            if second is not None and await asked.holds():  # where there is money for one, it is the first one's
                second.start()
            because, answer = await self._looked_at(asked, second)
            if second is not None:
                await second.drop(_of_second(because))
            if because is not None:
                await asked.drop(because)
        except BaseException as error:
            for each in (asked, second):
                if each is not None:
                    await each.drop(error=error)
            raise
        if because is None and answer is not None:
            asked.serve()
            return answer
        self._strong = self._asking.escalate(self._order(cascade.strong), cascade.strong)
        return await self._strong.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._strong is not None:
            await self._strong.__aexit__(kind, error, traceback)
        elif self._cheap is not None:
            await self._cheap.leave(kind, error, traceback)

    def _beside(self, model: Model, *, reason: str, is_needed: bool) -> Asked[AnswerT]:
        return self._asking.beside(self._order(model), model, reason=reason, is_needed=is_needed)

    async def _looked_at(
        self, cheap: Asked[AnswerT], second: Asked[AnswerT] | None
    ) -> tuple[str | None, AnswerT | None]:
        """Why the cheap model's answer is not served, or None and the answer."""
        try:
            answer = await cheap.answer()
            said = await _read(answer)
        except (UpstreamError, Overloaded) as error:
            if isinstance(error, Overloaded) and error.code != "no_upstream_available":
                raise
            return FAILED, None
        fired = why_not(self._cascade, said, None, self._asking.call.fields)
        if fired is None and second is not None:
            fired = await self._compared(said, second)
        return fired, answer

    async def _compared(self, said: quality.Answer, second: Asked[AnswerT]) -> str | None:
        try:
            other = await _read(await second.answer())
        except CallerError:
            return SECOND_UNAFFORDABLE
        except (UpstreamError, Overloaded):
            return SECOND_FAILED
        return why_not(self._cascade, said, other, self._asking.call.fields)


async def _read(answer: Answer) -> quality.Answer:
    """Raises UpstreamError where it broke off, or holds what clients may not be able to read either."""
    body = b"".join([chunk async for chunk in answer.chunks()])
    try:
        return quality.read(orjson.loads(body))
    except orjson.JSONDecodeError:
        raise Broken("the provider's answer cannot be checked") from None


def _of_second(because: str | None) -> str:
    """Why the second opinion was not served: it is there to be compared."""
    return {None: AGREES, DISAGREES: DISAGREES, SECOND_FAILED: FAILED}.get(because, NOT_NEEDED)
