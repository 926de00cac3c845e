"""`llmgw check`: every mistake of a policy, and the outcome of its own tests, without a network unless a judge is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import TextIO

from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.money import usd
from gateway.meter.model_table import ModelTable
from gateway.meter.price import PriceTable
from gateway.meter.tokens import Tokens
from gateway.policy.compile import compile_policy, rehearse
from gateway.policy.judging import Asks, Judging
from gateway.policy.mistakes import PolicyError
from gateway.policy.suite import Ran, run


def check(folder: FilePath, environment: Mapping[str, str], out: TextIO, asks: Asks | None = None) -> int:
    """Writes what is wrong to `out`, or that nothing is; returns the exit status.

    The tests run as if every provider were on, so that their outcome does not depend on who runs them; but judges
    are asked by `asks` alone, with the keys that there are, and without it tests that need them are skipped.
    """
    table = ModelTable()
    try:
        snapshot = compile_policy(folder, environment, PriceTable(Clock()).price, table.abilities)
        judging = Judging(snapshot.routes, asks)
        ran = tried(folder, environment, table, judging)
    except PolicyError as error:
        print(error, file=out)
        return 1
    for failure in ran.failures:
        print(failure, file=out)
    if judging.asked:
        print(_judged(judging), file=out)
    if ran.failures:
        return 1
    routes = snapshot.routes
    own, templates = ran.count - len(snapshot.template_cases), snapshot.templates.named
    counts = f"{len(routes.models) + len(routes.wildcards)} models, {len(routes.rules)} routes, {own} tests"
    print(f"policies OK: {counts}, version {snapshot.version}", file=out)
    if templates:
        versions = ", ".join(f"{name} ({len(each.versions)})" for name, each in sorted(templates.items()))
        print(f"  templates and their versions: {versions}; {len(snapshot.template_cases)} tests", file=out)
    if ran.skipped:
        print(f"  {len(ran.skipped)} tests SKIPPED, as nobody judged them:", file=out)
    for skipped in ran.skipped:
        print(f"    {skipped}", file=out)
    for note in snapshot.notes:
        print(f"  {note}", file=out)
    return 0


def tried(folder: FilePath, environment: Mapping[str, str], table: ModelTable, judging: Judging | None = None) -> Ran:
    """What comes of the policy's tests. It blocks, and must not run in an event loop. Raises PolicyError."""
    rehearsal, cases = rehearse(folder, environment, table.abilities)
    return run(cases, rehearsal, _count, judging)


def _judged(judging: Judging) -> str:
    unknown = f", and {judging.unpriced} of them have no known price" if judging.unpriced else ""
    return f"{judging.asked} answers were judged, for {usd(judging.cost)} USD{unknown}"


def _count(call: Call) -> int:
    return asyncio.run(Tokens().sent(call, call.model))
