"""Makes calls of many kinds through a gateway that exports to Phoenix, and compares what Phoenix shows with the records.

scripts/phoenix.sh runs it beside a Phoenix of its own. Exits with 1 where Phoenix shows something else.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from tests.faults.steps import CUT, DONE, Finish, Say, Status, Step, Tool, Usage
from tests.ledger.gateway import Row
from tests.trace.matrix.cast import Client, opened

MODEL, PRICE = "gpt-4o-mini", "price: {in: 0.15, out: 0.60}"
QUERY = """query($name: String!) { getProjectByName(name: $name) {
  costSummary { total { cost } prompt { tokens } completion { tokens } }
  spans(first: 1000) { edges { node {
    spanKind statusCode parentId tokenCountPrompt tokenCountCompletion trace { traceId } costSummary { total { cost } }
  } } } } }"""
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
ANSWER: tuple[Step, ...] = (Say("It is"), Say(" sunny in"), Say(" Bern."), Finish(), Usage(1200, 340), DONE)

Do = Callable[[Client], Awaitable[None]]


async def stream(client: Client) -> None:
    client.provider.will(*ANSWER)
    client.headers["x-llmgw-conversation"] = "weather-in-bern"
    await client.stream(model=MODEL, stream_options={"include_usage": True}, temperature=0.2)


async def tool(client: Client) -> None:
    client.provider.will(Tool("weather", '{"city":"Bern"}'), Finish("tool_calls"), Usage(900, 20), DONE)
    await client.chat(model=MODEL, tools=[WEATHER])


async def fallback(client: Client) -> None:
    client.provider.will(Status(503))
    client.provider.will(*ANSWER)
    await client.stream(model="with-fallback", stream_options={"include_usage": True})


async def cached(client: Client) -> None:
    first = client.other()
    client.headers["idempotency-key"] = first.headers["idempotency-key"] = client.id
    client.provider.will(*ANSWER)
    await first.chat(model=MODEL)
    await client.chat(model=MODEL)


async def refused(client: Client) -> None:
    await client.chat(model="gpt-9")


async def cut(client: Client) -> None:
    client.provider.will(*ANSWER[:2], CUT)
    await client.stream(model=MODEL)


async def left(client: Client) -> None:
    await client.stream(model="fault/hang-after-2-chunks", chunks=1)


async def captured(client: Client) -> None:
    client.provider.will(*ANSWER)
    await client.chat(model=MODEL)


CALLS: Mapping[str, tuple[Do, str]] = {
    "stream": (stream, "acme"),
    "tool": (tool, "acme"),
    "cached": (cached, "acme"),
    "refused": (refused, "acme"),
    "cut": (cut, "acme"),
    "left": (left, "acme"),
    "captured": (captured, "read"),
    "fallback": (fallback, "acme"),
}


async def make_calls(project: str, endpoint: str, protocol: str) -> list[Row]:
    """The records of all calls, once their spans have been sent."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_RESOURCE_ATTRIBUTES": f"openinference.project.name={project}",
    }
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder), **variables) as house:
            models = f"models:\n  {MODEL}: {{use: chaos/{MODEL}, {PRICE}}}\n"
            models += f"  with-fallback: {{use: hasty/{MODEL}@spare, fallback: [chaos/{MODEL}], {PRICE}}}\n"
            await house.gateway.adopt(house.policy().replace("models:\n", models, 1))
            for name, (do, tenant) in CALLS.items():
                await do(client := Client(house, f"{project}-{name}", tenant))
                await house.records(client.id)
            return await house.gateway.records()


async def shown(session: aiohttp.ClientSession, url: str, project: str, spans: int) -> Mapping[str, Any]:
    """The project as Phoenix shows it, once it has all spans, and has found out what they cost."""
    body = {"query": QUERY, "variables": {"name": project}}
    deadline = time.monotonic() + 60
    while True:
        async with session.post(f"{url}/graphql", json=body) as answer:
            data = (await answer.json())["data"]
        found: Mapping[str, Any] | None = data and data["getProjectByName"]
        is_there = found and len(found["spans"]["edges"]) >= spans and found["costSummary"]["total"]["cost"]
        if found and (is_there or time.monotonic() > deadline):
            return found
        await asyncio.sleep(1)


def differences(records: list[Row], project: Mapping[str, Any]) -> list[str]:
    """What Phoenix shows otherwise than the records have it."""
    spans = [edge["node"] for edge in project["spans"]["edges"]]
    found = []
    for record in records:
        trace = [span for span in spans if span["trace"]["traceId"] == record["trace_id"]]
        models = [span for span in trace if span["spanKind"] == "llm"]
        roots = [span for span in trace if span["parentId"] is None]
        status = "ERROR" if record["status"] >= 500 else "UNSET"
        pairs = {
            "root": ([span["statusCode"] for span in roots], [status]),
            "attempts": (len(models), len(record["attempts"])),
            "tokens in": (sum(span["tokenCountPrompt"] or 0 for span in models), record["input_tokens"] or 0),
            "tokens out": (sum(span["tokenCountCompletion"] or 0 for span in models), record["output_tokens"] or 0),
        }
        costs = [(span["costSummary"] or {}).get("total", {}).get("cost") or 0.0 for span in trace]
        if record["upstream_model"] == MODEL:
            pairs["cost"] = (round(sum(costs) * 1e9), record["cost_nano_usd"] or 0)
        found += [
            f"{record['id']}: {name}: {one} and not {other}" for name, (one, other) in pairs.items() if one != other
        ]
        print(f"{record['id']}: {record['status']} {record['outcome']}, {len(trace)} spans, {sum(costs):.6f} USD")
    return found


async def look(url: str, project: str, trace_id: str, file: Path) -> None:
    """A picture of one trace."""
    from playwright.async_api import async_playwright  # noqa: PLC0415

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1280, "height": 760})
        await page.goto(f"{url}/redirects/traces/{trace_id}")
        await page.get_by_text(f"chat {MODEL}").last.click()
        await page.get_by_role("tab", name="Attributes").click()
        await page.get_by_text("llmgw").first.wait_for()
        await page.screenshot(path=file)
        await browser.close()


async def main(arguments: argparse.Namespace) -> int:
    found: list[str] = []
    stamp = time.strftime("%H%M%S")
    async with aiohttp.ClientSession() as session:
        for protocol, endpoint in (("http/protobuf", arguments.url), ("grpc", arguments.grpc)):
            project = f"llmgw-{protocol[:4]}-{stamp}"
            records = await make_calls(project, endpoint, protocol)
            spans = sum(1 + len(record["stages"]) + len(record["attempts"]) for record in records)
            found += differences(records, await shown(session, arguments.url, project, spans))
    if arguments.screenshot:
        record = next(record for record in records if record["id"].endswith("-fallback"))
        await look(arguments.url, project, record["trace_id"], arguments.screenshot)
    print("\n".join(found) or "Phoenix shows what the records say.")
    return 1 if found else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.trace.phoenix", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:6006")
    parser.add_argument("--grpc", default="http://127.0.0.1:4317")
    parser.add_argument("--screenshot", type=Path)
    sys.exit(asyncio.run(main(parser.parse_args())))
