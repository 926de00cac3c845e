"""R2: a worker that dies, or stops for a minute, leaves nothing held, and takes neither money nor others' streams along."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faults.chaosprov import Chaosprov
from tests.faults.oracle import Call
from tests.ledger import oracle
from tests.ledger.clients import Key, Reply, chat, closed_loop, mixed, new_session, send
from tests.ledger.finding import Finding, at_most, figure, nothing
from tests.ledger.gateway import Account, Gateway, Wanted, serving
from tests.ledger.sampler import AWAY, held

POLICY = """\
version: 1
providers:
  chaos: {{dialect: openai, base_url: "{base_url}", key: sk-chaos-canary, allow_private: true}}
models:
  slow: {{use: "chaos/fault/slow-chunk-{pause}ms", price: {price}, max_output: 4096}}
  random: {{use: chaos/ok-random, price: {price}, max_output: 48}}
tenants:
  acme: {{budget: [{{usd: 100, per: day}}]}}
"""
ENDED = 40.0
"""Seconds within which every reservation of a worker that died has ended."""
SLACK_TOKENS, SLACK_SHARE = 8, 0.02
PAUSE = 400
"""Milliseconds between two chunks of a stream; it has three."""
STOPPED = 60.0
AFTERWARDS = 24
"""Calls that show that the budget can be used again."""


@dataclass(frozen=True, slots=True)
class Size:
    streams: int
    rounds: int


@dataclass(slots=True)
class Round:
    """`cut` are streams that broke off although their worker lived, `ended` the seconds until nothing was held."""

    ended: float
    cut: list[str]
    killed: int
    off: float
    unusable: list[str]


async def crash(folder: Path, size: Size, wanted: Wanted) -> list[Finding]:
    """Kills one of two workers at a random time, again and again. The policy in `wanted` is replaced."""
    dice = random.Random(3)
    async with Chaosprov() as provider:
        policy = POLICY.format(base_url=provider.base_url, pause=PAUSE, price=oracle.PRICE)
        async with serving(folder, replace(wanted, policy=policy)) as gateway:
            key = Key("acme", await gateway.create_key("acme", "acme"))
            rounds = [await _round(gateway, provider, key, size, dice) for _ in range(size.rounds)]
    return [
        figure("streams of killed workers", f"{sum(each.killed for each in rounds):,}"),
        at_most("from kill -9 until nothing is held, s", ENDED, max(each.ended for each in rounds)),
        nothing("streams of the other worker that were cut", [cut for each in rounds for cut in each.cut]),
        at_most("the ledger beside the provider's count, times what is allowed", 1.0, max(each.off for each in rounds)),
        nothing("calls afterwards that were refused", [word for each in rounds for word in each.unusable]),
    ]


async def stop(folder: Path, size: Size, wanted: Wanted, *, times: int) -> list[Finding]:
    """Suspends a worker for a minute, in which its reservations are swept, and lets it go on: it corrects what was assumed."""
    off, unusable, still = [], [], []
    async with Chaosprov() as provider:
        policy = POLICY.format(base_url=provider.base_url, pause=PAUSE, price=oracle.PRICE)
        async with serving(folder, replace(wanted, policy=policy)) as gateway:
            key = Key("acme", await gateway.create_key("acme", "acme"))
            for _ in range(times):
                before, first = _spent(await gateway.accounts()), len(provider.calls)
                streams = asyncio.create_task(Streams(gateway, key, size.streams).run(0))
                await asyncio.sleep(PAUSE / 1000)
                suspended = gateway.workers()[1]
                os.kill(suspended, signal.SIGSTOP)
                await asyncio.sleep(STOPPED)
                still += held((await gateway.accounts()).values())
                os.kill(suspended, signal.SIGCONT)
                await streams
                accounts = await until_nothing_is_held(gateway, ENDED)
                off.append(_off(_spent(accounts) - before, provider.calls[first:]))
                afterwards = await closed_loop(gateway.url, [key], clients=8, calls=AFTERWARDS, draw=mixed)
                unusable += afterwards.others_than("200")
                await until_nothing_is_held(gateway, ENDED)
    return [
        nothing("held after a minute of SIGSTOP", still),
        at_most("the ledger beside the provider's count, times what is allowed", 1.0, max(off)),
        nothing("calls afterwards that were refused", unusable),
    ]


async def _round(gateway: Gateway, provider: Chaosprov, key: Key, size: Size, dice: random.Random) -> Round:
    before, first = _spent(await gateway.accounts()), len(provider.calls)
    victim = dice.choice(gateway.workers())
    streams = Streams(gateway, key, size.streams)
    begun = asyncio.create_task(streams.run(victim))
    await asyncio.sleep(dice.uniform(0.05, 2.5 * PAUSE / 1000))
    streams.note_owners()
    os.kill(victim, signal.SIGKILL)
    killed_at = time.monotonic()
    replies = await begun
    accounts = await until_nothing_is_held(gateway, ENDED + 20)
    ended = time.monotonic() - killed_at
    calls = provider.calls[first:]
    off = _off(_spent(accounts) - before, calls)
    afterwards = await closed_loop(gateway.url, [key], clients=8, calls=AFTERWARDS, draw=mixed)
    await until_nothing_is_held(gateway, ENDED)
    return Round(ended, streams.cut(replies), streams.killed, off, afterwards.others_than("200"))


class Streams:
    """Streams that begin together, each on a connection of its own, and whose worker each is."""

    def __init__(self, gateway: Gateway, key: Key, count: int) -> None:
        self._gateway = gateway
        self._key = key
        self._count = count
        self._victim = 0
        self._survivors: set[int] = set()
        self._ports: dict[int, int] = {}

    @property
    def killed(self) -> int:
        return self._count - len(self._survivors)

    async def run(self, victim: int) -> Sequence[Reply]:
        self._victim = victim
        return await asyncio.gather(*(self._one(number) for number in range(self._count)))

    def note_owners(self) -> None:
        """Just before the kill: which streams the victim does not have."""
        owned = connections_of(self._victim, self._gateway.port)
        self._survivors = {number for number, port in self._ports.items() if port not in owned}

    def cut(self, replies: Sequence[Reply]) -> list[str]:
        return [
            reply.word or "not whole"
            for number, reply in enumerate(replies)
            if number in self._survivors and not (reply.status == 200 and reply.is_whole)
        ]

    async def _one(self, number: int) -> Reply:
        async with new_session() as session:
            request = chat(self._key, f"stream {number}", model="slow", stream=True)
            sending = asyncio.create_task(send(session, self._gateway.url, self._key, request))
            while not sending.done() and number not in self._ports:
                for port in _local_ports(session):
                    self._ports[number] = port
                await asyncio.sleep(0.005)
            return await sending


def _local_ports(session: object) -> list[int]:
    """The ports of a session's open connections."""
    connector = getattr(session, "connector", None)
    protocols = getattr(connector, "_acquired", ())
    transports = [protocol.transport for protocol in protocols if getattr(protocol, "transport", None)]
    return [transport.get_extra_info("sockname")[1] for transport in transports if not transport.is_closing()]


