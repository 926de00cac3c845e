"""OTLP over HTTP, by `requests`: its proxies, certificates and kept connections. Slow to import."""

from __future__ import annotations

import gzip
import math
import socket
import ssl
import time
import zlib
from datetime import UTC
from email.utils import parsedate_to_datetime

import requests
from requests.auth import AuthBase

from gateway.trace.collector.answer import Answer, taken
from gateway.trace.collector.destination import Destination
from gateway.trace.resource import our_version

_AGAIN = frozenset((429, 502, 503, 504))
_LARGEST = 64 * 1024
"""Bytes of an answer that are read."""
_PROTOBUF = "application/x-protobuf"


class Http:
    def __init__(self, destination: Destination) -> None:
        self._to = destination
        self._session = requests.Session()
        self._session.headers.clear()
        self._session.headers.update(
            {"Content-Type": _PROTOBUF, "User-Agent": f"OTel-OTLP-Exporter-llmgw/{our_version()}"}
        )
        if destination.compression != "none":
            self._session.headers["Content-Encoding"] = destination.compression
        self._session.headers.update(dict(destination.headers))
        if "authorization" in dict(destination.headers):
            self._session.auth = _AsItIs()
        self._session.verify = destination.certificate or True
        own = destination.client
        self._session.cert = None if own is None else (own[0] if own[1] is None else (own[0], own[1]))

    def send(self, request: bytes) -> Answer:
        body = self._compressed(request)
        until = time.monotonic() + self._to.seconds
        try:
            return self._post(body, until)
        except requests.Timeout as error:
            return Answer(failure=_cause(error))
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            if _is_refused(error):
                return Answer(failure=_cause(error))
        except (requests.RequestException, OSError, ValueError) as error:
            return Answer(failure=_cause(error), is_final=True)
        try:
            return self._post(body, until)  # a kept connection that the collector has closed meanwhile
        except (requests.RequestException, OSError, ValueError) as error:
            return Answer(failure=_cause(error))

    def close(self) -> None:
        self._session.close()

    def _compressed(self, body: bytes) -> bytes:
        if self._to.compression == "gzip":
            return gzip.compress(body, compresslevel=6)
        return zlib.compress(body) if self._to.compression == "deflate" else body

    def _post(self, body: bytes, until: float) -> Answer:
        left = max(0.001, until - time.monotonic())
        with self._session.post(self._to.url, data=body, timeout=left, allow_redirects=False, stream=True) as response:
            status = response.status_code
            if status >= 300:
                if int(response.headers.get("content-length") or 0) <= _LARGEST:
                    _body(response, until)  # so that the connection can be kept
                pause = _pause(response.headers.get("retry-after")) if status in (429, 503) else None
                return Answer(failure=f"it answered {status}", is_final=status not in _AGAIN, retry_after=pause)
            said = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            found = _body(response, until)
        if said.startswith("text/html"):
            return Answer(message="its answer is none of a collector's, but a web page")
        return taken(found) if said in (_PROTOBUF, "") else Answer()


class _AsItIs(AuthBase):
    """Keeps `requests` from putting what ~/.netrc says in the place of the header that was asked for."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _body(response: requests.Response, until: float) -> bytes:
    """The beginning of it, inflated; b"" if it does not come in time, is no body or is too large to be an answer."""
    found = b""
    try:
        for piece in response.iter_content(4096):
            found += piece
            if len(found) > _LARGEST or time.monotonic() > until:
                return b""
    except (requests.RequestException, OSError, ValueError):
        return b""  # its head has said that it has taken the request
    return found


def _pause(text: str | None) -> float | None:
    """Seconds, from a Retry-After header."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            then = parsedate_to_datetime(text)
        except (TypeError, ValueError, OverflowError):
            return None
        return max(0.0, then.replace(tzinfo=then.tzinfo or UTC).timestamp() - time.time())
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _is_refused(error: BaseException) -> bool:
    """No connection came about, so there was none that might have been closed."""
    return _cause(error) not in (
        "ConnectionResetError",
        "RemoteDisconnected",
        "Connection reset by peer",
        "Broken pipe",
    )


_WORDS = (
    (requests.ConnectTimeout, "it cannot be reached in time"),
    (requests.Timeout, "it does not answer in time"),
    (TimeoutError, "it does not answer in time"),
    (socket.gaierror, "its name cannot be resolved"),
)


def _cause(error: BaseException) -> str:
    """What lies below it, in words that have nothing of the request: what `requests` says has the URL, query and all."""
    below: object = error
    while isinstance(below, BaseException):
        error = below
        if (words := next((words for kind, words in _WORDS if isinstance(error, kind)), None)) is not None:
            return words
        if isinstance(error, ssl.SSLError):
            return f"TLS: {getattr(error, 'verify_message', None) or error.reason or 'failed'}"
        if isinstance(error, OSError) and error.errno and error.strerror:
            return error.strerror
        inner = (getattr(error, "reason", None), *error.args[::-1], error.__cause__, error.__context__)
        below = next((each for each in inner if isinstance(each, BaseException) and each is not error), None)
    return type(error).__name__
