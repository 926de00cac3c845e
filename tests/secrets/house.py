"""A gateway whose every secret is a canary, as a process that says all it can, and everything it leaves behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from gateway.auth.virtual_key import PREFIX, key_id
from gateway.core.secret import Secret
from tests.faults.chaosprov import Chaosprov
from tests.ports import free_port
from tests.secrets.canaries import Canaries
from tests.secrets.sink import Sink

POLICY = """
version: 1
providers:
  chaos:
    dialect: openai
    base_url: {provider}
    key: ${{CANARY_KEY}}
    headers: {{x-extra: "${{CANARY_EXTRA}}", x-token: "Token ${{CANARY_TOKEN}}"}}
    query: "api-version=1&key=${{CANARY_QUERY}}"
    allow_private: true
    retry: {{attempts: 1}}
    timeouts: {{connect: 1s, headers: 1s, first_token: 1s, idle: 1s, total: 5s}}
  literal: {{dialect: openai, base_url: "{provider}", auth: api-key, key: "{literal}", allow_private: true}}
models:
  ok: {{use: chaos/ok, price: {{in: 1, out: 2}}}}
  literal: {{use: literal/ok, price: {{in: 1, out: 2}}}}
  "fault/*": {{use: "chaos/fault/*", price: {{in: 1, out: 2}}}}
