"""Each file under golden/ is a policy, a line `-----`, and what comes of it: a summary, or all of its mistakes.

A line `# file: name.yaml` begins a further file, and a line `# environment: NAME=value …` sets variables. What a user sends in
as a bug becomes a file here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.clock import Clock
from gateway.meter.price import PriceTable
from gateway.policy.compile import compile_policy, rehearse
from gateway.policy.mistakes import PolicyError
from gateway.policy.suite import run
from tests.policies.summary import summary

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.txt"))


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_a_policy_compiles_to_what_its_golden_file_says(golden: Path, tmp_path: Path) -> None:
    policy, _, expected = golden.read_text("utf-8").partition("\n-----\n")

    assert outcome(policy, tmp_path) == expected


def outcome(policy: str, folder: Path) -> str:
    """The summary and the failing tests of a policy, or its mistakes."""
    environment = _write(policy, folder)
    try:
        snapshot = compile_policy(folder, environment, PriceTable(Clock()).price)
        rehearsal, cases = rehearse(folder, environment)
    except PolicyError as error:
        return f"{error}\n".replace(f"{folder}/", "").replace(str(folder), "FOLDER")
    ran = run(cases, rehearsal, lambda call: 10)
    failures = "".join(f"{failure}\n" for failure in ran.failures)
    failures += "".join(f"skipped: {each}\n" for each in ran.skipped)
    return summary(snapshot) + failures.replace(f"{folder}/", "")


def _write(policy: str, folder: Path) -> dict[str, str]:
    environment: dict[str, str] = {}
    files: dict[str, list[str]] = {"policy.yaml": []}
    for line in policy.split("\n"):
        if line.startswith("# environment: "):
            pairs = line.removeprefix("# environment: ").split(" ")
            environment.update((name, value) for name, _, value in (pair.partition("=") for pair in pairs))
        if line.startswith("# file: "):
            files[line.removeprefix("# file: ")] = []
        else:
            files[list(files)[-1]].append(line)
    for name, lines in files.items():
        if lines:
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_text("\n".join(lines) + "\n", "utf-8")
    return environment
