"""What was asked beside a call: its trials, and, of a call that the gateway made for itself, which call that was for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import orjson

TRIAL_OF = "trial_"
"""The identifier of a trial's record begins with this, the call's own identifier, and `_`."""
OWN = "llmgw"
"""The organisation of the gateway's own calls."""

Row = dict[str, Any]


class Finds(Protocol):
    """See sqlite.reader.Reader. Each raises OSError."""

    def find(self, id: str) -> bytes | None: ...
    def beginning(self, prefix: str) -> list[bytes]: ...
    def of_span(self, trace_id: str, span_id: str) -> str | None: ...


def whole(reader: Finds, id: str) -> Row | None:
    """The record of a call, with `trials` (what came of each) where some were drawn for it, and `made_for`, the identifier of
    the call that one of the gateway's own was made for, as far as it is known. Raises OSError."""
    found = reader.find(id)
    if found is None:
        return None
    row: Row = orjson.loads(found)
    decision = row.get("decision")
    if isinstance(decision, dict) and decision.get("trials"):
        rows = (orjson.loads(line).get("trial") for line in reader.beginning(f"{TRIAL_OF}{id}_"))
        row["trials"] = [each for each in rows if isinstance(each, dict) and each.get("request_id") == id]
    if row.get("org") == OWN and (place := _caller(row)) is not None:
        row["made_for"] = reader.of_span(*place)
    return row


def _caller(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """The trace and the span of the call."""
    link = row.get("link")
    if isinstance(link, dict):
        return str(link.get("trace_id")), str(link.get("span_id"))
    parent = row.get("parent_span_id")
    return None if parent is None else (str(row.get("trace_id")), str(parent))
