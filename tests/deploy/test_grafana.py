"""The shipped dashboards: what Grafana loads, of series that exist, with no panel over another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.metrics import ROOT, unknown
from tests.promtool import promtool

FOLDER = ROOT / "deploy" / "grafana"
FILES = sorted((FOLDER / "dashboards").glob("*.json"))
WIDTH = 24
KINDS = {"row", "timeseries", "stat", "table", "bargauge", "state-timeline"}
BUILT_IN = {"__rate_interval": "5m", "__range": "1h", "__interval": "1m"}
GRAFANA_ITSELF = "-- Grafana --"

Dashboard = dict[str, Any]


def dashboard(file: Path) -> Dashboard:
    loaded: Dashboard = json.loads(file.read_text())
    return loaded


def variables(board: Dashboard) -> dict[str, Dashboard]:
    return {each["name"]: each for each in board["templating"]["list"]}


def expressions(board: Dashboard) -> Iterator[str]:
    """Every PromQL expression, with Grafana's variables."""
    yield from (target["expr"] for panel in board["panels"] for target in panel.get("targets", ()))
    yield from (each["expr"] for each in board["annotations"]["list"] if "expr" in each)
    for each in variables(board).values():
        if each["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", each["definition"])
            assert found is not None, each["definition"]
            yield f"count by ({found[2]}) ({found[1]})"


def filled_in(expression: str, names: Sequence[str]) -> str:
    """As Prometheus gets it. A variable that the dashboard does not have stays, which is no PromQL."""
    for name, value in {**dict.fromkeys(names, "x"), **BUILT_IN}.items():
        expression = re.sub(rf"\${name}\b", value, expression)
    return expression


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def test_there_are_dashboards_with_names_of_their_own() -> None:
    boards = [dashboard(file) for file in FILES]

    assert [file.stem for file in FILES] == [board["uid"] for board in boards]
    assert len({board["title"] for board in boards}) == len(boards) == 5


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
class TestDashboard:
    def test_it_is_what_grafana_loads(self, file: Path) -> None:
        board = dashboard(file)

        assert board["id"] is None
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", board["uid"])
        assert board["schemaVersion"] >= 36
        assert board["title"]
        assert {panel["type"] for panel in board["panels"]} <= KINDS
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
        for panel in board["panels"]:
            assert panel["title"]
            refs = [target["refId"] for target in panel.get("targets", ())]
            assert len(set(refs)) == len(refs)
            assert bool(refs) == (panel["type"] != "row")

    def test_every_query_goes_to_the_data_source_that_is_chosen_above(self, file: Path) -> None:
        board = dashboard(file)
        chosen = {"type": "prometheus", "uid": "${datasource}"}

        assert variables(board)["datasource"]["type"] == "datasource"
        assert variables(board)["datasource"]["query"] == "prometheus"
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        asking = [*panels, *(target for panel in panels for target in panel["targets"]), *board["annotations"]["list"]]
        asking += [each for each in board["templating"]["list"] if each["type"] == "query"]
        assert [
            each for each in asking if each["datasource"] not in (chosen, {"type": "grafana", "uid": GRAFANA_ITSELF})
        ] == []

    def test_panels_fill_the_grid_without_lying_over_each_other(self, file: Path) -> None:
        places = [panel["gridPos"] for panel in dashboard(file)["panels"]]

        for number, place in enumerate(places):
            assert place["w"] > 0
            assert place["h"] > 0
            assert 0 <= place["x"] <= WIDTH - place["w"]
            assert [other for other in places[:number] if overlap(place, other)] == []

    def test_it_asks_only_for_series_and_labels_that_exist(self, file: Path) -> None:
        board = dashboard(file)

        assert unknown(filled_in(each, list(variables(board))) for each in expressions(board)) == set()

    def test_every_expression_is_promql(self, file: Path, tmp_path: Path) -> None:
        board = dashboard(file)
        asked = [filled_in(each, list(variables(board))) for each in expressions(board)]
        assert [each for each in asked if "$" in each] == []

        records = [{"record": f"of:a:panel{number}", "expr": each} for number, each in enumerate(asked)]
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))

        assert f"{len(records)} rules found" in promtool("check", "rules", str(tmp_path / "rules.yaml"))

    def test_legends_show_labels_that_the_expression_keeps(self, file: Path) -> None:
        for panel in dashboard(file)["panels"]:
            for target in panel.get("targets", ()):
                shown = re.findall(r"{{(\w+)}}", target["legendFormat"])
                kept = re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", target["expr"])))
                recorded = ["gen_ai_request_model"] if target["expr"].startswith("llmgw:") else []
                assert set(shown) <= {*kept, *recorded}, (panel["title"], target)


def test_the_provisioned_data_source_and_folder_are_those_of_the_compose_file() -> None:
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]["grafana"]
    sources = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "llmgw.yaml").read_text())["datasources"]
    (folder,) = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "llmgw.yaml").read_text())["providers"]

    assert {source["url"].strip("${}") for source in sources} <= set(compose["environment"])
    uids = {source["uid"] for source in sources}
    (prometheus,) = [source for source in sources if source["type"] == "prometheus"]
    assert {each["datasourceUid"] for each in prometheus["jsonData"]["exemplarTraceIdDestinations"]} <= uids
    assert f"./grafana/dashboards:{folder['options']['path']}:ro" in compose["volumes"]
