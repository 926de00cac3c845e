"""A whole run as it is printed and kept: results/DATE-TIME.json for machines and .md for people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.kept import Kept
from bench.machine import Cores, Machine
from bench.measures import Effort, Sample
from bench.report import absolute_table, figure, ratio_table, target_table
from bench.scaling import Scaling
from bench.soak import Soak
from bench.summary import Summary
from bench.targets import Target
from bench.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Result:
    machine: Machine
    cores: Cores
    effort: Effort
    versions: Mapping[str, str]
    not_available: Mapping[str, str]
    samples: Mapping[str, Mapping[str, Sequence[Sample]]]
    summaries: Mapping[str, Summary]
    cold_starts: Sequence[float]
    soaked: Soak | None
    scaling: Scaling | None
    telemetry: Telemetry | None
    kept: Kept | None
    notes: Sequence[str]
    targets: Sequence[Target]


def render(result: Result) -> str:
    """The result as Markdown."""
    parts = [
        f"# Benchmark of {result.machine.measured_at}",
        describe_run(result),
        "## Figures",
        absolute_table(result.summaries),
        "\n".join(_remarks(result)),
        "## Ratios",
        ratio_table(result.summaries) or "llmgw was not measured.",
        "## Targets",
        target_table(result.targets) or "llmgw was not measured.",
        describe_scaling(result.scaling) if result.scaling else "",
        describe_soak(result.soaked) if result.soaked else "",
        describe_telemetry(result.telemetry) if result.telemetry else "",
        describe_kept(result.kept) if result.kept else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_result(result: Result, folder: Path) -> Path:
    """Writes both files and returns the Markdown one."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = datetime.now(UTC).strftime("%Y-%m-%d-%H%M")
    (folder / f"{stem}.json").write_text(json.dumps(asdict(result), indent=1) + "\n")
    page = folder / f"{stem}.md"
    page.write_text(render(result))
    return page


def describe_run(result: Result) -> str:
    machine, cores = result.machine, result.cores
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items() if name != "direct")
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gb} GB, kernel {machine.kernel}, "
        f"Python {machine.python}; load average at the start {machine.load_average:.2f}. "
        f"Server on core {cores.server}, mock provider and load on {cores.clients}; "
        f"{result.effort.rounds} interleaved round(s), medians. {versions}."
    )


def describe_scaling(scaling: Scaling) -> str:
    shared = " (the second worker shares its core with the mock and the load)" if scaling.overlapping else ""
    return (
        f"Two workers: {figure(scaling.two.per_second)} req/s against {figure(scaling.one.per_second)}, "
        f"{figure(scaling.by_throughput)}x{shared}; {figure(scaling.two.cpu_us)} CPU µs per call against "
        f"{figure(scaling.one.cpu_us)}, so two free cores would give {figure(scaling.by_cpu)}x. "
        f"The target is read by {'CPU' if scaling.overlapping else 'throughput'}."
    )


def describe_soak(soaked: Soak) -> str:
    return (
        f"RSS of llmgw: {figure(soaked.idle_mb)} MB idle, {figure(soaked.warm_mb)} warm, "
        f"{figure(soaked.after_mb)} after {soaked.calls:,} more calls ({soaked.errors} errors)."
    )


def describe_telemetry(measured: Telemetry) -> str:
    told = [
        f"{kind} {figure(measured.cpu_us(kind))} ({figure(measured.added_us(kind))} more)" for kind in measured.samples
    ]
    return f"CPU µs per call, records and metrics kept in every case: {'; '.join(told)}."


def describe_kept(measured: Kept) -> str:
    told = "; ".join(f"{kind} {figure(measured.cpu_us(kind))}" for kind in measured.samples)
    misses = "; ".join(f"{store} {figure(microseconds)}" for store, microseconds in measured.misses.items())
    return f"CPU µs per call of 0.5 KB, {told}. CPU µs of a lookup that finds nothing: {misses}."


def _remarks(result: Result) -> list[str]:
    missing = [f"- {name}: not available: {why}" for name, why in result.not_available.items()]
    errors = [
        f"- {name}: {sample.errors} of {sample.calls} calls failed in {measure}: {sample.last_error}"
        for name, taken in result.samples.items()
        for measure, samples in taken.items()
        for sample in samples
        if sample.errors
    ]
    return [*missing, *errors, *(f"- {note}" for note in result.notes)]
