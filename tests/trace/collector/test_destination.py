"""Where telemetry goes is read once from OpenTelemetry's variables; what makes no sense is told by name and never by value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.trace.collector.destination import Destination, Signal, destination, is_wanted

HERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
CURED = "\u00e9"


def read(_signal: Signal = Signal.TRACES, /, **variables: str) -> Destination | None:
    return destination({f"OTEL_EXPORTER_OTLP_{name}": value for name, value in variables.items()}, _signal)


def of(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and variable of what was logged."""
    return [(each.levelname, each.__dict__["variable"]) for each in caplog.records]


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://localhost:4318/v1/traces"),
        ({"ENDPOINT": "", "TRACES_ENDPOINT": "  "}, "http://localhost:4318/v1/traces"),
        ({"ENDPOINT": " http://c:1/ "}, "http://c:1/v1/traces"),
        ({"ENDPOINT": "https://c/base"}, "https://c/base/v1/traces"),
        ({"ENDPOINT": "https://c/base?token=1"}, "https://c/base/v1/traces?token=1"),
        ({"TRACES_ENDPOINT": "http://c:1/"}, "http://c:1/"),
        ({"TRACES_ENDPOINT": "http://c:1"}, "http://c:1/"),
        ({"ENDPOINT": "http://[::1]:4318"}, "http://[::1]:4318/v1/traces"),
        ({"PROTOCOL": "grpc"}, "localhost:4317"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "http://c:1/path"}, "c:1"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "https://c"}, "c:443"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "http://[::1]:4317"}, "[::1]:4317"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "c:4317", "INSECURE": "true"}, "c:4317"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "unix:///run/otel.sock"}, "unix:///run/otel.sock"),
    ],
)
def test_the_endpoint(variables: dict[str, str], url: str, caplog: pytest.LogCaptureFixture) -> None:
    found = read(**variables)

    assert found is not None
    assert found.url == url
    assert not caplog.records


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize(
    "endpoint",
    [
        "http://",
        "http://:4318",
        "http://c:port",
        "http://c:99999",
        "http://c:0",
        "http://[::1",
        "http://a b:1",
        "https:///v1",
    ],
)
def test_a_broken_endpoint_is_told_at_the_start(protocol: str, endpoint: str, caplog: pytest.LogCaptureFixture) -> None:
    assert read(ENDPOINT=endpoint, PROTOCOL=protocol) is None
    assert of(caplog) == [("ERROR", "OTEL_EXPORTER_OTLP_ENDPOINT")]
    assert f"'{endpoint}'" not in str(vars(caplog.records[0]))


