"""What litellm raises, in the terms of a provider's response."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from gateway.core.errors import Broken, Timeout, Unavailable, UpstreamError

_OURS = re.compile(r"^(?:litellm\.\w+: )?(?:\w+Error: )?(?:\w*Exception\w* ?-? ?)?(?:\w+Error ?-? ?)?")
_JSON = re.compile(r"\{.*\}", re.DOTALL)
_UNREACHED = frozenset({"ConnectError", "ConnectTimeout", "ClientConnectorError", "ClientConnectorDNSError"})
_CUT = frozenset({"ReadError", "RemoteProtocolError", "ClientPayloadError", "ServerDisconnectedError"})
_WITHOUT_RESPONSE = _UNREACHED | _CUT


def status_of(error: BaseException) -> int | None:
    """The status of the provider's response, where there was one; litellm makes one up where there was none."""
    status = getattr(error, "status_code", None)
    kinds = {kind for each in _chain(error) for kind in _kinds(each)}
    if not isinstance(status, int) or kinds & _WITHOUT_RESPONSE or "APIConnectionError" in _kinds(error):
        return None
    return status


def body_of(error: BaseException) -> bytes:
    """An error in OpenAI's envelope, with what the provider said, still to be rid of secrets."""
    text = str(getattr(error, "message", "") or error)
    said = _OURS.sub("", text)
    if (found := _JSON.search(text)) is not None:
        try:
            told = orjson.loads(found.group())
        except orjson.JSONDecodeError:
            told = None
        if isinstance(told, dict):
            inner = told.get("error", told)
            if isinstance(inner, dict) and isinstance(inner.get("message"), str):
                return orjson.dumps({"error": {key: inner.get(key) for key in ("message", "code", "param")}})
            if isinstance(inner, str):
                said = inner
    return orjson.dumps({"error": {"message": said}})


def headers_of(error: BaseException) -> dict[bytes, bytes]:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return {str(name).lower().encode(): str(value).encode() for name, value in headers.items()}


def failure_of(error: BaseException) -> UpstreamError:
    """An error without a response. litellm's words may hold anything: they are for the record's detail, and not even there."""
    kinds = {kind for each in _chain(error) for kind in _kinds(each)}
    if kinds & _UNREACHED:
        failed: UpstreamError = Unavailable(
            "the provider could not be reached", code="upstream_connect_error", should_retry=True
        )
    elif "Timeout" in kinds:
        failed = Timeout("the provider took too long: the connection", should_retry=True)
    else:
        code = "upstream_reset" if kinds & _CUT else "upstream_invalid_response"
        failed = Unavailable("the provider's answer could not be read", code=code, retriable=False, should_retry=False)
    failed.detail = f"litellm: {type(error).__name__}"
    return failed


def cut(error: BaseException) -> Broken | None:
    """Whether a stream broke off, rather than that the provider reported an error in it."""
    original = getattr(error, "original_exception", None) or error
    kinds = {kind for each in _chain(original) for kind in _kinds(each)}
    if kinds & _CUT or "APIConnectionError" in kinds:
        return Broken("the provider's answer was cut off")
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(8):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}
