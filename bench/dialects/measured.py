"""One cell of the table: CPU per call and per event of a stream, of a contender between a client's dialect and a provider's."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.contender import Contender
from bench.dialects.contenders import model_of
from bench.dialects.workload import LONG, SHORT, Client, request_body
from bench.load import SLACK, LoadFailed
from bench.measures import PUT_OFF
from bench.startup import Running


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU µs. `call` is of a whole answer of SHORT words; `chunk` is what each further event of a stream costs."""

    call: float
    chunk: float


@dataclass(frozen=True, slots=True)
class Bench:
    """`seconds` a measurement takes, after a warm-up of `warm`."""

    loader: Path
    cores: str
    scratch: Path
    seconds: float
    warm: float


def costs(bench: Bench, running: Running, client: Client, provider: str) -> Costs:
    """Raises LoadFailed."""
    call = _per_call(bench, running, client, provider, words=SHORT, streamed=False)
    short = _per_call(bench, running, client, provider, words=SHORT, streamed=True)
    long = _per_call(bench, running, client, provider, words=LONG, streamed=True)
    return Costs(call=call, chunk=(long - short) / (LONG - SHORT))


def _per_call(bench: Bench, running: Running, client: Client, provider: str, *, words: int, streamed: bool) -> float:
    assert running.process is not None
    model = model_of(running.contender.name, client, provider)
    body = bench.scratch / "body.json"
    body.write_bytes(request_body(client, model, words=words, streamed=streamed))
    arguments = [*_arguments(running.contender, client, streamed=streamed), f"--body={body}"]
    _load(bench, [*arguments, f"--seconds={bench.warm}"])
    before = running.process.cpu_seconds()
    calls = _load(bench, [*arguments, f"--seconds={bench.seconds}"])
    time.sleep(PUT_OFF)
    return (running.process.cpu_seconds() - before) * 1e6 / calls


def _arguments(contender: Contender, client: Client, *, streamed: bool) -> Iterator[str]:
    yield f"--port={contender.port}"
    yield f"--path={client.path}"
    yield f"--connections={contender.pace.streams if streamed else contender.pace.connections}"
    yield from (f"--header={name}: {value}" for name, value in contender.headers)
    if streamed:
        yield from ("--stream", f"--until={client.ending}")
    else:
        yield f"--least-bytes={SHORT * len(' word0')}"


def _load(bench: Bench, arguments: list[str]) -> int:
    """How many calls were answered. Raises LoadFailed where any was not, as it should have been."""
    command = ["taskset", "-c", bench.cores, str(bench.loader), *arguments]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SLACK)
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"no end after {SLACK:.0f} s") from None
    if done.returncode:
        raise LoadFailed(done.stderr.strip() or f"load ended with {done.returncode}")
    told = json.loads(done.stdout)
    if told["errors"] or not told["requests"]:
        raise LoadFailed(f"{told['errors']} of {told['requests']} calls failed: {told['last_error']}")
    return int(told["requests"])
