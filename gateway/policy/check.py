"""`llmgw check`: every mistake of a policy, and the outcome of its own tests, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import TextIO

from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.meter.model_table import ModelTable
from gateway.meter.price import PriceTable
from gateway.meter.tokens import Tokens
from gateway.policy.compile import compile_policy, rehearse
from gateway.policy.mistakes import PolicyError
from gateway.policy.source.folder import NONE_STORED
from gateway.policy.suite import Failure, run


def check(folder: FilePath, environment: Mapping[str, str], out: TextIO) -> int:
    """Writes what is wrong to `out`, or that nothing is; returns the exit status.

    The tests run as if every provider were on, so that their outcome does not depend on who runs them.
    """
    table = ModelTable()
    try:
        snapshot = compile_policy(folder, environment, PriceTable(Clock()).price, table.abilities)
        count, failures = tried(folder, environment, table)
    except PolicyError as error:
        print(error, file=out)
        return 1
    for failure in failures:
        print(failure, file=out)
    if failures:
        return 1
    routes = snapshot.routes
    own, templates = count - len(snapshot.template_cases), snapshot.templates.named
    counts = f"{len(routes.models) + len(routes.wildcards)} models, {len(routes.rules)} routes, {own} tests"
    print(f"policies OK: {counts}, version {snapshot.version}", file=out)
    if templates:
        versions = ", ".join(f"{name} ({len(each.versions)})" for name, each in sorted(templates.items()))
        print(f"  templates and their versions: {versions}; {len(snapshot.template_cases)} tests", file=out)
    for note in snapshot.notes:
        print(f"  {note}", file=out)
    return 0


def tried(
    folder: FilePath, environment: Mapping[str, str], table: ModelTable, stored: Mapping[str, bytes] = NONE_STORED
) -> tuple[int, Sequence[Failure]]:
    """How many tests the policy has, and those that fail. It blocks, and must not run in an event loop. Raises PolicyError."""
    rehearsal, cases = rehearse(folder, environment, table.abilities, stored=stored)
    return len(cases) + len(rehearsal.template_cases), run(cases, rehearsal, _count)


def _count(call: Call) -> int:
    return asyncio.run(Tokens().sent(call, call.model))
