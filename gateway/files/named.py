"""Files that a call names by the ids which clients were given: they are the tenant's own, and become the provider's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from gateway.core.call import Call
from gateway.core.deployment import Provider
from gateway.core.secret import Secret
from gateway.core.tenant import Tenant
from gateway.files.ownership import Ownership

_FILES = frozenset({"file_id", "file_ids"})
_FREE = frozenset({"annotations", "input_schema", "logs", "metadata", "parameters", "results", "schema"})
"""Members in which nobody takes an id for one of a file to be read: what applications, tools and answers say."""
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_OURS = re.compile(r"(file|assistant)-.+", re.DOTALL)
"""Ids as providers make them that keep files for tenants; those of others, and addresses, are nobody's here."""
_WRITTEN = (b"file_id", b"\\u00")
"""One of these is in every body that names a file: the letters, or an escape that may stand for one of them."""


@dataclass(frozen=True, slots=True)
class NamedFiles:
    pepper: Secret

    def own(self, call: Call, tenant: Tenant, keeper: Provider | None) -> Call:
        """The call with the ids of the provider that keeps files. Raises NotFound for one that is not the tenant's."""
        bodies = (call.body, call.native or b"")
        if keeper is None or call.form is not None or not any(text in body for text in _WRITTEN for body in bodies):
            return call
        own = Ownership(self.pepper, keeper.name, tenant).own
        fields, native = with_files(call.fields, own), call.native
        if native is not None:
            told = msgspec.json.decode(native)
            mapped = with_files(told, own)
            native = native if mapped == told else msgspec.json.encode(mapped)
        if fields == call.fields and native is call.native:
            return call
        return replace(call, fields=fields, body=msgspec.json.encode(fields), native=native)


def with_files(value: Any, own: Callable[[str], str]) -> Any:
    """The same JSON with the provider's ids of files, wherever one is named. `own` raises for ids that are not the tenant's."""
    if isinstance(value, list):
        return [with_files(each, own) for each in value]
    if not isinstance(value, dict):
        return value
    if isinstance(kind := value.get("type"), str) and kind in _CALLS:
        return value
    return {name: _member(name, each, own) for name, each in value.items()}


def _member(name: str, value: Any, own: Callable[[str], str]) -> Any:
    if name in _FREE:
        return value
    if name not in _FILES:
        return with_files(value, own)
    if isinstance(value, list):
        return [_id(each, own) for each in value]
    return _id(value, own)


def _id(value: Any, own: Callable[[str], str]) -> Any:
    return own(value) if isinstance(value, str) and _OURS.fullmatch(value) else value