tenants: {{default: {{budget: [{{tokens: 50k, per: day, warn: [1%]}}]}}}}
alerts: {{webhook: "{hook}", headers: {{x-hook: "${{CANARY_HOOK_HEADER}}"}}, allow_private: true}}
"""
CREDENTIALS = ("provider key", "provider header", "provider token", "provider query")


@dataclass
class House:
    """`seen` is all that anybody outside was told, by where; it grows as the gateway is used."""

    folder: Path
    process: asyncio.subprocess.Process
    canaries: Canaries
    url: str
    admin_url: str
    collector: Sink
    hook: Sink
    key: str = ""
    seen: dict[str, bytes] = field(default_factory=dict)

    @property
    def policy(self) -> Path:
        return self.folder / "policies" / "policy.yaml"

    def keep(self, place: str, answer: httpx.Response) -> None:
        self.seen[f"{place} #{len(self.seen)}"] = repr(answer.headers.raw).encode() + answer.content

    async def ask(self, path: str = "/v1/chat/completions", *, key: str | None = None, **options: Any) -> int:
        """The status of an answer, which is kept; 0 if it broke off."""
        headers = {"authorization": f"Bearer {key or self.key}", **options.pop("headers", {})}
        body = {"model": "ok", "messages": [{"role": "user", "content": "Say hello"}], **options.pop("body", {})}
        async with httpx.AsyncClient(timeout=10) as client:
            answer = await client.post(f"{self.url}{path}", headers=headers, **{"json": body, **options})
        self.keep(f"POST {path} {answer.status_code}", answer)
        return answer.status_code

    async def gets(self, status: int, path: str = "/v1/chat/completions", **options: Any) -> None:
        """Asks until it is answered so: on a busy machine a store is away at times."""
        while await self.ask(path, **options) != status:
            await asyncio.sleep(0.05)

    async def admin(self, method: str, path: str, *, kept: bool = True, **options: Any) -> httpx.Response:
        """An answer of the admin port. One that creates a key is the one place where that may stand: `kept=False`."""
        headers = {"authorization": f"Bearer {self.canaries.secret['admin key']}", **options.pop("headers", {})}
        async with httpx.AsyncClient(timeout=10) as client:
            answer = await client.request(method, f"{self.admin_url}{path}", headers=headers, **options)
        if kept:
            self.keep(f"{method} {path} {answer.status_code}", answer)
        return answer

    async def create_key(self, name: str) -> dict[str, str]:
        wanted = {"name": name, "tenant": "default"}
        while (answer := await self.admin("POST", "/admin/v1/keys", kept=False, json=wanted)).status_code != 201:
            await asyncio.sleep(0.05)
        created: dict[str, str] = answer.json()
        self.remember(name, created["key"])
        return created

    def remember(self, name: str, key: str) -> None:
        """A virtual key is a secret but for its beginning, which is its id."""
        self.canaries.add(name, key[len(PREFIX) + len(key_id(Secret(key))) :])

    def told(self) -> dict[str, bytes]:
        """What it printed."""
        return {name: (self.folder / name).read_bytes() for name in ("stdout", "stderr")}

    async def told_of(self, text: bytes) -> None:
        """Until it has printed this on either stream."""
        while text not in b"".join(self.told().values()):
            assert self.process.returncode is None, self.told()
            await asyncio.sleep(0.02)

    def left(self) -> dict[str, bytes]:
        """All files of the data folder, and the rows of its databases: a text may lie on several pages of a file."""
        files = [path for path in (self.folder / "data").rglob("*") if path.is_file()]
        left = {f"data/{path.name}": path.read_bytes() for path in files}
        for path in files:
            if path.suffix == ".sqlite":
                left[f"rows of {path.name}"] = b"\n".join(_rows(path))
        return left

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


def environment(canaries: Canaries, collector: Sink) -> dict[str, str]:
    query, broken, strange = (canaries.make(f"OTLP {name}") for name in ("query", "broken header", "strange header"))
    headers = f"authorization=Bearer%20{quote(canaries.make('OTLP header'), safe='')},{broken},x-strange={strange}%0d"
    return {
        "PATH": os.environ["PATH"],
        "PYTHONASYNCIODEBUG": "1",
        "PYTHONFAULTHANDLER": "1",
        "LLMGW_ADMIN_KEY": canaries.make("admin key"),
        "LLMGW_SECRET": canaries.make("LLMGW_SECRET"),
        "CANARY_KEY": canaries.make("provider key"),
        "CANARY_EXTRA": canaries.make("provider header"),
        "CANARY_TOKEN": canaries.make("provider token"),
        "CANARY_QUERY": canaries.make("provider query"),
        "CANARY_HOOK_HEADER": canaries.make("webhook header"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}?token={quote(query, safe='')}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS": headers,
        "OTEL_EXPORTER_OTLP_TIMEOUT": canaries.make("a secret in the wrong variable"),
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }


@asynccontextmanager
async def serving(folder: Path, canaries: Canaries, provider: Chaosprov, store: str) -> AsyncIterator[House]:
    """`llmgw serve --log-level debug` on this store. Nothing of it runs at the end."""
    async with Sink(500, b"webhook failed") as hook, Sink(200) as collector:
        variables = environment(canaries, collector)
        path, query = (quote(canaries.make(name), safe="") for name in ("webhook path", "webhook query"))
        policy = POLICY.format(
            provider=provider.base_url,
            literal=canaries.make("literal key"),
            hook=f"http://127.0.0.1:{hook.port}/{path}?token={query}",
        )
        (folder / "policies").mkdir()
        (folder / "policies" / "policy.yaml").write_text(policy)
        port, admin_port = free_port(), free_port()
        process = await _start(folder, {**variables, "LLMGW_STORE": store}, port, admin_port)
        urls = [f"http://127.0.0.1:{each}" for each in (port, admin_port)]
        house = House(folder, process, canaries, urls[0], urls[1], collector, hook)
        try:
            async with asyncio.timeout(20):
                await house.told_of(b"admin API")
            yield house
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _start(folder: Path, variables: Mapping[str, str], port: int, admin: int) -> asyncio.subprocess.Process:
    """Without a core dump: what would be in there is not ours to say."""
    command = [sys.executable, "-m", "gateway", "serve", "--log-level", "debug", "--port", str(port)]
    command += ["--admin-port", str(admin), "--policies", f"{folder}/policies", "--data", f"{folder}/data"]
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        return await asyncio.create_subprocess_exec(
            "sh", "-c", 'ulimit -c 0; exec "$@"', "sh", *command, env=dict(variables), stdout=out, stderr=err
        )


def ready_made(house: House) -> str:
    """The key that is printed for pasting, which is the one place where it may stand: what was printed, without it."""
    found = re.search(rb"OPENAI_API_KEY=(\S+)", house.told()["stdout"])
    assert found is not None
    return found[1].decode()


def _rows(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as database:
        database.text_factory = bytes
        tables = [name.decode() for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        values = (value for table in tables for row in database.execute(f'SELECT * FROM "{table}"') for value in row)
        return [value if isinstance(value, bytes) else str(value).encode() for value in values]