def connections_of(pid: int, port: int) -> set[int]:
    """The clients' ports of the connections to `port` that a process has."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(link))
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        local, remote, inode = words[1].split(":"), words[2].split(":"), words[9]
        if int(local[1], 16) == port and f"socket:[{inode}]" in inodes:
            found.add(int(remote[1], 16))
    return found


async def until_nothing_is_held(gateway: Gateway, patience: float) -> Mapping[str, Account]:
    """The accounts as soon as nothing is held in them, or after `patience` seconds."""
    deadline = time.monotonic() + patience
    accounts: Mapping[str, Account] = {}
    while time.monotonic() < deadline:
        with contextlib.suppress(*AWAY):
            accounts = await gateway.accounts()
            if not held(accounts.values()):
                return accounts
        await asyncio.sleep(0.1)
    return accounts


def _spent(accounts: Mapping[str, Account]) -> int:
    return sum(account.spent for account in accounts.values())


def _off(spent: int, calls: Iterable[Call]) -> float:
    """How far the ledger is from the provider's count, as a multiple of what is allowed of an estimate."""
    listed = list(calls)
    allowed = sum(
        max(oracle.price(*oracle.tokens(call)) * SLACK_SHARE, oracle.price(0, SLACK_TOKENS)) for call in listed
    )
    return abs(spent - oracle.costs(listed)) / max(1, allowed)
