"""What applications call: OpenAI's endpoints and Anthropic's, and the two health checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import orjson

from gateway.core.call import Operation
from gateway.core.errand import Kind
from gateway.core.errors import Overloaded
from gateway.filing.filing import Filing
from gateway.flow import Flow
from gateway.ingress import errands, media
from gateway.ingress.anthropic.endpoints import AnthropicEndpoints, speaks_anthropic
from gateway.ingress.feedback import FeedbackGiven
from gateway.ingress.openai import ModelsAsked, OpenAIArrival
from gateway.ingress.realtime import PATH, Accepting, RealtimeArrival
from gateway.ingress.reply import Response
from gateway.ingress.request import Request
from gateway.ingress.responses.arrival import ResponsesArrival
from gateway.ingress.responses.fetched import BELOW, Fetched
from gateway.ingress.responses.kept import KeptResponses
from gateway.ingress.responses.speech import ResponsesSpeech
from gateway.ingress.server import Routes
from gateway.realtime.flow import RealtimeFlow

_MODELS = "/v1/models"
_CREATED = 1_700_000_000  # clients want a number; a model of the policy has no birthday


class DataPlane:
    """`unready` gives the reason why new calls are not welcome, or None."""

    def __init__(
        self,
        flow: Flow,
        filing: Filing,
        realtime: RealtimeFlow,
        *,
        kept: KeptResponses,
        now: Callable[[], float],
        unready: Callable[[], str | None],
    ) -> None:
        """`now` gives UTC seconds."""
        self._flow = flow
        self._filing = filing
        self._realtime = realtime
        self._kept = kept
        self._now = now
        self._unready = unready
        self._anthropic = AnthropicEndpoints(flow)

    def routes(self) -> Routes:
        return Routes(
            {
                (b"POST", b"/v1/chat/completions"): partial(self._call, Operation.CHAT),
                (b"POST", b"/v1/completions"): partial(self._call, Operation.COMPLETION),
                (b"POST", b"/v1/embeddings"): partial(self._call, Operation.EMBEDDINGS),
                **{
                    (b"POST", path.encode()): partial(self._media, operation) for operation, path in media.PATHS.items()
                },
                **{
                    (method.encode(), path.encode()): partial(self._errand, kind)
                    for kind, paths in errands.METHODS.items()
                    for path, methods in paths.items()
                    for method in methods
                },
                (b"POST", b"/v1/responses"): self._responses,
                **{(method, BELOW.encode()): self._response for method in (b"GET", b"DELETE", b"POST")},
                **self._anthropic.endpoints(),
                (b"POST", b"/v1/feedback"): self._feedback,
                (b"GET", PATH.encode()): self._session,
                (b"GET", b"/v1/models"): self._models,
                (b"GET", f"{_MODELS}/".encode()): self._model,
                (b"GET", b"/healthz"): self._healthz,
                (b"GET", b"/readyz"): self._readyz,
            },
            sockets=(PATH.encode(),),
        )

    async def _call(self, operation: Operation, request: Request, response: Response, id: str) -> None:
        await self._flow.run(OpenAIArrival(request, operation=operation, id=id), response)

    async def _media(self, operation: Operation, request: Request, response: Response, id: str) -> None:
        await self._flow.run(media.MediaArrival(request, operation=operation, id=id), response)

    async def _errand(self, kind: Kind, request: Request, response: Response, id: str) -> None:
        await self._filing.run(errands.ErrandArrival(request, kind=kind, id=id), response)

    async def _responses(self, request: Request, response: Response, id: str) -> None:
        speech = ResponsesSpeech(self._now)
        response.speaks(speech)
        arrival = ResponsesArrival(request, response, speech, self._kept, id=id)
        await self._flow.run(arrival, response, arrival)

    async def _response(self, request: Request, response: Response, id: str) -> None:
        """One that is kept."""
        asked = Fetched(request, id)
        tenant = await self._flow.caller(asked)
        answer = {"GET": asked.get, "DELETE": asked.delete, "POST": asked.post}[asked.method]
        response.whole(200, await answer(self._kept, tenant))

    async def _session(self, request: Request, response: Response, id: str) -> None:
        arrival = RealtimeArrival(request, id)
        await self._realtime.run(arrival, Accepting(arrival, response))

    async def _feedback(self, request: Request, response: Response, id: str) -> None:
        is_forgotten = await self._flow.feedback(FeedbackGiven(request, id))
        response.whole(200, orjson.dumps({"object": "feedback", "forgotten": is_forgotten}))

    async def _models(self, request: Request, response: Response, id: str) -> None:
        if speaks_anthropic(request.headers):
            await self._anthropic.models(request, response, id)
            return
        names = await self._flow.models(ModelsAsked(request, id))
        response.whole(200, orjson.dumps({"object": "list", "data": [_card(name) for name in names]}))

    async def _model(self, request: Request, response: Response, id: str) -> None:
        if speaks_anthropic(request.headers):
            await self._anthropic.model(request, response, id)
            return
        name = ModelsAsked.name(request.target, _MODELS)
        await self._flow.check_model(ModelsAsked(request, id), name)
        response.whole(200, orjson.dumps(_card(name)))

    async def _healthz(self, request: Request, response: Response, id: str) -> None:
        response.whole(200, b'{"status":"ok"}')

    async def _readyz(self, request: Request, response: Response, id: str) -> None:
        reason = self._unready()
        if reason is not None:
            raise Overloaded(reason, code="not_ready")
        response.whole(200, b'{"status":"ready"}')


def _card(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "llmgw"}
