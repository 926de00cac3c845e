"""The input of a batch: a file with a call in each line, each of a model that its tenant may ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.files.named import with_files

_MOST_LINES = 50_000
_ELSEWHERE = ("previous_response_id", "conversation", "prompt")
"""What the provider keeps in the account that all tenants share, and nobody here can say whose it is."""


def translated(lines: bytes, upstream: Callable[[str], str], own: Callable[[str], str]) -> bytes:
    """The same with the provider's names of models and files; a line that has none of ours is not touched.

    `upstream` raises for a model that cannot be asked for there, `own` for a file that is not the tenant's. Raises CallerError.
    """
    given = lines.split(b"\n")
    if len(given) > _MOST_LINES:
        raise InvalidRequest(f"a batch has at most {_MOST_LINES} lines", code="too_many_nodes", param="file")
    return b"\n".join([_line(line, number, upstream, own) for number, line in enumerate(given, start=1)])


def _line(line: bytes, number: int, upstream: Callable[[str], str], own: Callable[[str], str]) -> bytes:
    if not line.strip():
        return line
    try:
        job = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest(f"line {number} is not JSON", code="invalid_json", param="file") from None
    body = job.get("body") if isinstance(job, dict) else None
    if not isinstance(body, dict) or not isinstance(model := body.get("model"), str):
        raise InvalidRequest(f"line {number} has no body with a model", code="invalid_value", param="file")
    _check(body, number)
    name = upstream(model)
    files = with_files(body, own)
    if name == model and files == body:
        return line
    return msgspec.json.encode({**job, "body": {**files, "model": name}})


def _check(body: dict[str, Any], number: int) -> None:
    """Of `prompt` only OpenAI's stored ones are meant, and not the text of a completion."""
    for member in _ELSEWHERE:
        value = body.get(member)
        if value is not None and (member != "prompt" or isinstance(value, dict)):
            message = f"line {number} names a {member} that is kept elsewhere"
            raise InvalidRequest(message, code="unsupported_parameter", param="file")
