"""`python -m bench.isolation`: many tenants ask a real gateway the same questions at the same time, twice.

The provider writes into each answer for whom it was made. Exit status 1: one was another's, about something else, or failed.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import httpx
import uvloop
from aiohttp import web

from tests.redis_server import redis_server

ADMIN_KEY = "the key of the bench's admin"
POLICY = """
version: 1
providers:
  scripted: {{dialect: openai, base_url: "{provider}", key: sk-bench, allow_private: true}}
models:
  told: {{use: scripted/told, price: {{in: 1, out: 2}}}}
cache:
  default: {{exact: {{ttl: 1h}}, semantic: {{threshold: 0.9}}, scope: team}}
"""
VERBS = "polish wash repair paint store carry weigh wrap label inspect".split()
THINGS = """a silver spoon/a wool carpet/a garden fence/a guitar string/a bicycle tyre/a paper lamp/a glass bottle
an iron gate/a leather boot/a cotton shirt/a wooden chair/a copper kettle/a plastic bucket/a stone bench/a rubber mat
a steel ladder/a clay pot/a silk scarf/a brass bell/a canvas tent/a marble table/a tin whistle/a felt hat
a straw basket/a concrete step"""
WORDINGS = ("How do you {}?", "How can you {}?")
STARTING = 60.0
"""Seconds for the gateway to answer, and for its embedders to be there."""


@dataclass(frozen=True, slots=True)
class Prompt:
    topic: str
    text: str


@dataclass(slots=True)
class Round:
    """`results` counts the words of `x-llmgw-cache`; wrong: an answer about another topic."""

    seconds: float = 0.0
    results: Counter[str] = field(default_factory=Counter)
    upstream: int = 0
    foreign: int = 0
    wrong: int = 0
    failed: int = 0

    def line(self, name: str) -> str:
        told = self.results
        return (
            f"{name}: {told.total()} answers in {self.seconds:.0f} s; {told['hit']} hits, {told['semantic-hit']} semantic hits, "
            f"{told['miss']} misses, {told['bypass']} bypasses; {self.upstream} calls upstream; "
            f"{self.foreign} foreign, {self.wrong} about something else, {self.failed} failed"
        )


@dataclass(slots=True)
class Provider:
    asked: int = 0
    base_url: str = ""

    async def chat(self, request: web.Request) -> web.Response:
        """The answer says for whom it was made, what was asked, and how many there were before."""
        body = await request.json()
        self.asked += 1
        said = {"tenant": body["user"], "text": body["messages"][-1]["content"], "number": self.asked}
        message = {"role": "assistant", "content": json.dumps(said)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        head = {"id": "c", "object": "chat.completion", "created": 1, "model": "told"}
        return web.json_response({**head, "choices": [choice], "usage": usage})


@dataclass(frozen=True, slots=True)
class Tenant:
    name: str
    key: str


def main() -> int:
    arguments = parse_arguments(sys.argv[1:])
    bad = 0
    for store in arguments.store.split(","):
        with ExitStack() as open:
            url = "embedded" if store == "embedded" else open.enter_context(redis_server()).url
            folder = Path(open.enter_context(tempfile.TemporaryDirectory(prefix="llmgw-isolation-")))
            rounds = uvloop.run(measure(url, folder, arguments.tenants, prompts(arguments.prompts), arguments.at_once))
        print(f"{store}, 2 workers, {arguments.tenants} tenants, {arguments.prompts} prompts each")
        for number, each in enumerate(rounds, 1):
            print(f"  {each.line(f'round {number}')}", flush=True)
            bad += each.foreign + each.wrong + each.failed
    return 1 if bad else 0


def parse_arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.isolation", description=__doc__)
    parser.add_argument("--store", default="embedded,redis", help="one or both (%(default)s)")
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--prompts", type=int, default=500, help="for each tenant, the same (%(default)s)")
    parser.add_argument("--at-once", type=int, default=2, help="calls of one tenant under way (%(default)s)")
    return parser.parse_args(words)


def prompts(count: int) -> Sequence[Prompt]:
    """Half as many topics in one wording, and then all of them in the other; 500 at most."""
    things = THINGS.replace("\n", "/").split("/")
    topics = [f"{verb} {thing}" for verb, thing in product(VERBS, things)][: (count + 1) // 2]
    return [Prompt(topic, wording.format(topic)) for wording in WORDINGS for topic in topics][:count]


async def measure(store: str, folder: Path, tenants: int, asked: Sequence[Prompt], at_once: int) -> Sequence[Round]:
    async with scripted() as provider, httpx.AsyncClient(timeout=60, limits=httpx.Limits()) as http:
        (folder / "policies").mkdir()
        (folder / "policies" / "policy.yaml").write_text(POLICY.format(provider=provider.base_url))
        with gateway(store, folder) as (url, admin):
            await answering(http, url)
            everybody = [await create(http, admin, f"org-{number:02d}") for number in range(tenants)]
            await warm(http, url, await create(http, admin, "warm"))
            return [await ask_all(http, url, provider, everybody, asked=asked, at_once=at_once) for _ in range(2)]


@asynccontextmanager
async def scripted() -> AsyncIterator[Provider]:
    provider = Provider()
    application = web.Application()
    application.add_routes([web.post("/v1/chat/completions", provider.chat)])
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    provider.base_url = f"http://127.0.0.1:{port}/v1"
    try:
        yield provider
    finally:
        await runner.cleanup()


@contextmanager
def gateway(store: str, folder: Path) -> Iterator[tuple[str, str]]:
    """The addresses of calls and of admins."""
    port, admin_port = free_port(), free_port()
    command = [sys.executable, "-m", "gateway", "serve", "--workers", "2", "--store", store, "--drain-delay", "0"]
    command += ["--policies", str(folder / "policies"), "--data", str(folder / "data")]
    command += ["--port", str(port), "--admin-port", str(admin_port)]
    with (folder / "gateway.log").open("wb") as log:
        environment = {**os.environ, "LLMGW_ADMIN_KEY": ADMIN_KEY}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}"
    finally:
        process.terminate()
        process.wait(30)


async def answering(http: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(STARTING):
        while True:
            try:
                if (await http.get(f"{url}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def create(http: httpx.AsyncClient, admin: str, organisation: str) -> Tenant:
    """A key of its team `a`, by the admin API."""
    wanted = {"name": "bench", "tenant": f"{organisation}/a"}
    answer = await http.post(f"{admin}/admin/v1/keys", json=wanted, headers={"authorization": f"Bearer {ADMIN_KEY}"})
    return Tenant(organisation, answer.raise_for_status().json()["key"])


async def warm(http: httpx.AsyncClient, url: str, tenant: Tenant) -> None:
    """Until things are found by their meaning, by either worker."""
    hits, asked = 0, prompts(500)
    waiting = zip(asked[:250], asked[250:], strict=True)
    async with asyncio.timeout(STARTING):
        while hits < 4:
            first, other = next(waiting)
            await call(http, url, tenant, first)
            await asyncio.sleep(1.2)  # a worker hears of what the other keeps within a second
            hits += (await call(http, url, tenant, other)).headers.get("x-llmgw-cache") == "semantic-hit"


async def ask_all(
    http: httpx.AsyncClient,
    url: str,
    provider: Provider,
    tenants: Sequence[Tenant],
    *,
    asked: Sequence[Prompt],
    at_once: int,
) -> Round:
    done, before, began = Round(), provider.asked, time.monotonic()

    async def ask(tenant: Tenant, waiting: Iterator[Prompt]) -> None:
        for prompt in waiting:
            judge(done, tenant, prompt, await call(http, url, tenant, prompt))

    queues = [(tenant, iter(asked)) for tenant in tenants]
    await asyncio.gather(*[ask(tenant, queue) for tenant, queue in queues for _ in range(at_once)])
    done.seconds, done.upstream = time.monotonic() - began, provider.asked - before
    return done


async def call(http: httpx.AsyncClient, url: str, tenant: Tenant, prompt: Prompt) -> httpx.Response:
    body = {"model": "told", "user": tenant.name, "messages": [{"role": "user", "content": prompt.text}]}
    headers = {"authorization": f"Bearer {tenant.key}"}
    return await http.post(f"{url}/v1/chat/completions", json=body, headers=headers)


def judge(done: Round, tenant: Tenant, prompt: Prompt, answer: httpx.Response) -> None:
    if answer.status_code != 200:
        done.failed += 1
        return
    said = json.loads(answer.json()["choices"][0]["message"]["content"])
    done.results[answer.headers["x-llmgw-cache"]] += 1
    done.foreign += said["tenant"] != tenant.name
    done.wrong += prompt.topic not in said["text"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
