"""R27: in a worker that has more to do than it can, one noisy organisation does not take what is the others'."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tests.ledger.clients import Key, Replies, Request, chat, closed_loop, open_loop
from tests.ledger.finding import Finding, at_most, figure, nothing
from tests.ledger.gateway import Gateway, Wanted, serving

POLICY = """\
version: 1
providers:
  demo: {dialect: demo}
models:
  demo: {use: demo/demo, price: {in: 1, out: 2}}
tenants:
  noisy: {}
  first: {}
  second: {}
"""
QUIET = ("first", "second")
MODEST = 150.0
"""Calls per second of a quiet organisation: far less than an equal share."""
NOISE = 900
"""Clients of the noisy one, which never wait: as many as one address may have connections, and more than a worker can serve."""
LESS = 0.10
OVERLOADED = "503 overloaded"


async def fair(folder: Path, *, seconds: float, wanted: Wanted) -> list[Finding]:
    """First the quiet ones alone, then beside the noise, on one worker. The policy in `wanted` is replaced."""
    async with serving(folder, replace(wanted, policy=POLICY, workers=1)) as gateway:
        keys = {name: Key(name, await gateway.create_key(name, name)) for name in ("noisy", *QUIET)}
        alone = await _rates(gateway, keys, seconds, noise=0)
        beside = await _rates(gateway, keys, seconds, noise=NOISE)
    findings = [figure("answers, alone", _shown(alone)), figure("beside the noise", _shown(beside))]
    for name in QUIET:
        less = 1 - beside[name].words()["200"] / max(1, alone[name].words()["200"])
        findings.append(at_most(f"{name}: answers lost to the noise", LESS, round(less, 3), is_timing=True))
    others = [word for name in keys for word in beside[name].others_than("200", OVERLOADED)]
    return [*findings, nothing("answers that are neither 200 nor 503 overloaded", others)]


async def _rates(gateway: Gateway, keys: Mapping[str, Key], seconds: float, *, noise: int) -> dict[str, Replies]:
    """The replies of each key in so many seconds."""
    until = time.monotonic() + seconds
    noisy = asyncio.create_task(
        closed_loop(
            gateway.url,
            [keys["noisy"]],
            clients=noise,
            calls=0,
            draw=_hello,
            may_end=lambda: time.monotonic() > until,
        )
    )
    quiet = await asyncio.gather(
        *(open_loop(gateway.url, [keys[name]], per_second=MODEST, seconds=seconds, draw=_hello) for name in QUIET)
    )
    return {"noisy": await noisy, **dict(zip(QUIET, quiet, strict=True))}


def _hello(key: Key, number: int, dice: random.Random) -> Request:
    return chat(key, "Say hello", model="demo")


def _shown(replies: Mapping[str, Replies]) -> str:
    told = []
    for name, each in replies.items():
        words, seconds = each.words(), sorted(reply.seconds for reply in each.all if reply.status == 200)
        p99 = seconds[int(len(seconds) * 0.99)] if seconds else 0.0
        told.append(f"{name} {words['200']:,} (p99 {p99 * 1000:,.0f} ms, {words[OVERLOADED]:,} refused)")
    return "; ".join(told)
