"""R27: in a worker that has more to do than it can, one noisy organisation does not take what is the others'."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from bench.contender import Contender, Site, free_port
from bench.contenders.llmgw import GATEWAY, create_key, policy
from bench.load import Loader, Order, Outcome
from bench.machine import choose_cores
from bench.programs import compile_programs
from bench.stage import set_stage
from bench.startup import MODEL
from tests.ledger.finding import Finding, at_least, at_most, figure

QUIET = ("first", "second")
TENANTS = "tenants: {noisy: {}, first: {}, second: {}}\n"
MODEST = 0.6
"""What a quiet organisation asks for, in equal shares of what the worker can do."""
NOISE = 10.0
"""The same of the noisy one."""
FEW, MANY = 64, 400
"""Connections of a quiet organisation, and of the noisy one."""
LESS = 0.10
GOODPUT = 0.9
CALM = 1.0
"""Seconds for which the quiet ones are alone before the noise begins."""


def fair(build: Path, *, seconds: float) -> list[Finding]:
    """What one worker can do; then the quiet organisations alone, and beside the noise."""
    with set_stage(build, compile_programs(build), choose_cores()) as stage:
        contender, keys = _prepare(stage.site())
        with stage.start(contender):
            asking = {name: replace(contender, headers=_header(key)) for name, key in keys.items()}
            peak = stage.loader.run(asking["first"], Order(MODEL, FEW, seconds)).per_second
            share = peak / len(keys)
            alone = _quiet(stage.loader, asking, share, seconds)
            with ThreadPoolExecutor(1) as pool:
                order = Order(MODEL, MANY, seconds, rate=NOISE * share, after=CALM)
                noise = pool.submit(stage.loader.run, asking["noisy"], order)
                beside = _quiet(stage.loader, asking, share, CALM + seconds)
                noisy = noise.result()
    return list(_findings(peak, alone, beside, noisy))


def _findings(
    peak: float, alone: Mapping[str, Outcome], beside: Mapping[str, Outcome], noisy: Outcome
) -> list[Finding]:
    findings = [
        figure("calls/s of one worker at its peak", f"{peak:,.0f}"),
        figure("answers/s, alone", _shown(alone)),
        figure("answers/s beside the noise", _shown({**beside, "noisy": noisy})),
    ]
    for name in QUIET:
        less = 1 - beside[name].per_second / alone[name].per_second
        findings.append(at_most(f"{name}: answers lost to the noise", LESS, round(less, 3), is_timing=True))
    good = noisy.per_second + sum(outcome.per_second for outcome in beside.values())
    findings.append(at_least("answers/s beside the noise, of the peak", GOODPUT, round(good / peak, 3), is_timing=True))
    wrong = {each.last_error for each in (*beside.values(), noisy) if each.errors > each.refused + each.unanswered}
    return [*findings, at_most("answers that are neither 200 nor 503", 0, len(wrong))]


def _quiet(loader: Loader, asking: Mapping[str, Contender], share: float, seconds: float) -> dict[str, Outcome]:
    order = Order(MODEL, FEW, seconds, rate=MODEST * share)
    with ThreadPoolExecutor(len(QUIET)) as pool:
        running = {name: pool.submit(loader.run, asking[name], order) for name in QUIET}
        return {name: each.result() for name, each in running.items()}


def _shown(outcomes: Mapping[str, Outcome]) -> str:
    return "; ".join(
        f"{name} {each.per_second:,.0f} (p99 {each.p99_ms:,.0f} ms, {each.refused:,} refused)"
        for name, each in outcomes.items()
    )


def _prepare(site: Site) -> tuple[Contender, Mapping[str, str]]:
    policies, data, port = site.scratch / "policies", site.scratch / "data", free_port()
    policies.mkdir(parents=True)
    (policies / "bench.yaml").write_text(policy(site.mock_url) + TENANTS)
    keys = {name: create_key(data, "--tenant", name) for name in ("noisy", *QUIET)}
    serve = [*GATEWAY, "serve", "--policies", str(policies), "--data", str(data)]
    serve += ["--port", str(port), "--admin-port", str(free_port())]
    contender = Contender(name="llmgw", version="", port=port, command=tuple(serve), headers=_header(keys["noisy"]))
    return contender, keys


def _header(key: str) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {key}"),)
