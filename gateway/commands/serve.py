"""`llmgw serve`: the gateway as a process, or as several that share one port."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from gateway.app import Running, running
from gateway.ingress.listening import bind
from gateway.policy.mistakes import PolicyError
from gateway.settings import Settings, add_flags, from_arguments
from gateway.store.contract import OpenError
from gateway.trace.log import start_logging
from gateway.trace.metrics.shared import begin_run
from gateway.workers import Workers

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_HURRIED_DRAIN = 5.0
_PARENT_SECONDS = 0.5


def add_parser(subparsers: Subparsers) -> None:
    add_flags(subparsers.add_parser("serve", help="serve the data plane and the admin API"), os.environ)


def run(args: argparse.Namespace) -> int:
    faulthandler.enable()
    settings = from_arguments(args, os.environ)
    if not settings.share_port:
        try:
            for host, port in ((settings.host, settings.port), (settings.admin_host, settings.admin_port)):
                bind(host, port, shared=False).close()
        except OSError as error:
            print(f"llmgw serve: {error}", file=sys.stderr)
            return 1
    if settings.workers == 1:
        return _work(settings, 0)
    try:
        shared = begin_run(settings.data)
    except OSError as error:
        print(f"llmgw serve: {error}", file=sys.stderr)
        return 1
    try:
        return Workers(settings.workers, lambda number: _work(settings, number, shared.folder)).run()
    finally:
        shared.close()


def _work(settings: Settings, number: int, shared: Path | None = None) -> int:
    """Runs one worker to its end and gives its exit code. `shared` is where it tells the others its metrics."""
    listener = start_logging(settings.log_level)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, number, shared))
    except (PolicyError, OpenError, OSError) as error:
        print(f"llmgw serve: {error}", file=sys.stderr)
        return 1
    finally:
        listener.stop()
    return 0


async def _serve(settings: Settings, number: int, shared: Path | None) -> None:
    async with running(settings, number=number, shared=shared) as worker:
        signals = _Signals(worker)
        if settings.workers > 1:
            worker.tasks.start(_end_with_parent(os.getppid(), signals), name="parent watch")
        if number == 0:
            _welcome(worker, settings.environment)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        await signals.stop.wait()
        delay = 0.0 if signals.hurry.is_set() else settings.drain_delay
        drain = asyncio.ensure_future(worker.drain(delay=delay, limit=settings.drain_timeout))
        hurry = asyncio.ensure_future(signals.hurry.wait())
        await asyncio.wait([drain, hurry], return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not drain.done():
            drain.cancel()
            await worker.drain(delay=0, limit=min(_HURRIED_DRAIN, settings.drain_timeout))


class _Signals:
    """SIGTERM drains; a second one, or SIGINT, hurries; SIGHUP reads the policies again."""

    def __init__(self, worker: Running) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGHUP, lambda: worker.tasks.start(worker.watch.reload(), name="reload"))

    def _stop(self) -> None:
        if self.stop.is_set():
            self.hurry.set()
        self.stop.set()

    def _interrupt(self) -> None:
        self.hurry.set()
        self.stop.set()


async def _end_with_parent(parent: int, signals: _Signals) -> None:
    """Drains when the process that started the workers has been killed: nobody would end them otherwise."""
    while os.getppid() == parent:  # noqa: ASYNC110 (no event tells of it)
        await asyncio.sleep(_PARENT_SECONDS)
    signals.stop.set()


def _welcome(worker: Running, environment: Mapping[str, str]) -> None:
    """What to paste: the ready-made keys are printed only where they are valid, and a given admin key never."""
    print(f"llmgw serves {worker.url}/v1 with policy {worker.policy.current.version}", flush=True)
    if worker.admin_key is not None:
        print(f"admin API {worker.admin_url}/admin/v1/")
        print(f"console {worker.admin_url}/console/")
    else:
        print("the admin API is off: set LLMGW_ADMIN_KEY")
    notes = worker.policy.current.notes
    if notes:
        print(f"{len(notes)} notes on this policy (`llmgw check` lists all): {notes[0]} …")
    if worker.key is not None:
        print(f"export OPENAI_BASE_URL={worker.url}/v1 OPENAI_API_KEY={worker.key.reveal()}")
    else:
        print("no virtual key is ready-made here: make one with `llmgw keys create`")
    if worker.admin_key is not None and "LLMGW_ADMIN_KEY" not in environment:
        print(f"export LLMGW_ADMIN_KEY={worker.admin_key.reveal()}")
    sys.stdout.flush()
