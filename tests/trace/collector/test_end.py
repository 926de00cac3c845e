"""A gateway whose collector takes connections and never answers ends all the same, and says what was lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.gateway_process import started
from tests.ports import free_port

POLICY = "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo, price: {in: 1, out: 1}}}\n"


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a collector whose connections are made by the kernel and looked at by nobody."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        yield listening.getsockname()[1]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_a_collector_that_never_answers_does_not_keep_the_gateway_from_ending(
    protocol: str, silent: int, tmp_path: Path
) -> None:
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "600000",
        "OTEL_METRIC_EXPORT_INTERVAL": "100",
    }
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "policy.yaml").write_text(POLICY)
    port, output = free_port(), tmp_path / "output.txt"
    command = [sys.executable, "-m", "gateway", "serve", "--port", str(port), "--admin-port", str(free_port())]
    command += ["--policies", f"{tmp_path}/policies", "--data", f"{tmp_path}/data", "--drain-delay", "0"]
    with output.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(*command, env=os.environ | variables, stdout=sink, stderr=sink)
    try:
        key = await started(process, port, output)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/v1", timeout=20) as client:
            asked = {"model": "demo", "messages": [{"role": "user", "content": "hi"}]}
            answer = await client.post("/chat/completions", json=asked, headers={"authorization": f"Bearer {key}"})
            assert answer.status_code == 200

        process.send_signal(signal.SIGTERM)

        assert await asyncio.wait_for(process.wait(), 60) == 0, "five seconds, on a machine that has them to give"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = [json.loads(line) for line in output.read_text().splitlines() if line.startswith('{"at"')]
    lost = {line["message"]: line["dropped"] for line in lines if "dropped" in line}
    assert lost["the last spans could not be sent"] > 3
    assert lost["the last metrics could not be pushed"] > 3
