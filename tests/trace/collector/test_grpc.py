"""Requests are sent over gRPC as OpenTelemetry's variables say, to real servers, and their answers understood."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from gateway.trace.collector.answer import Answer
from tests.trace.collector.sending import PARTIAL, SECRET, SPANS, arrived, opened, sent
from tests.trace.receiver import receiving_grpc


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
async def test_grpc(compression: str) -> None:
    async with receiving_grpc() as receiver:
        collector = opened(ENDPOINT=receiver.url, PROTOCOL="grpc", COMPRESSION=compression, HEADERS="X-Token=canary")

        assert await sent(collector) == Answer()

        assert arrived(receiver) == SPANS
        assert receiver.headers["x-token"] == "canary"


async def test_grpc_needs_no_scheme_where_it_is_said_to_be_insecure() -> None:
    async with receiving_grpc() as receiver:
        collector = opened(ENDPOINT=receiver.url.removeprefix("http://"), PROTOCOL="grpc", INSECURE="true")

        assert await sent(collector) == Answer()


@pytest.fixture
def grpc_tls(certificates: Mapping[str, str]) -> Any:
    cert, key = (Path(certificates[name]).read_bytes() for name in ("cert", "key"))
    return grpc.ssl_server_credentials([(key, cert)], cert, require_client_auth=True)


async def test_grpc_over_tls(certificates: Mapping[str, str], grpc_tls: Any) -> None:
    with grpc_server(lambda context: b"", grpc_tls) as url:
        cert, key = certificates["cert"], certificates["key"]
        own = {"CERTIFICATE": cert, "CLIENT_CERTIFICATE": cert, "CLIENT_KEY": key}

        assert await sent(opened(ENDPOINT=url.replace("http:", "https:"), PROTOCOL="grpc", **own)) == Answer()


class _Grpc(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, answer: Callable[[Any], bytes]) -> None:
        self._answer = answer

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._answer(context))


@contextmanager
def grpc_server(answer: Callable[[Any], bytes], credentials: Any = None) -> Iterator[str]:
    with ThreadPoolExecutor(2) as threads:
        listening = grpc.server(threads, handlers=(_Grpc(answer),))
        if credentials is None:
            port = listening.add_insecure_port("127.0.0.1:0")
        else:
            port = listening.add_secure_port("127.0.0.1:0", credentials)
        listening.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            listening.stop(0).wait()


def refuses(code: str, details: str = "no", *, pause: int | None = None) -> Callable[[Any], bytes]:
    def answer(context: Any) -> bytes:
        if pause is not None:
            status = Status(code=1)
            status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=pause)))
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode[code], details)
        raise AssertionError

    return answer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (lambda context: PARTIAL.SerializeToString(), Answer(rejected=2, message="too old, ***")),
        (lambda context: b"\xff" * 9, Answer(message="its answer is none of a collector's")),
        (refuses("UNAVAILABLE"), Answer("UNAVAILABLE: no")),
        (refuses("UNAVAILABLE", pause=9), Answer("UNAVAILABLE: no", retry_after=9.0)),
        (refuses("RESOURCE_EXHAUSTED"), Answer("RESOURCE_EXHAUSTED: no", is_final=True)),
        (refuses("RESOURCE_EXHAUSTED", pause=9), Answer("RESOURCE_EXHAUSTED: no", retry_after=9.0)),
        (refuses("UNAUTHENTICATED", f"bad {SECRET}"), Answer("UNAUTHENTICATED: bad ***", is_final=True)),
        (refuses("INVALID_ARGUMENT"), Answer("INVALID_ARGUMENT: no", is_final=True)),
    ],
)
async def test_what_is_answered_over_grpc(said: Callable[[Any], bytes], answer: Answer) -> None:
    with grpc_server(said) as url:
        assert await sent(opened(ENDPOINT=url, PROTOCOL="grpc", HEADERS=f"x-token=Bearer%20{SECRET}")) == answer
