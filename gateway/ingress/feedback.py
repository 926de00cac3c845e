"""`POST /v1/feedback`: a caller's word on an answer it got, read into our terms."""

from __future__ import annotations

from gateway.core.errors import InvalidRequest
from gateway.core.feedback import Feedback
from gateway.ingress import json_body
from gateway.ingress.openai import bearer, check_media, span_context
from gateway.ingress.request import Request

_MEMBERS = frozenset({"request_id", "rating", "comment"})
_LONGEST_ID = 128
_LONGEST_COMMENT = 2000


class FeedbackGiven:
    """Implements `core.arrival.Verdict`."""

    __slots__ = ("_request", "context", "credential", "id", "peer", "received")

    method = "POST"
    path = "/v1/feedback"
    operation = "feedback"

    def __init__(self, request: Request, id: str) -> None:
        self._request = request
        self.id = id
        self.received = request.received
        self.peer = request.peer
        self.credential = bearer(request.headers)
        self.context = span_context(request.headers)

    def read(self) -> Feedback:
        check_media(self._request.headers)
        fields = json_body.parse(self._request.body)
        for name in fields.keys() - _MEMBERS:
            raise InvalidRequest(
                "feedback has request_id, rating and comment", code="unknown_parameter", param=name[:64]
            )
        about = _text(fields.get("request_id"), "request_id", _LONGEST_ID)
        if not about:
            raise InvalidRequest("request_id is required", code="missing_required_parameter", param="request_id")
        rating = fields.get("rating")
        if rating not in ("good", "bad"):
            code = "missing_required_parameter" if rating is None else "invalid_value"
            raise InvalidRequest("rating must be good or bad", code=code, param="rating")
        return Feedback(about, rating == "good", _text(fields.get("comment"), "comment", _LONGEST_COMMENT))


def _text(value: object, name: str, longest: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be a string", code="invalid_type", param=name)
    if len(value) > longest:
        raise InvalidRequest(f"{name} has at most {longest} characters", code="invalid_value", param=name)
    return value