@pytest.mark.parametrize("endpoint", ["collector:4318", "collector", "/v1/traces", "ftp://c", "grpc://c:4317"])
def test_an_endpoint_without_a_scheme_is_none_for_http(endpoint: str, caplog: pytest.LogCaptureFixture) -> None:
    assert read(TRACES_ENDPOINT=endpoint) is None
    assert of(caplog) == [("ERROR", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")]


@pytest.mark.parametrize(
    ("text", "seconds", "is_told"),
    [
        ("", 10, False),
        ("10000", 10, False),
        ("100", 0.1, False),
        ("600000", 600, False),
        ("10", 10, True),
        ("99", 99, True),
        ("0", 10, True),
        ("600001", 10, True),
        ("2.5", 10, True),
        ("-1", 10, True),
        ("10s", 10, True),
        ("9" * 5000, 10, True),
    ],
)
def test_the_timeout_is_in_milliseconds_and_one_that_is_far_too_short_in_seconds(
    text: str, seconds: float, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    found = read(TIMEOUT=text)

    assert found is not None
    assert found.seconds == seconds
    assert of(caplog) == [("WARNING", "OTEL_EXPORTER_OTLP_TIMEOUT")] * is_told


@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PROTOCOL": "http/json"}, {"protocol": "http/protobuf"}),
        ({"PROTOCOL": "carrier-pigeon"}, {"protocol": "http/protobuf"}),
        ({"COMPRESSION": "tar"}, {"compression": "none"}),
        ({"INSECURE": "maybe", "PROTOCOL": "grpc", "ENDPOINT": "c:1"}, {"is_secure": True}),
    ],
)
def test_what_makes_no_sense_is_told_and_the_default_taken(
    signal: Signal, variables: dict[str, str], expected: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    found = read(signal, **variables)

    assert {name: getattr(found, name) for name in expected} == expected
    assert of(caplog) == [("WARNING", f"OTEL_EXPORTER_OTLP_{next(iter(variables))}")]
    assert "taken" in vars(caplog.records[0])


@pytest.mark.parametrize(
    ("protocol", "text", "headers"),
    [
        ("http/protobuf", "a=1, B = two%20words ,c=x=y,d=,,", {"a": "1", "b": "two words", "c": "x=y", "d": ""}),
        (
            "http/protobuf",
            'a="quoted";b,authorization=Basic dTpw==',
            {"a": '"quoted";b', "authorization": "Basic dTpw=="},
        ),
        ("grpc", "X-Token=1", {"x-token": "1"}),
    ],
)
def test_headers(protocol: str, text: str, headers: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    found = read(HEADERS=text, PROTOCOL=protocol)

    assert found is not None
    assert dict(found.headers) == headers
    assert not caplog.records


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize(
    "header",
    [
        "canary",
        "a=canary%0d%0aX: y",
        f"a=canary{CURED}",
        "a=canary%00",
        "a b=canary",
        "=canary",
        "content-length=canary",
    ],
)
def test_a_header_that_cannot_be_sent_is_told_by_its_place(
    protocol: str, header: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = read(TRACES_HEADERS=f"good=1,{header},better=2", PROTOCOL=protocol)

    assert found is not None
    assert dict(found.headers) == {"good": "1", "better": "2"}
    assert of(caplog) == [("WARNING", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")]
    assert caplog.records[0].__dict__["place"] == 2
    assert "canary" not in str(vars(caplog.records[0]))


@pytest.mark.parametrize("header", ["grpc-timeout=1", "trace-bin=1", "a!b=1"])
def test_a_header_that_grpc_cannot_send_is_told(header: str, caplog: pytest.LogCaptureFixture) -> None:
    found = read(HEADERS=header, PROTOCOL="grpc")

    assert found is not None
    assert found.headers == ()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_certificates(protocol: str, certificates: Mapping[str, str], caplog: pytest.LogCaptureFixture) -> None:
    cert, key = certificates["cert"], certificates["key"]

    found = read(ENDPOINT="https://c", PROTOCOL=protocol, CERTIFICATE=cert, CLIENT_CERTIFICATE=cert, CLIENT_KEY=key)

    assert found is not None
    assert (found.certificate, found.client) == (cert, (cert, key))
    assert not caplog.records


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize(
    ("files", "blamed"),
    [
        ({"CERTIFICATE": "missing"}, "CERTIFICATE"),
        ({"CERTIFICATE": "empty"}, "CERTIFICATE"),
        ({"CERTIFICATE": "key"}, "CERTIFICATE"),
        ({"CLIENT_CERTIFICATE": "missing", "CLIENT_KEY": "key"}, "CLIENT_CERTIFICATE"),
        ({"CLIENT_CERTIFICATE": "cert", "CLIENT_KEY": "missing"}, "CLIENT_KEY"),
        ({"CLIENT_CERTIFICATE": "cert", "CLIENT_KEY": "cert"}, "CLIENT_CERTIFICATE"),
        ({"CLIENT_CERTIFICATE": "cert", "CLIENT_KEY": "locked"}, "CLIENT_CERTIFICATE"),
    ],
)
def test_nothing_is_sent_where_a_certificate_is_missing_or_none(
    protocol: str,
    files: Mapping[str, str],
    blamed: str,
    certificates: Mapping[str, str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    paths = {name: certificates.get(file, str(tmp_path / file)) for name, file in files.items()}

    assert read(ENDPOINT="https://c", PROTOCOL=protocol, **paths) is None
    assert of(caplog) == [("ERROR", f"OTEL_EXPORTER_OTLP_{blamed}")]


def test_a_certificate_without_tls_is_told_to_be_of_no_use(caplog: pytest.LogCaptureFixture) -> None:
    assert read(ENDPOINT="http://c", CERTIFICATE="/nowhere") is not None
    assert of(caplog) == [("WARNING", "OTEL_EXPORTER_OTLP_CERTIFICATE")]


METRICS_HERE = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318/v1/metrics"}
TRACES_HERE = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}
BOTH, NONE = set(Signal), set[Signal]()
TRACES, METRICS = {Signal.TRACES}, {Signal.METRICS}


@pytest.mark.parametrize(
    ("environment", "wanted", "ignored"),
    [
        ({}, NONE, 0),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, NONE, 0),
        (HERE, BOTH, 0),
        (METRICS_HERE, METRICS, 0),
        (TRACES_HERE, TRACES, 0),
        (HERE | {"OTEL_METRICS_EXPORTER": "none"}, TRACES, 0),
        (HERE | {"OTEL_TRACES_EXPORTER": "none"}, METRICS, 0),
        (HERE | {"OTEL_TRACES_EXPORTER": "", "OTEL_METRICS_EXPORTER": " , "}, BOTH, 0),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, METRICS, 0),
        ({"OTEL_METRICS_EXPORTER": "prometheus, OTLP"}, METRICS, 0),
        (HERE | {"OTEL_METRICS_EXPORTER": "prometheus"}, TRACES, 0),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, TRACES, 0),
        ({"OTEL_TRACES_EXPORTER": "otlp,console"}, TRACES, 1),
        ({"OTEL_TRACES_EXPORTER": "console,otlp", "OTEL_METRICS_EXPORTER": "otlp,console"}, BOTH, 2),
        (HERE | {"OTEL_TRACES_EXPORTER": "zipkin"}, METRICS, 1),
        (HERE | {"OTEL_SDK_DISABLED": "TRUE"}, NONE, 0),
        (HERE | {"OTEL_SDK_DISABLED": "false"}, BOTH, 0),
        (HERE | {"OTEL_SDK_DISABLED": "1"}, BOTH, 2),
    ],
)
def test_what_is_exported_and_what_of_that_is_ignored(
    environment: dict[str, str], wanted: set[Signal], ignored: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert {signal for signal in Signal if is_wanted(environment, signal)} == wanted
    assert len(caplog.records) == ignored
