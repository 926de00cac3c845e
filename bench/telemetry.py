"""What telling a collector costs: the same load with one that takes everything, and with OTEL_SDK_DISABLED."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from bench.measures import Sample

OFF = {"OTEL_SDK_DISABLED": "true"}
INTERVAL_MS = 1000


@dataclass(frozen=True, slots=True)
class Telling:
    """`on`: with metrics pushed every second."""

    on: Sample
    off: Sample


@contextmanager
def collector() -> Iterator[Mapping[str, str]]:
    """Runs a collector that looks at nothing; gives the variables that make a gateway push to it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        yield {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": str(INTERVAL_MS)}
    finally:
        server.shutdown()
        server.server_close()


class _Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to say."""
