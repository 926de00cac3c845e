"""Opens the way to the collector of a signal."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from gateway.trace.collector.answer import Answer
from gateway.trace.collector.destination import GRPC, Destination, Signal, destination, is_wanted

log = logging.getLogger("llmgw.trace")

_TALKATIVE = ("grpc", "opentelemetry", "requests", "urllib3")
"""Loggers that tell of every try, URLs, headers and all; we tell of every change, without them."""


class Sender(Protocol):
    """Sends an Export…ServiceRequest; blocks for as long as OTEL_EXPORTER_OTLP_TIMEOUT says. Never raises."""

    def send(self, request: bytes) -> Answer: ...

    def close(self) -> None: ...


class Collector:
    """A sender whose answers are fit for the log."""

    def __init__(self, to: Destination, sender: Sender) -> None:
        self._to = to
        self._sender = sender

    def send(self, request: bytes) -> Answer:
        answer = self._sender.send(request)
        failure = None if answer.failure is None else self._to.conceal(answer.failure)
        return replace(answer, failure=failure, message=self._to.conceal(answer.message))

    def close(self) -> None:
        self._sender.close()


def open_collector(environment: Mapping[str, str], signal: Signal) -> Collector | None:
    """None where the signal is to go nowhere, or cannot: the log says why. Slow."""
    if not is_wanted(environment, signal) or (to := destination(environment, signal)) is None:
        return None
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return Collector(to, _sender(to))
    except (OSError, ValueError) as error:
        log.error(f"{signal.value[1]} are not exported", extra={"reason": type(error).__name__})
        return None


def _sender(to: Destination) -> Sender:
    if to.protocol == GRPC:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its core writes to standard error, past the log
        from gateway.trace.collector.grpc import Grpc  # noqa: PLC0415 (slow)

        return Grpc(to)
    from gateway.trace.collector.http import Http  # noqa: PLC0415 (slow)

    return Http(to)
