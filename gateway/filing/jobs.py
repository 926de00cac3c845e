"""The input of a batch: a file with a call in each line, each of a model that its tenant may ask for."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.core.errors import InvalidRequest

_MOST_LINES = 50_000


def translated(lines: bytes, upstream: Callable[[str], str]) -> bytes:
    """The same with the provider's names of models; a line whose name stays is not touched.

    `upstream` raises for a model that cannot be asked for there. Raises InvalidRequest.
    """
    given = lines.split(b"\n")
    if len(given) > _MOST_LINES:
        raise InvalidRequest(f"a batch has at most {_MOST_LINES} lines", code="too_many_nodes", param="file")
    return b"\n".join([_line(line, number, upstream) for number, line in enumerate(given, start=1)])


def _line(line: bytes, number: int, upstream: Callable[[str], str]) -> bytes:
    if not line.strip():
        return line
    try:
        job = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest(f"line {number} is not JSON", code="invalid_json", param="file") from None
    body = job.get("body") if isinstance(job, dict) else None
    if not isinstance(body, dict) or not isinstance(model := body.get("model"), str):
        raise InvalidRequest(f"line {number} has no body with a model", code="invalid_value", param="file")
    name = upstream(model)
    if name == model:
        return line
    return msgspec.json.encode({**job, "body": {**body, "model": name}})
