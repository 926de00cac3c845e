"""A client that asks over HTTP, and reads streams by the letter of the standard, as no part of the gateway does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx

from tests.conftest import House

DONE = "[DONE]"
_LINE_END = re.compile(r"\r\n|\n|\r")


async def post(
    house: House, body: object, *, path: str = "/v1/chat/completions", token: str | None = None, **headers: str
) -> httpx.Response:
    """The answer to this body, sent as it is when it is text; headers are named with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    all_headers = {"authorization": f"Bearer {token or house.key}", "content-type": "application/json"} | named
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    async with httpx.AsyncClient(timeout=20, verify=False) as client:  # without TLS there is nothing to verify
        return await client.post(house.url + path, content=content, headers=all_headers)


def events(stream: bytes) -> list[str]:
    """The data of each event of a stream, by the HTML standard's rules (9.2.6); an event without its blank line is none."""
    return list(_events(stream.decode("utf-8").removeprefix("\ufeff")))


def chunks(stream: bytes) -> list[Any]:
    """The events that are JSON, parsed."""
    return [json.loads(data) for data in events(stream) if data != DONE]


def _events(text: str) -> Iterator[str]:
    data: list[str] = []
    *lines, _ = _LINE_END.split(text)
    for line in lines:
        if line == "":
            if data:
                yield "\n".join(data)
            data = []
        elif line == "data":
            data.append("")
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
