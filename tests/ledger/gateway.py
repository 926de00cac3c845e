"""`llmgw serve` with several workers as a process tree: seen through its ports and its output, and through nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.ports import free_port

ADMIN_KEY = "sk-llmgw-admin-of-the-ledger-tests"
AUTHORIZED = {"Authorization": f"Bearer {ADMIN_KEY}"}
STARTING = 30.0
STOPPING = 15.0
PAGE = 1000
"""Records of one page of the admin API."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a gateway is started. `store` is `embedded` or a URL; `environment` is added to ours; `module` is what is run."""

    policy: str
    store: str = "embedded"
    workers: int = 2
    escrow: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    module: str = "gateway"


@dataclass(frozen=True, slots=True)
class Account:
    """One row of `GET /admin/v1/budgets`. `limit` is None under a soft budget."""

    name: str
    limit: int | None
    settled: int
    overdraft: int
    held: int
    escrowed: int

    @property
    def spent(self) -> int:
        return self.settled + self.overdraft

    @property
    def committed(self) -> int:
        return self.settled + self.held + self.escrowed


class Gateway:
    """Made by `serving`, which stops it."""

    def __init__(self, folder: Path, wanted: Wanted, session: aiohttp.ClientSession) -> None:
        self.port, self.admin_port = free_port(), free_port()
        self._folder = folder
        self._wanted = wanted
        self._session = session
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def workers(self) -> list[int]:
        """The worker processes, oldest first: the first one started has the admin port."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return sorted(int(child) for child in children)

    def write_policy(self, policy: str) -> None:
        """In force within a second."""
        folder = self._folder / "policies"
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / ".policy.yaml.new"
        fresh.write_text(policy, "utf-8")
        fresh.rename(folder / "policy.yaml")

    async def create_key(self, name: str, tenant: str, **more: Any) -> str:
        body = {"name": name, "tenant": tenant, **more}
        async with self._session.post(self._admin("keys"), json=body, headers=AUTHORIZED) as answer:
            created = await answer.json()
        assert answer.status == 201, created
        return str(created["key"])

    async def adopt(self, policy: str) -> None:
        """Puts a policy into force, at once, on the worker that has the admin port."""
        self.write_policy(policy)
        async with self._session.post(self._admin("policies:reload"), headers=AUTHORIZED) as answer:
            loaded = await answer.json()
        assert loaded["last_error"] is None, loaded

    async def record(self, id: str) -> Row:
        """The call's record. Raises aiohttp.ClientPayloadError when there is none."""
        found: Row = await self._get(f"calls/{id}")
        return found

    async def accounts(self) -> dict[str, Account]:
        """Every account in a window that has not ended. Raises aiohttp.ClientError while the admin port is away."""
        return accounts_of(await self._get("budgets"))

    async def records(self) -> list[Row]:
        """All call records, the newest first, once the last ones have been written."""
        found: list[Row] = []
        before: int | None = None
        while True:
            page = await self._get(f"calls?limit={PAGE}" + (f"&before={before}" if before else ""))
            found += page["calls"]
            before = page["before"]
            if before is None or not page["calls"]:
                return found

    async def settled_records(self, count: int) -> list[Row]:
        """All call records once there are `count`, or after a few seconds whatever there is."""
        records = await self.records()
        for _ in range(50):
            if len(records) >= count:
                break
            await asyncio.sleep(0.1)
            records = await self.records()
        return records

    def logged(self) -> list[Row]:
        """What the gateway has said in its own log, records of calls left out."""
        lines = (self._folder / "errors.txt").read_text("utf-8", "replace").splitlines()
        return [_parsed(line) for line in lines if line.strip()]

    async def start(self) -> None:
        """Returns when every worker serves. Raises RuntimeError with the end of its output."""
        self.write_policy(self._wanted.policy)
        command = [sys.executable, "-m", self._wanted.module, "serve", "--policies", str(self._folder / "policies")]
        command += ["--data", str(self._folder / "data"), "--store", self._wanted.store]
        command += ["--port", str(self.port), "--admin-port", str(self.admin_port), "--drain-delay", "0"]
        command += ["--workers", str(self._wanted.workers), "--escrow", "yes" if self._wanted.escrow else "no"]
        environment = {**os.environ, "LLMGW_ADMIN_KEY": ADMIN_KEY, **self._wanted.environment}
        with (self._folder / "output.txt").open("ab") as output, (self._folder / "errors.txt").open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdout=output, stderr=errors, env=environment, start_new_session=True
            )
        await self._until_ready()

    async def stop(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOPPING)
        except TimeoutError:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            await self._process.wait()

    async def _until_ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + STARTING
        while asyncio.get_running_loop().time() < deadline and self._process and self._process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                await self.accounts()
                instances = (await self._get("policies"))["instances"]
                if len(instances or ()) >= self._wanted.workers:
                    return
            await asyncio.sleep(0.05)
        words = (self._folder / "errors.txt").read_text("utf-8", "replace")[-4000:]
        raise RuntimeError(f"the gateway did not start:\n{words}")

    async def _get(self, path: str) -> Any:
        async with self._session.get(self._admin(path), headers=AUTHORIZED) as answer:
            body = await answer.json()
            if answer.status != 200:
                raise aiohttp.ClientPayloadError(f"{path}: {answer.status} {body}")
            return body

    def _admin(self, path: str) -> str:
        return f"http://127.0.0.1:{self.admin_port}/admin/v1/{path}"


@contextlib.asynccontextmanager
async def serving(folder: Path, wanted: Wanted) -> AsyncIterator[Gateway]:
    """Runs a gateway in a folder of its own."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        gateway = Gateway(folder, wanted, session)
        try:
            await gateway.start()
            yield gateway
        finally:
            await gateway.stop()


def accounts_of(answer: Mapping[str, Sequence[Row]]) -> dict[str, Account]:
    """The accounts in what the budget API says, by name."""
    return {row["account"]: _account(row) for row in answer["budgets"]}


def sum_of(records: Sequence[Row]) -> int:
    """What these calls have cost, in nano-USD."""
    return sum(record["cost_nano_usd"] or 0 for record in records)


def _account(row: Row) -> Account:
    return Account(row["account"], row["limit"], row["settled"], row["overdraft"], row["held"], row["escrowed"])


def _parsed(line: str) -> Row:
    try:
        found = json.loads(line)
    except ValueError:
        return {"message": line}
    return found if isinstance(found, dict) else {"message": line}
