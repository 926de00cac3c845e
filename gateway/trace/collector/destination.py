"""Where a signal goes and how, read once from OpenTelemetry's variables. What makes it impossible is told at the start."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit, urlunsplit

from gateway.trace.collector.headers import Headers, headers_of
from gateway.trace.collector.variables import choice, first, misread, switch, whole

log = logging.getLogger("llmgw.trace")

HTTP, GRPC = "http/protobuf", "grpc"
SECONDS = 10.0
"""One request may take as long, where OTEL_EXPORTER_OTLP_TIMEOUT says nothing."""
_LEAST_MS, _MOST_MS = 100, 600_000
_SHORTEST_SECRET = 4


class Signal(Enum):
    """The values are how variables and paths call it, and what it is called in the log."""

    TRACES = ("traces", "spans")
    METRICS = ("metrics", "metrics")


@dataclass(frozen=True, slots=True)
class Destination:
    """`url` is an HTTP URL, or gRPC's target. `seconds` is what one request may take in all. `certificate` is a file (or folder)
    of those who are trusted, `client` the files of our own certificate and its key. Not `is_secure`: without TLS."""

    signal: Signal
    protocol: str
    url: str = field(repr=False)
    headers: Headers = field(repr=False)
    seconds: float
    compression: str
    is_secure: bool
    certificate: str | None = None
    client: tuple[str, str | None] | None = None

    def conceal(self, text: str) -> str:
        """What a collector said, or somebody of it, fit for the log: short, on one line, and without what we have sent."""
        parts = urlsplit(self.url)
        said = [value for _, value in parse_qsl(parts.query)] + [
            parts.query,
            parts.password or "",
            parts.username or "",
        ]
        for _, value in self.headers:
            said += [value, *value.split()]
        for secret in sorted({form for each in said for form in (each, quote(each, safe=""))}, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:256]


class UnusableError(Exception):
    """A variable keeps everything from being sent. Its text is the reason, without the value."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(reason)
        self.variable = variable


def is_wanted(environment: Mapping[str, str], signal: Signal) -> bool:
    """`otlp` in OTEL_…_EXPORTER, or nothing there and an endpoint set. What else stands there is told to be ignored."""
    if switch(environment, ("OTEL_SDK_DISABLED",)):
        return False
    variable = f"OTEL_{signal.name}_EXPORTER"
    chosen = {each.strip().lower() for each in environment.get(variable, "").split(",")} - {""}
    served = {"otlp", "none"} | ({"prometheus"} if signal is Signal.METRICS else set())
    if ignored := sorted(chosen - served):
        about = {"variable": variable, "ignored": ",".join(ignored)[:64], "known": ",".join(sorted(served))}
        log.warning("an exporter is not known and is ignored", extra=about)
    return "otlp" in chosen if chosen else bool(first(environment, _names("ENDPOINT", signal))[0])


def destination(environment: Mapping[str, str], signal: Signal) -> Destination | None:
    """None, and an error in the log, if the variables make it impossible."""
    try:
        return _destination(environment, signal)
    except UnusableError as error:
        about = {"variable": error.variable, "reason": str(error)}
        log.error(f"{signal.value[1]} are not exported: a variable makes it impossible", extra=about)
        return None


def _names(what: str, signal: Signal) -> tuple[str, str]:
    return f"OTEL_EXPORTER_OTLP_{signal.name}_{what}", f"OTEL_EXPORTER_OTLP_{what}"


def _destination(environment: Mapping[str, str], signal: Signal) -> Destination:
    protocol = choice(environment, _names("PROTOCOL", signal), (HTTP, GRPC))
    is_grpc = protocol == GRPC
    url, is_secure = _target(environment, signal) if is_grpc else _url(environment, signal)
    variable, text = first(environment, _names("HEADERS", signal))
    return Destination(
        signal,
        protocol,
        url,
        headers_of(variable, text, is_grpc=is_grpc),
        _seconds(environment, signal),
        choice(environment, _names("COMPRESSION", signal), ("none", "gzip", "deflate")),
        is_secure,
        *_certificates(environment, signal, is_secure=is_secure),
    )


def _url(environment: Mapping[str, str], signal: Signal) -> tuple[str, bool]:
    variable, text = first(environment, _names("ENDPOINT", signal))
    parts = _parts(variable, text or "http://localhost:4318")
    if parts.scheme not in ("http", "https"):
        raise UnusableError(variable, "it is no URL that begins with http:// or https://")
    path = parts.path
    if variable != _names("ENDPOINT", signal)[0]:
        path = f"{path.rstrip('/')}/v1/{signal.value[0]}"
    return urlunsplit((parts.scheme, parts.netloc, path or "/", parts.query, "")), parts.scheme == "https"


def _target(environment: Mapping[str, str], signal: Signal) -> tuple[str, bool]:
    variable, text = first(environment, _names("ENDPOINT", signal))
    text = text or "http://localhost:4317"
    if "://" in text and text.lower().startswith("http"):
        parts = _parts(variable, text)
        if parts.scheme not in ("http", "https") or parts.username is not None:
            raise UnusableError(variable, "it is no http:// or https:// URL of a host and a port")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{host}:{port}", parts.scheme == "https"
    return text, not switch(environment, _names("INSECURE", signal))


def _parts(variable: str, text: str) -> SplitResult:
    """Raises UnusableError where it is no URL of a host."""
    try:
        parts = urlsplit(text)
        is_sound = bool(parts.hostname) and parts.port != 0 and not any(each.isspace() for each in text)
        parts.hostname and parts.hostname.encode("idna")
    except ValueError:
        is_sound = False
    if not is_sound:
        raise UnusableError(variable, "it is no URL of a host and a port")
    return parts


def _seconds(environment: Mapping[str, str], signal: Signal) -> float:
    """Milliseconds, as the specification has all durations. Python's SDK reads seconds here, so a number that would be far too
    short is taken for that."""
    names = _names("TIMEOUT", signal)
    milliseconds = whole(environment, names, round(SECONDS * 1000), least=1, most=_MOST_MS) or 0
    if milliseconds >= _LEAST_MS:
        return milliseconds / 1000
    misread(first(environment, names)[0], "it is in milliseconds, and too short: taken as seconds", milliseconds * 1000)
    return float(milliseconds)


def _certificates(
    environment: Mapping[str, str], signal: Signal, *, is_secure: bool
) -> tuple[str | None, tuple[str, str | None] | None]:
    """Raises UnusableError where a file is missing or no certificate: nothing is sent with less trust than was asked for."""
    trusted, own, key = (
        first(environment, _names(what, signal)) for what in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
    )
    if not is_secure:
        for name, _ in (trusted, own, key):
            if name:
                log.warning("a certificate is not used: the endpoint has no TLS", extra={"variable": name})
        return None, None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name, file in (trusted, own, key):
        if name and not Path(file).exists():
            raise UnusableError(name, "there is no such file")
    try:
        name = trusted[0]
        if trusted[1]:
            is_folder = Path(trusted[1]).is_dir()
            context.load_verify_locations(
                cafile=None if is_folder else trusted[1], capath=trusted[1] if is_folder else None
            )
        name = own[0] or key[0]
        if own[1]:
            context.load_cert_chain(own[1], key[1] or None, password="")  # or OpenSSL would ask at the terminal
    except (OSError, ValueError) as error:
        raise UnusableError(
            name, f"it cannot be read: {getattr(error, 'strerror', None) or 'no certificate'}"
        ) from None
    if key[0] and not own[0]:
        log.warning("a key without its certificate is not used", extra={"variable": key[0]})
    return trusted[1] or None, (own[1], key[1] or None) if own[1] else None
