"""Whatever stands in the files, compiling gives a snapshot or PolicyError, soon and in little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.deployment import Provider
from gateway.core.money import Price
from gateway.policy.compile import compile_policy
from gateway.policy.mistakes import PolicyError
from gateway.policy.snapshot import Snapshot

SHIPPED = Path(__file__).parents[2] / "policies"
GOLDEN = Path(__file__).parent / "golden"
SWITCHED_ON = {name: "https://x.example.org" for name in ("OPENAI_API_KEY", "AZURE_OPENAI_BASE_URL", "VLLM_BASE_URL")}


def compiled(folder: Path, environment: Mapping[str, str] = SWITCHED_ON) -> Snapshot:
    return compile_policy(folder, environment, unpriced)


def unpriced(provider: Provider, upstream_model: str) -> Price | None:
    return None


@pytest.mark.parametrize("name", sorted(path.name for path in SHIPPED.glob("*.yaml")))
def test_a_shipped_file_cut_anywhere_is_a_snapshot_or_a_mistake(name: str, tmp_path: Path) -> None:
    content = (SHIPPED / name).read_bytes()
    file = tmp_path / name
    for end in range(len(content)):
        file.write_bytes(content[:end])
        with suppress(PolicyError):
            compiled(tmp_path)


def test_a_full_policy_cut_anywhere_is_a_snapshot_or_a_mistake(tmp_path: Path) -> None:
    whole = "".join(
        (GOLDEN / f"{name}.txt").read_text("utf-8").partition("\n-----\n")[0]
        for name in ("tenants", "wildcards", "limits")
    )
    for end in range(len(whole)):
        (tmp_path / "policy.yaml").write_text(whole[:end], "utf-8")
        with suppress(PolicyError):
            compiled(tmp_path)


SECRET = "s3cret-" + "x" * 100
IN_PLACE = {
    "a feature": "routes: [{name: r, match: {has: ['${KEY}']}, model: m}]",
    "a model": "routes: [{name: r, model: '${KEY}'}]",
    "a provider": "models: {n: {use: '${KEY}/m'}}",
    "a duration": "providers: {p: {dialect: openai, base_url: 'https://x.example.org', timeouts: {idle: '${KEY}'}}}",
    "a window": "tenants: {acme: {budget: [{usd: 1, per: '${KEY}'}]}}",
    "a tenant's model": "tenants: {acme: {models: ['${KEY}']}}",
    "a share": "tenants: {acme: {budget: [{usd: 1, per: day, alert_at: ['${KEY}']}]}}",
}


@pytest.mark.parametrize("text", IN_PLACE.values(), ids=IN_PLACE)
def test_a_value_of_the_environment_is_in_no_mistake_wherever_it_stands(text: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        f"version: 1\n{text}\nproviders: {{demo: {{dialect: demo}}}}\n"
        if "providers" not in text
        else f"version: 1\n{text}\n"
    )

    with pytest.raises(PolicyError) as refused:
        compiled(tmp_path, {"KEY": SECRET})

    assert SECRET[:7] not in str(refused.value)


def test_a_value_that_is_the_name_of_its_variable_is_masked_once(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("version: 1\nroutes: [{name: r, model: '${SECRET}'}]\n")

    with pytest.raises(PolicyError, match=r"'\$\{SECRET\}'"):
        compiled(tmp_path, {"SECRET": "SECRET"})


WORDS = st.sampled_from(
    [
        *("version: 1", "providers:", "models:", "routes:", "tenants:", "tests:", "strict:", "demo:", "use:", "price:"),
        *(
            "{dialect: demo}",
            "demo/demo",
            "match:",
            "model:",
            "name:",
            "[",
            "]",
            "{",
            "}",
            ",",
            "- ",
            "\n",
            "\n  ",
            "\n    ",
        ),
        *(
            "&a",
            "*a",
            "!!str",
            "<<:",
            "${X}",
            "${",
            "'",
            '"',
            "|",
            ">",
            "# x",
            "~",
            ".nan",
            "1e400",
            "0x",
            "-1",
            "?",
            ":",
            "%",
        ),
        *(
            "*",
            "fallback:",
            "weight:",
            "tokens_in:",
            "'< 4'",
            "has:",
            "request:",
            "expect:",
            "teams:",
            "keys:",
            "\t",
            "\0",
            "é",
        ),
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.lists(WORDS, max_size=40).map(" ".join), st.text(max_size=200)))
def test_text_that_is_rather_like_yaml_is_a_snapshot_or_a_mistake(text: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(text, "utf-8", "surrogatepass")
    with suppress(PolicyError):
        compiled(tmp_path)


VALUES = st.recursive(
    st.one_of(
        st.integers(), st.floats(), st.booleans(), st.none(), st.sampled_from(["demo", "demo/demo", "5s", "*", "auto"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "version",
                        "providers",
                        "models",
                        "routes",
                        "tenants",
                        "tests",
                        "demo",
                        "dialect",
                        "use",
                        "price",
                    ),
                    *(
                        "in",
                        "out",
                        "fallback",
                        "match",
                        "model",
                        "name",
                        "teams",
                        "keys",
                        "request",
                        "expect",
                        "*",
                        "again",
                    ),
                    *("budget", "rate", "users", "usd", "tokens", "per", "zone", "warn", "rpm", "webhook", "headers"),
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=25,
)


SECTIONS = st.sampled_from(["version", "providers", "models", "routes", "tenants", "alerts", "tests"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sections=st.dictionaries(SECTIONS, VALUES))
def test_any_values_are_a_snapshot_or_a_mistake(sections: Mapping[str, object], tmp_path: Path) -> None:
    text = "\n".join(f"{section}: {flow(value)}" for section, value in sections.items())
    (tmp_path / "policy.yaml").write_text(text, "utf-8")
    with suppress(PolicyError):
        compiled(tmp_path)


def flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {flow(inner)}' for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(inner) for inner in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


BOMBS = {
    "laughs": "a: &a [x,x]\n" + "".join(f"k{i}: &k{i} [*a,*a,*a,*a,*a,*a,*a,*a]\n" for i in range(10_000)),
    "million anchors": "version: [" + "&x 1," * 200_000 + "]",
    "brackets": "[" * 1_000_000,
    "braces": "models: " + "{a: " * 250_000,
    "dashes": "routes:\n  " + "- " * 500_000,
    "question marks": "? " * 500_000,
    "one long word": "models: " + "a" * 1_000_000,
    "one long number": "version: " + "9" * 1_000_000,
    "exclamation marks": "models: !" + "!" * 1_000_000,
    "many entries": "version: 1\ntests:\n" + "- a\n" * 250_000,
    "many wrong keys": "version: 1\nproviders: {" + ",".join(f"{i}: {{x: 1}}" for i in range(20_000)) + "}",
    "many models": "version: 1\nproviders: {demo: {dialect: demo}}\nmodels:\n  a0: {use: demo/0}\n"
    + "".join(f"  a{i}: {{use: demo/{i}, fallback: [a{i - 1}]}}\n" for i in range(1, 10_000)),
    "many loops": "version: 1\nproviders: {demo: {dialect: demo}}\nmodels:\n"
    + "".join(f"  a{i}: {{use: demo/{i}, fallback: [a{i}]}}\n" for i in range(300)),
    "many typos": "version: 1\nproviders: {demo: {dialect: demo}}\nmodels:\n"
    + "".join(f"  {'word' * 10}{i}: {{use: demo/{i}}}\n" for i in range(400))
    + "routes:\n"
    + "".join(f"- {{name: r{i}, match: {{tags: x{i}}}, model: {'word' * 9}{i}}}\n" for i in range(9_000)),
    "many patterns": "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo}}\n"
    "tenants: {a: {keys: [" + ",".join(f'{{name: "*a{i}", rate: {{rpm: 1}}}}' for i in range(20_000)) + "]}}\n",
    "many budgets": "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo}}\n"
    "tenants: {a: {budget: [" + ",".join(f"{{usd: 1, per: {i + 60}}}" for i in range(20_000)) + "]}}\n",
    "too large": "# " + "x" * 2_000_000,
    "NUL": "version: 1\0",
    "UTF-16": "version: 1\n".encode("utf-16").decode("latin-1"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_soon_and_in_little_memory(name: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(BOMBS[name], "latin-1")

    tracemalloc.start()
    with pytest.raises(PolicyError):
        compiled(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 200 * 1024 * 1024


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version: 1\nmodels: {d\xe9mo: {}}\n", "policy.yaml:2:11: the file is not valid UTF-8 here"),
        (b"#" * 1024 * 1024 + b"#", "policy.yaml:1:1: the file is larger than 1 MiB"),
        ("version: 1 # \uf8ff".encode(), "policy.yaml:1:14: this character (U+F8FD to U+F8FF) cannot be used here"),
    ],
)
def test_bytes_that_are_not_text_are_a_mistake_with_its_place(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_bytes(content)

    with pytest.raises(PolicyError) as refusal:
        compiled(tmp_path)

    assert str(refusal.value).removeprefix(f"{tmp_path}/") == message


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    text = "\ufeffversion: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo}}\n"
    (tmp_path / "policy.yaml").write_text(text, "utf-8")

    assert list(compiled(tmp_path).routes.models) == ["demo"]


def test_a_folder_that_is_not_there_or_empty_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read: No such file"):
        compiled(tmp_path / "missing")
    with pytest.raises(PolicyError, match="there is no policy file"):
        compiled(tmp_path)


def test_what_is_not_a_file_is_a_mistake_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(
        "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo}}\n"
    )
    (tmp_path / ".#good.yaml").symlink_to("nobody@nowhere")
    (tmp_path / "folder.yaml").mkdir()
    assert list(compiled(tmp_path).routes.models) == ["demo"]

    (tmp_path / "link.yaml").symlink_to("nowhere")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    with pytest.raises(PolicyError) as refusal:
        compiled(tmp_path)

    assert [mistake.message for mistake in refusal.value.mistakes] == [
        "cannot be read: No such file or directory",
        "cannot be read: it is not a file",
    ]


TEMPLATED = "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo}}\n"


def templated(folder: Path, text: str, name: str = "templates/t.yaml") -> Path:
    (folder / "policy.yaml").write_text(TEMPLATED)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return folder


def test_a_thousand_versions_are_a_template_and_more_a_mistake(tmp_path: Path) -> None:
    def versions(count: int) -> str:
        rows = "".join(f"  {n}: {{messages: [{{user: 'hi {{{{ x }}}} {n}'}}]}}\n" for n in range(1, count + 1))
        return f"variables: {{x: {{}}}}\nlabels: {{production: 1}}\nversions:\n{rows}"

    snapshot = compiled(templated(tmp_path, versions(1000)))
    assert len({each.hash for each in snapshot.templates.named["t"].versions.values()}) == 1000
    with pytest.raises(PolicyError, match="more than 1000 entries"):
        compiled(templated(tmp_path, versions(1001)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &a [x]\nb: *a\n", "anchors"),
        ("versions: " + "{a: " * 5000 + "}" * 5000, "deep"),
        ("x: " + "a" * 1_100_000, "larger than 1 MiB"),
        ("versions: {1: {messages: [{user: '" + "{{ x }}" * 100 + "'}]}}", "no variable 'x'"),
        ("variables: {" + "x" * 500 + ": {}}\nversions: {1: {messages: [{user: hi}]}}", "64"),
        ("variables: {" + "x" * 10_000 + ": {}}\nversions: {1: {messages: [{user: hi}]}}", "not YAML"),
        ("versions: {1: {messages: [{user: '{% raw %}'}]}}", "template_invalid"),
        (
            "versions: {1: {messages: [{user: '" + "{% if 1 %}" * 2000 + "{% endif %}" * 2000 + "'}]}}",
            "template_invalid",
        ),
        ("- 1", "mapping"),
    ],
    ids=["aliases", "depth", "size", "unknown", "a long name", "10 KB", "open", "nested", "a list"],
)
def test_a_hostile_template_is_a_mistake_soon(tmp_path: Path, text: str, words: str) -> None:
    tracemalloc.start()
    with pytest.raises(PolicyError) as refused:
        compiled(templated(tmp_path, text))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert words in str(refused.value)
    assert "templates/t.yaml" in str(refused.value)
    assert peak < 64 * 1024 * 1024


@pytest.mark.parametrize("name", ["😀", "a b", "-x", "x" * 65], ids=["emoji", "space", "sign", "long"])
def test_a_file_with_a_name_that_no_call_could_use_is_a_mistake(tmp_path: Path, name: str) -> None:
    with pytest.raises(PolicyError, match="name is made of"):
        compiled(templated(tmp_path, "versions: {1: {messages: [{user: hi}]}}", f"templates/{name}.yaml"))


def test_a_template_cut_anywhere_is_a_snapshot_or_a_mistake(tmp_path: Path) -> None:
    shipped = SHIPPED / "templates"
    templated(tmp_path, (shipped / "partials" / "honesty.txt").read_text(), "templates/partials/honesty.txt")
    whole = (shipped / "support.yaml").read_text()
    for end in range(0, len(whole), 3):
        with suppress(PolicyError):
            compiled(templated(tmp_path, whole[:end]))
