"""The policy that ships, and the schema that editors read."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest

from gateway.core.clock import Clock
from gateway.meter.price import PriceTable
from gateway.policy.check import check
from gateway.policy.compile import compile_policy, rehearse
from gateway.policy.json_schema import json_schema
from gateway.policy.schema_template import Parameters, TemplateText
from gateway.policy.suite import run

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "policies"


def test_without_any_key_only_the_demo_provider_is_on() -> None:
    snapshot = compile_policy(SHIPPED, {}, PriceTable(Clock()).price)

    assert list(snapshot.providers) == ["demo"]
    assert list(snapshot.routes.models) == ["demo"]
    assert snapshot.routes.aliases == {"auto"}
    assert not snapshot.tenants.declared
    assert "provider openai is off: OPENAI_API_KEY is not set" in snapshot.notes


def test_a_key_switches_on_its_provider_and_the_models_that_need_it() -> None:
    snapshot = compile_policy(SHIPPED, {"OPENAI_API_KEY": "sk-x"}, PriceTable(Clock()).price)

    assert list(snapshot.routes.models) == ["demo", "gpt-4o", "gpt-4o-mini", "text-embedding-3-small"]
    assert [pattern for pattern, _ in snapshot.routes.wildcards] == ["openai/*"]
    assert all(each.price for model in snapshot.routes.models.values() for each in model.deployments)
    assert "sk-x" not in repr(snapshot)


def test_every_row_is_right_once_all_variables_are_set() -> None:
    names = [
        word[2:].partition("}")[0] for word in (SHIPPED / "providers.yaml").read_text().split() if word[:2] == "${"
    ]
    environment = {name: "https://x.example.org/v1" for name in names}

    snapshot = compile_policy(SHIPPED, environment, PriceTable(Clock()).price)

    assert snapshot.notes == ()
    assert len(snapshot.providers) == 18
    for pattern, resolve in snapshot.routes.wildcards:
        name = pattern.replace("*", "x")
        assert [each.name for each in resolve(name).deployments] == [name]


def test_the_shipped_policy_passes_its_own_tests() -> None:
    out = io.StringIO()

    assert check(SHIPPED, {}, out) == 0
    assert out.getvalue().startswith("policies OK: 1 models, 1 routes, 5 tests, version ")


def test_a_mistake_is_told_with_its_place_and_the_exit_status(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("version: 1\nproviders: {demo: {dialect: demo}}\nmodls: {}\n")
    out = io.StringIO()

    assert check(tmp_path, {}, out) == 1
    assert f"{tmp_path}/policy.yaml:3:1: unknown key 'modls'; did you mean 'models'?\n" in out.getvalue()


def test_a_failing_test_is_told_with_its_place_and_the_exit_status(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo}}\n"
        "tests:\n  - {name: wrong, request: {model: demo}, expect: {route: auto}}\n"
    )
    out = io.StringIO()

    assert check(tmp_path, {}, out) == 1
    assert out.getvalue() == f"{tmp_path}/policy.yaml:5:6: test 'wrong': expected route auto, took no route\n"


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_file_tells_editors_its_schema(file: Path) -> None:
    first, *_ = file.read_text().splitlines()

    assert first == "# yaml-language-server: $schema=../docs/policy.schema.json"


def test_the_published_schema_is_the_one_in_force() -> None:
    published = (ROOT / "docs" / "policy.schema.json").read_text()

    assert published == json_schema(), "write it anew: python -m gateway.policy.json_schema > docs/policy.schema.json"


def test_the_published_schema_of_templates_is_the_one_in_force() -> None:
    published = (ROOT / "docs" / "template.schema.json").read_text()

    assert published == json_schema(TemplateText)


def test_the_shipped_template_tells_editors_its_schema_and_has_a_version_to_try() -> None:
    template = compile_policy(SHIPPED, {}, PriceTable(Clock()).price).templates.named["support"]

    assert (
        (SHIPPED / "templates" / "support.yaml")
        .read_text()
        .startswith("# yaml-language-server: $schema=../../docs/template.schema.json\n")
    )
    assert template.rollout is not None
    assert (template.rollout.weights, template.labels) == ({1: 90, 2: 10}, {"production": 1, "staging": 2})


def test_the_manual_of_templates_names_every_key_and_its_example_is_one(tmp_path: Path) -> None:
    manual = (ROOT / "docs" / "templates.md").read_text()
    keys = {key for section in json.loads(json_schema(TemplateText))["$defs"].values() for key in section["properties"]}
    _, _, rest = manual.partition("```yaml\n")
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {gpt-4o-mini: {use: demo/demo}}\n"
    )
    (tmp_path / "templates" / "partials").mkdir(parents=True)
    (tmp_path / "templates" / "partials" / "honesty.txt").write_text("Be honest.\n")
    (tmp_path / "templates" / "support.yaml").write_text(rest.partition("```")[0])
    out = io.StringIO()

    assert check(tmp_path, {}, out) == 0, out.getvalue()
    assert {key for key in keys if key not in manual} - set(Parameters.model_fields) == set()


def test_a_thousand_tests_of_a_policy_run(tmp_path: Path) -> None:
    rules = "".join(f"  - {{name: r{i}, match: {{tags: t{i}, tokens_in: '< 400'}}, model: demo}}\n" for i in range(50))
    cases = "".join(
        f"  - {{name: t{i}, request: {{tags: t{i % 50}, model: demo, tokens_in: 5}}, expect: {{route: r{i % 50}}}}}\n"
        for i in range(1000)
    )
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo}}\n"
        f"routes:\n{rules}tests:\n{cases}"
    )
    started = time.perf_counter()

    snapshot, compiled = rehearse(tmp_path, {})
    read = time.perf_counter()
    failures = run(compiled, snapshot, lambda call: 0).failures

    print(f"1,000 tests: {read - started:.3f} s to compile, {time.perf_counter() - read:.3f} s to run")
    assert (len(compiled), failures) == (1000, [])


def test_the_example_in_the_manual_passes_its_own_tests(tmp_path: Path) -> None:
    _, _, rest = (ROOT / "docs" / "policy.md").read_text().partition("```yaml\n")
    (tmp_path / "policy.yaml").write_text(rest.partition("```")[0])
    out = io.StringIO()

    assert check(tmp_path, {}, out) == 0, out.getvalue()


def test_the_manual_names_every_key_of_the_schema() -> None:
    manual = (ROOT / "docs" / "policy.md").read_text()
    keys = {key for section in json.loads(json_schema())["$defs"].values() for key in section.get("properties", {})}

    assert {key for key in keys if f"{key}" not in manual} == set()
