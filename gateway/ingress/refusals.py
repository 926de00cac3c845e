"""Requests that are refused before they are one: the reasons, each with its status and code."""

from __future__ import annotations

import httptools

from gateway.core.errors import InvalidRequest
from gateway.ingress.request import Request


def check_head(request: Request, version: str) -> None:
    """What llhttp lets pass and a gateway must not. Raises InvalidRequest."""
    if request.method == b"CONNECT":
        raise InvalidRequest("CONNECT is not served", code="method_not_allowed", status=405)
    headers = request.headers
    if version != "1.1":
        _check_old_version(version, headers)
    elif b"host" not in headers:
        raise InvalidRequest("the Host header is missing", code="bad_http")
    if not request.target.startswith(b"/") and request.target != b"*":
        raise InvalidRequest("the request target must be a path", code="bad_target")
    coding = headers.get(b"transfer-encoding")
    if coding is not None and coding.lower() != b"chunked":
        raise InvalidRequest(
            "only the transfer coding chunked is served",
            code="unsupported_transfer_coding",
            status=501,
            type="server_error",
        )


def bad_http() -> InvalidRequest:
    return InvalidRequest("the request is not valid HTTP/1.1", code="bad_http")


def head_too_large() -> InvalidRequest:
    return InvalidRequest("the request's headers are too large", code="headers_too_large", status=431)


def body_too_large(limit: int) -> InvalidRequest:
    return InvalidRequest(f"the body is larger than {limit} bytes", code="request_too_large", status=413)


def request_timeout() -> InvalidRequest:
    return InvalidRequest("the request did not arrive in time", code="request_timeout", status=408)


def _http_version() -> InvalidRequest:
    return InvalidRequest("only HTTP/1.1 is served here", code="http_version", status=505, type="server_error")


def _check_old_version(version: str, headers: dict[bytes, bytes]) -> None:
    if version != "1.0":
        raise _http_version()
    if b"transfer-encoding" in headers:
        raise InvalidRequest("HTTP/1.0 has no transfer codings", code="bad_http")


def parser_error(error: httptools.HttpParserError) -> InvalidRequest:
    """llhttp's own words are the only way to tell its errors apart."""
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        return InvalidRequest("the method is not one that is served", code="method_not_allowed")
    if "Invalid HTTP version" in str(error):
        return _http_version()
    return bad_http()
