"""The shipped compose file and collector: everything named is there, pinned, and reachable by nobody who should not."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.deploy.metrics import ROOT

FOLDER = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
COLLECTOR: dict[str, Any] = yaml.safe_load((FOLDER / "otel" / "collector.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
WATCHING = {"prometheus", "grafana", "collector", "jaeger"}


def test_the_gateway_starts_without_what_only_watches_it() -> None:
    started = {name for name, service in SERVICES.items() if "profiles" not in service}

    assert started == {"gateway", "redis"}
    assert {name for name in SERVICES if SERVICES[name].get("profiles") == ["observability"]} == WATCHING


@pytest.mark.parametrize("name", SERVICES)
class TestService:
    def test_it_has_no_rights_that_it_does_not_need(self, name: str) -> None:
        service = SERVICES[name]

        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service

    def test_its_image_is_a_version(self, name: str) -> None:
        image = SERVICES[name]["image"]

        assert "build" in SERVICES[name] or re.fullmatch(r"[a-z0-9./-]+:v?\d[\w.-]*", image), image
        assert name not in WATCHING or re.search(r":v?\d+\.\d+\.\d+$", image), image

    def test_only_the_data_plane_is_published_beyond_this_machine(self, name: str) -> None:
        public = [port for port in SERVICES[name].get("ports", ()) if not port.startswith("127.0.0.1:")]

        assert public == (["8080:8080"] if name == "gateway" else [])

    def test_what_it_mounts_and_waits_for_exists(self, name: str) -> None:
        for volume in SERVICES[name].get("volumes", ()):
            source = volume.split(":")[0]
            assert (FOLDER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], volume
        assert set(SERVICES[name].get("depends_on", ())) <= set(SERVICES)


def test_prometheus_is_told_where_its_rules_are_and_who_the_gateway_is() -> None:
    settings = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())
    (job,) = settings["scrape_configs"]
    (found,) = job["dns_sd_configs"]

    assert all((FOLDER / "prometheus" / file).is_file() for file in settings["rule_files"])
    assert job["job_name"] == "llmgw"
    assert set(found["names"]) <= set(SERVICES)
    assert found["port"] == 8081


@pytest.mark.parametrize("pipeline", COLLECTOR["service"]["pipelines"])
def test_every_component_that_a_pipeline_names_is_defined(pipeline: str) -> None:
    for kind, names in COLLECTOR["service"]["pipelines"][pipeline].items():
        assert names
        assert [name for name in names if name not in COLLECTOR[kind]] == []


def test_every_component_that_is_defined_is_used() -> None:
    pipelines = COLLECTOR["service"]["pipelines"].values()

    for kind in ("receivers", "processors", "exporters"):
        assert set(COLLECTOR[kind]) == {name for pipeline in pipelines for name in pipeline[kind]}
    assert set(COLLECTOR["extensions"]) == set(COLLECTOR["service"]["extensions"])


def test_the_collector_limits_its_memory_first_and_batches_last() -> None:
    for pipeline in COLLECTOR["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
        assert pipeline["processors"][-1] == "batch"


def test_calls_that_failed_or_were_slow_keep_their_traces() -> None:
    policies = {each["type"]: each for each in COLLECTOR["processors"]["tail_sampling"]["policies"]}

    assert policies["status_code"]["status_code"]["status_codes"] == ["ERROR"]
    assert policies["latency"]["latency"]["threshold_ms"] > 0
    assert policies["probabilistic"]["probabilistic"]["sampling_percentage"] < 100
    assert COLLECTOR["service"]["pipelines"]["traces"]["processors"].index("tail_sampling") == 1


def test_the_collector_gets_every_variable_that_it_asks_for() -> None:
    asked = set(re.findall(r"^[^#]*\$\{env:(\w+)\}", (FOLDER / "otel" / "collector.yaml").read_text(), re.MULTILINE))

    assert asked == set(SERVICES["collector"]["environment"])


def test_the_example_environment_sends_traces_to_the_collector() -> None:
    example = (FOLDER / ".env.example").read_text()
    port = COLLECTOR["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]

    assert f"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://collector:{port}/v1/traces" in example
