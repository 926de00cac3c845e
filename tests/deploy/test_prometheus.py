"""The shipped Prometheus files: valid, proven by promtool's own tests, and explained in the runbook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.metrics import ROOT, RULES, rules, unknown
from tests.promtool import promtool

FOLDER = RULES.parent
ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
CASES = FOLDER / "llmgw.rules.test.yaml"


def cases() -> list[dict[str, Any]]:
    return [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["promql_expr_test"]]


def fires(alert: str, case: dict[str, Any]) -> bool:
    return any(f'alertname="{alert}"' in sample["labels"] for sample in case["exp_samples"])


def denies(alert: str, case: dict[str, Any]) -> bool:
    """Whether the case says that the alert, which it asks for, does not fire."""
    asked = re.search(r'alertname=~?"([^"]+)"', case["expr"])
    return asked is not None and re.fullmatch(asked[1], alert) is not None and not fires(alert, case)


def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", str(FOLDER / "prometheus.yml"))


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    promtool("test", "rules", str(CASES))


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_seen_to_fire_and_not_to_fire(alert: str) -> None:
    assert any(fires(alert, case) for case in cases())
    assert any(denies(alert, case) for case in cases())


def test_a_rule_that_is_wrong_would_be_noticed(tmp_path: Path) -> None:
    wrong = RULES.read_text().replace("max_over_time(llmgw_deployment_resting[2m])", "llmgw_deployment_resting")
    proof = yaml.safe_load(CASES.read_text())
    proof["tests"] = [test for test in proof["tests"] if "LlmgwDeploymentResting" in str(test)]
    (tmp_path / RULES.name).write_text(wrong)
    (tmp_path / CASES.name).write_text(yaml.safe_dump(proof))

    with pytest.raises(AssertionError, match="LlmgwDeploymentResting"):
        promtool("test", "rules", str(tmp_path / CASES.name))


def test_rules_ask_only_for_series_and_labels_that_the_manual_promises() -> None:
    assert unknown(rule["expr"] for rule in rules()) == set()


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_is_wrong_and_where_to_read_on(alert: str) -> None:
    annotations, severity = ALERTS[alert]["annotations"], ALERTS[alert]["labels"]["severity"]

    assert severity in ("page", "ticket")
    assert annotations["summary"]
    assert annotations["description"].endswith(".")
    assert annotations["runbook_url"] == f"docs/runbook.md#{alert.lower()}"
    assert f"\n## {alert}\n" in RUNBOOK


@pytest.mark.parametrize("alert", ALERTS)
def test_the_runbook_says_of_each_alert_what_it_means_three_things_to_look_at_and_how_to_mend_it(alert: str) -> None:
    section = RUNBOOK.split(f"\n## {alert}\n")[1].split("\n## ")[0]

    assert "**Means:** " in section
    assert len(re.findall(r"^[123]\. ", section, re.MULTILINE)) == 3
    assert "**Mend:** " in section


def test_the_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    assert set(re.findall(r"^## (Llmgw\w+)$", RUNBOOK, re.MULTILINE)) == set(ALERTS)


def test_the_codes_that_count_as_failures_of_a_model_are_codes_of_the_manual() -> None:
    errors = (ROOT / "docs" / "errors.md").read_text()
    pattern = next(rule["expr"] for rule in rules() if rule.get("record") == "llmgw:model_error_ratio:rate10m")
    listed = re.search(r'error_type=~"([^"]+)"', pattern)
    assert listed is not None
    codes = re.findall(r"\| `((?:upstream_|no_upstream)[a-z_]+)` \|", errors)

    assert {code for code in codes if re.fullmatch(listed[1], code) is None} == set()
    assert set(re.findall(r"[a-z_]+", listed[1])) - {"upstream_"} == {code.removeprefix("upstream_") for code in codes}


def test_the_admin_api_knows_every_filter_and_figure_that_the_runbook_asks_for() -> None:
    manual = (ROOT / "docs" / "observability.md").read_text()
    rows = re.findall(r"^\| `GET ([a-z]+)[^`]*` \| (.*) \|$", manual, re.MULTILINE)
    asked = re.findall(r"ask '?([a-z]+)(?:/ID)?(?:\?([^'`]*))?'?`", RUNBOOK)
    assert len(asked) > 20

    for what, query in asked:
        filters = [text for name, text in rows if name == what]
        assert filters or what == "policies", what
        for name, _, value in (pair.partition("=") for pair in query.split("&") if pair):
            words = value.split(",") if name == "by" else [name]
            assert [word for word in words if f"`{word}`" not in " ".join(filters)] == [], query
