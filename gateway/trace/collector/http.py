"""OTLP over HTTP, by `requests`: its proxies, certificates and kept connections. Slow to import."""

from __future__ import annotations

import gzip
import math
import socket
import ssl
import time
import zlib
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from gateway.trace.collector.answer import Answer, taken
from gateway.trace.collector.deadline import Ending
from gateway.trace.collector.destination import Destination
from gateway.trace.resource import our_version

_AGAIN = frozenset((429, 502, 503, 504))
_LARGEST = 64 * 1024
"""Bytes of an answer that are read."""
_PROTOBUF = "application/x-protobuf"
_FAILURES = (requests.RequestException, OSError, ValueError, HTTPError)
_LATE = "it does not answer in time"
_WORDS = (
    (requests.ConnectTimeout, "it cannot be reached in time"),
    (requests.Timeout, _LATE),
    (TimeoutError, _LATE),
    (socket.gaierror, "its name cannot be resolved"),
)


class Http:
    def __init__(self, destination: Destination) -> None:
        self._to = destination
        self._session = requests.Session()
        self._ending = Ending()
        self._session.mount("http://", self._ending)
        self._session.mount("https://", self._ending)
        self._session.cookies.set_policy(
            DefaultCookiePolicy(allowed_domains=[])
        )  # or a collector could fill our memory
        self._session.headers.clear()
        self._session.headers.update(
            {"Content-Type": _PROTOBUF, "User-Agent": f"OTel-OTLP-Exporter-llmgw/{our_version()}"}
        )
        if destination.compression != "none":
            self._session.headers["Content-Encoding"] = destination.compression
        self._session.headers.update(dict(destination.headers))
        if "authorization" in dict(destination.headers):
            self._session.auth = _AsItIs()
        self._trusted = destination.certificate
        own = destination.client
        self._session.cert = None if own is None else (own[0] if own[1] is None else (own[0], own[1]))

    def send(self, request: bytes) -> Answer:
        body = self._compressed(request)
        until = time.monotonic() + self._to.seconds
        with self._ending.within(self._to.seconds):
            try:
                return self._post(body, until)
            except _FAILURES as error:
                if not _is_broken(error) or time.monotonic() >= until:
                    return _failed(error, until)
            try:
                return self._post(body, until)  # the collector may have closed a connection that was kept
            except _FAILURES as error:
                return _failed(error, until)

    def close(self) -> None:
        self._session.close()

    def _compressed(self, body: bytes) -> bytes:
        if self._to.compression == "gzip":
            return gzip.compress(body, compresslevel=6)
        return zlib.compress(body) if self._to.compression == "deflate" else body

    def _post(self, body: bytes, until: float) -> Answer:
        left = max(0.001, until - time.monotonic())
        with self._session.post(
            self._to.url, data=body, timeout=left, allow_redirects=False, stream=True, verify=self._trusted
        ) as response:
            if time.monotonic() >= until:
                return Answer(failure=_LATE)  # its head is one that was cut off
            status = response.status_code
            if not 200 <= status < 300:
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
        while piece := response.raw.read1(4096, decode_content=True):
            found += piece
            if len(found) > _LARGEST:
                return b""
    except _FAILURES:
        return b""  # its head has said that it has taken the request
    return found if time.monotonic() < until else b""


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


def _failed(error: BaseException, until: float) -> Answer:
    """In words that have nothing of the request: what `requests` says has the URL, query and all."""
    if time.monotonic() >= until:
        return Answer(failure=_LATE)
    chain = list(_chain(error))
    return Answer(
        failure=next(filter(None, map(_words, chain)), f"its answer cannot be read ({type(chain[-1]).__name__})")
    )


def _is_broken(error: BaseException) -> bool:
    """There was a connection, which is no more."""
    return any(isinstance(each, ConnectionResetError | BrokenPipeError) for each in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what lies below it."""
    below: BaseException | None = error
    while below is not None:
        yield below
        error = below
        inner = (getattr(error, "reason", None), *error.args[::-1], error.__cause__, error.__context__)
        below = next((each for each in inner if isinstance(each, BaseException) and each is not error), None)


def _words(error: BaseException) -> str | None:
    if (words := next((words for kind, words in _WORDS if isinstance(error, kind)), None)) is not None:
        return words
    if isinstance(error, ssl.SSLError):
        return f"TLS: {getattr(error, 'verify_message', None) or error.reason or 'failed'}"
    return error.strerror if isinstance(error, OSError) and error.errno else None
