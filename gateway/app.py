"""The composition root: builds every part of one worker, and takes it down again. The one file that knows them all."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from gateway.auth.keyring import Keyring
from gateway.auth.virtual_key import mint, ready_made_admin_key, ready_made_key, virtual_key
from gateway.auth.wanted import Wanted
from gateway.budget.budgets import Budgets
from gateway.budget.journal import open_journal as open_budget_journal
from gateway.budget.teller import Teller
from gateway.cache.assemble import assemble
from gateway.cache.claim import Cache
from gateway.cache.keep import Keeper
from gateway.cache.place import cache_pepper
from gateway.cache.purges import Purges
from gateway.cache.replay import Replays
from gateway.cache.semantic.asked import Meanings
from gateway.cache.semantic.start import OnDemand
from gateway.cache.shared.flights import SharedFlights
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.secret import Secret
from gateway.core.tasks import Tasks
from gateway.core.tenant import Tenant
from gateway.files.named import NamedFiles
from gateway.filing.filing import Filing
from gateway.flow import Flow
from gateway.in_force import put_into_force
from gateway.ingress.admin.api import Admin
from gateway.ingress.admin.server import serve
from gateway.ingress.anthropic.endpoints import SPEECHES
from gateway.ingress.data_plane import DataPlane
from gateway.ingress.listening import bind
from gateway.ingress.proxies import Proxies
from gateway.ingress.request import Limits
from gateway.ingress.responses.kept import KeptResponses
from gateway.ingress.server import Server
from gateway.meter.bill import Meter
from gateway.meter.bound import Bounds
from gateway.meter.tokens import Tokens
from gateway.own_calls import ORGANISATION, OwnCalls
from gateway.policy.current import Current
from gateway.policy.watch import Watch
from gateway.realtime.flow import RealtimeFlow
from gateway.route.certificate.certificates import Certificates
from gateway.route.conversation import conversation_of
from gateway.route.learned import LearnedScores
from gateway.route.pins import Beginnings, Pins
from gateway.route.router import Router
from gateway.route.trials import Trials
from gateway.settings import Settings
from gateway.store.contract import CacheStore, Store
from gateway.store.fleet import Fleet
from gateway.store.open import open_store
from gateway.store.synchronise import Followers, announce, begin
from gateway.telemetry import Worker, open_telemetry
from gateway.template.prompts import Prompts, Talk
from gateway.template.rollout.rollouts import Rollouts
from gateway.template.rollout.shadow import Shadows
from gateway.trace.journal import Journal
from gateway.trace.recorder import Recorder
from gateway.trace.story import tell
from gateway.upstream.bridge.exchange import Bridge
from gateway.upstream.demo import Demo
from gateway.upstream.demo_session import DemoLine
from gateway.upstream.dialects import DIALECTS
from gateway.upstream.health import Health
from gateway.upstream.observed import Observed
from gateway.upstream.open import Upstream
from gateway.upstream.pool import Pool
from gateway.upstream.sessions import OpenAILine, Sessions
from gateway.upstream.webhook import post

log = logging.getLogger("llmgw")


@dataclass(slots=True)
class Running:
    """A worker that serves. `url` is where, `admin_url` where admins go: to worker 0 alone.

    `key` and `admin_key` are the ready-made ones, where those are valid.
    """

    url: str
    key: Secret | None
    admin_key: Secret | None
    policy: Current
    watch: Watch
    server: Server
    pool: Pool
    budgets: Budgets
    journal: Journal
    cache: CacheStore
    meanings: Meanings
    route: Router
    rollouts: Rollouts
    tasks: Tasks
    admin_url: str | None = None
    is_draining: bool = False

    async def drain(self, *, delay: float, limit: float) -> None:
        """Says no to readiness at once, keeps serving for `delay` seconds, then ends within `limit`."""
        self.is_draining = True
        self.server.retire()
        await asyncio.sleep(delay)
        await self.server.drain(limit)


@asynccontextmanager
async def running(
    settings: Settings, *, number: int = 0, records_to: int | None = 1, shared: Path | None = None
) -> AsyncIterator[Running]:
    """Worker `number`, serving until the block is left. `records_to` is the descriptor that gets a line for each call,
    `shared` the folder where workers tell each other their metrics, if there are several.

    Raises OpenError (the store), PolicyError, OSError (a port that is taken).
    """
    clock, random, tasks = Clock(), Random(), Tasks()
    async with AsyncExitStack() as closing:
        tokens = Tokens()
        store = await open_store(settings.store, settings.data, pepper=settings.pepper, clock=clock)
        closing.push_async_callback(store.close)
        in_force = await put_into_force(settings, store, tokens, clock)
        policy, watch = in_force.policy, in_force.watch
        instance = f"{socket.gethostname()}:{os.getpid()}"
        told_by = Worker(number, instance, shared, records_to)
        pool, fleet = Pool(), Fleet(store.versions)
        rollouts = _open_rollouts(policy, store, pool, tasks=tasks, clock=clock)
        telemetry = await closing.enter_async_context(
            open_telemetry(settings, policy, told_by, store.calls, clock, also=[rollouts.see])
        )
        closing.push_async_callback(tasks.close)

        key = ready_made_key(store.pepper) if settings.is_for_trying_out else None
        own_key, own_credential = mint(Wanted(name="llmgw", tenant=ORGANISATION), store.pepper, now=0)
        standing = [own_key, *([virtual_key(key, Wanted(name="ready-made"), store.pepper)] if key else [])]
        keyring = Keyring(
            store.keys, store.pepper, tasks=tasks, standing=standing, max_stale=settings.auth_max_stale, clock=clock
        )

        def publish(deployment: str, until: float, reason: str) -> None:
            tasks.start(_unless_away(store.cooldowns.publish(deployment, until, reason)), name="cooldown")

        health, observed, refused = Health(clock, publish), Observed(clock), Counter[str]()
        bridge = Bridge(tasks)
        closing.callback(pool.close)
        budgets = _open_budgets(
            settings, policy, store, instance, tokens=tokens, fleet=fleet, pool=pool, tasks=tasks, clock=clock
        )
        closing.push_async_callback(budgets.close)
        purges, own_calls = Purges(store.cache), OwnCalls(own_credential)
        meanings = OnDemand(
            store.meanings,
            pepper=cache_pepper(store.pepper),
            embeds=own_calls,
            judges=own_calls,
            tasks=tasks,
            clock=clock,
        )
        closing.push_async_callback(meanings.close)
        flow = own_calls.flow = Flow(
            policy=policy,
            auth=keyring,
            files=NamedFiles(store.pepper),
            route=(
                router := await closing.enter_async_context(
                    _router(store, own_calls, observed, tasks=tasks, clock=clock)
                )
            ),
            template=await closing.enter_async_context(_prompts(router, rollouts, own_calls, tasks)),
            budget=budgets,
            cache=Cache(
                Replays(store.replays, tasks),
                Keeper(store.cache, purges, store.pepper, clock),
                tasks,
                clock,
                meanings,
                None if store.flights is None else SharedFlights(store.flights, store.pepper, tasks, clock),
            ),
            upstream=Upstream(
                wires={**dict.fromkeys(DIALECTS, pool), "demo": Demo(), "litellm": bridge},
                health=health,
                clock=clock,
                random=random,
                tasks=tasks,
                observed=observed,
            ),
            meter=Meter(tokens, tasks),
            trace=Recorder(
                telemetry.journal.begin,
                telemetry.journal.write,
                telemetry.journal.find,
                telemetry.sampler,
                clock,
                random,
            ),
        )

        telemetry.ask(health, budgets, refused, cache=store.cache, meanings=meanings, route=router, rollouts=rollouts)

        def unready() -> str | None:
            return "the gateway is shutting down" if worker.is_draining else None

        server = Server(
            DataPlane(
                flow,
                Filing(policy, keyring, budgets, flow.trace, pool, store.pepper, clock),
                RealtimeFlow(
                    policy=policy,
                    auth=keyring,
                    budget=budgets,
                    route=router,
                    upstream=Sessions({"openai": OpenAILine(pool.dialler), "demo": DemoLine()}, health, clock),
                    meter=flow.meter,
                    trace=flow.trace,
                    tasks=tasks,
                    clock=clock,
                ),
                kept=KeptResponses(store.responses, store.pepper),
                now=clock.now,
                unready=unready,
            ).routes(),
            limits=Limits(body=settings.max_body),
            policy_version=lambda: policy.current.version,
            refused=refused,
            proxies=Proxies(settings.trusted_proxies),
            speeches=SPEECHES,
        )
        closing.push_async_callback(server.drain, 0)
        sock = bind(settings.host, settings.port)
        worker = Running(
            url=f"http://{settings.host}:{sock.getsockname()[1]}",
            key=key,
            admin_key=settings.admin_key or (ready_made_admin_key(store.pepper) if key else None),
            policy=policy,
            watch=watch,
            server=server,
            pool=pool,
            budgets=budgets,
            journal=telemetry.journal,
            cache=store.cache,
            meanings=meanings,
            route=router,
            rollouts=rollouts,
            tasks=tasks,
        )
        loops: dict[str, Coroutine[Any, Any, None]] = {
            "policy watch": watch.run(),
            **({"policy history": in_force.history.run()} if number == 0 else {}),
            "synchronise": await begin(store, Followers(keyring, health.hear, purges, in_force.stored)),
            "announce": announce(store, instance, lambda: policy.current.version),
            "fleet": fleet.run(),
            "budgets": budgets.run(settings.data),
            **flow.cache.loops(),
            **router.loops(lambda: policy.current.routes),
            "rollouts": await rollouts.begin(lambda: policy.current.templates.named),
            **telemetry.loops(),
            "upstream deadlines": pool.sweep(),
            "client deadlines": server.sweep(),
            "litellm": bridge.run(lambda: tuple(policy.current.providers.values())),
        }
        for name, work in loops.items():
            tasks.start(work, name=name)
        for rule in policy.current.cache.semantic:
            meanings.begin(rule)
        await server.listen(sock)
        if number == 0:
            admin = Admin(
                key=worker.admin_key,
                store=store,
                journal=telemetry.journal,
                policy=policy,
                watch=watch,
                folder=settings.policies,
                trying=in_force.trying,
                stored=in_force.stored,
                tokens=tokens,
                history=in_force.history,
                resting=health.resting,
                observed=observed.all,
                budgets=budgets,
                certificates=router.certificates,
                rollouts=rollouts,
                metrics=telemetry.metrics,
                purges=purges,
                meanings=meanings,
                reports=flow.cache,
                unready=unready,
                clock=clock,
                tell=tell,
            )
            admin_sock = bind(settings.admin_host, settings.admin_port)
            closing.push_async_callback(await serve(admin.application(), admin_sock))
            worker.admin_url = f"http://{settings.admin_host}:{admin_sock.getsockname()[1]}"
        yield worker


def _open_budgets(
    settings: Settings,
    policy: Current,
    store: Store,
    instance: str,
    *,
    tokens: Tokens,
    fleet: Fleet,
    pool: Pool,
    tasks: Tasks,
    clock: Clock,
) -> Budgets:
    owner = f"{instance}:{secrets.token_hex(4)}"
    journal = open_budget_journal(settings.data, owner)

    def notify(message: Mapping[str, object]) -> None:
        if (webhook := policy.current.limits.webhook) is not None:
            tasks.start(post(pool, webhook, message), name="webhook")

    return Budgets(
        Teller(store.ledger, owner, note=journal.note, tasks=tasks, clock=clock),
        escrow=settings.escrow,
        estimates=Bounds(tokens),
        workers=fleet.size,
        notify=notify,
        tasks=tasks,
        clock=clock,
        journal=journal,
    )


def _open_rollouts(policy: Current, store: Store, pool: Pool, *, tasks: Tasks, clock: Clock) -> Rollouts:
    pepper = blake2b(store.pepper.reveal().encode(), digest_size=32, person=b"templates").digest()

    def tell(message: Mapping[str, object]) -> None:
        log.warning("a version of a template was stepped back", extra={"told": message})
        if (webhook := policy.current.limits.webhook) is not None:
            tasks.start(post(pool, webhook, message), name="webhook")

    return Rollouts(store.meanings.earned, lambda: secrets.token_hex(6), clock, tell, pepper=pepper)


@asynccontextmanager
async def _router(
    store: Store, own_calls: OwnCalls, observed: Observed, *, tasks: Tasks, clock: Clock
) -> AsyncIterator[Router]:
    """To be left before the budgets are closed: what it asks in the background holds money."""
    random = SystemRandom()
    pepper = blake2b(store.pepper.reveal().encode(), digest_size=32, person=b"certificates").digest()
    certificates = Certificates(store.meanings.earned, lambda: secrets.token_hex(6), clock, pepper=pepper)
    scores = LearnedScores(store.meanings.earned, pepper=pepper)
    trials = Trials(certificates, scores, own_calls, own_calls.note, tasks, random, assemble=assemble)
    pins = Pins(store.pins, tasks, clock, pepper=pepper)
    try:
        yield Router(clock, random, observed, pins, certificates, scores, trials)
    finally:
        await trials.close()


@asynccontextmanager
async def _prompts(router: Router, rollouts: Rollouts, own_calls: OwnCalls, tasks: Tasks) -> AsyncIterator[Prompts]:
    """To be left before the budgets are closed, as the router is."""
    shadows = Shadows(own_calls, rollouts.held, tasks, SystemRandom())
    try:
        yield Prompts(_talk, Beginnings(router.pins), rollouts.held, rollouts.hear, shadows)
    finally:
        await shadows.close()


def _talk(call: Call, tenant: Tenant) -> Talk:
    conversation = conversation_of(call, tenant)
    return Talk(conversation.id, conversation.is_new)


async def _unless_away(work: Coroutine[Any, Any, None]) -> None:
    with suppress(Overloaded):
        await work
