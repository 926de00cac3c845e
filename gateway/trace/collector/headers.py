"""Headers for the collector, as they stand in OTEL_EXPORTER_OTLP_HEADERS: `name=value,name=value`, values percent-encoded."""

from __future__ import annotations

import logging
import re
from urllib.parse import unquote

log = logging.getLogger("llmgw.trace")

Headers = tuple[tuple[str, str], ...]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_GRPC_NAME = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")
_OURS = frozenset(
    ("connection", "content-encoding", "content-length", "content-type", "host", "te", "transfer-encoding")
)
"""Headers that say how a request is written, which is ours to say."""


def headers_of(variable: str, text: str, *, is_grpc: bool) -> Headers:
    """Those that can be sent, names in small letters. Of one that cannot, its place is told: even a name may be a piece of a
    secret that has a comma in it."""
    found: dict[str, str] = {}
    for place, each in enumerate(text.split(","), start=1):
        if not each.strip():
            continue
        name, is_pair, value = each.partition("=")
        name, value = unquote(name).strip().lower(), unquote(value).strip()
        if (reason := _reason(name, value, is_pair=bool(is_pair), is_grpc=is_grpc)) is not None:
            about = {"variable": variable, "place": place, "reason": reason}
            log.warning("a header for the collector is left out", extra=about)
        else:
            found[name] = value
    return tuple(found.items())


def _reason(name: str, value: str, *, is_pair: bool, is_grpc: bool) -> str | None:
    """Why it cannot be sent."""
    if not is_pair:
        return "it has no ="
    if not _NAME.fullmatch(name):
        return "its name has characters that no header has"
    if name in _OURS:
        return "its name is one that the gateway sets"
    if is_grpc and (not _GRPC_NAME.fullmatch(name) or name.startswith("grpc-") or name.endswith("-bin")):
        return "its name is none that gRPC sends as text"
    if not _VALUE.fullmatch(value):
        return "its value has characters that no header has; a comma is written %2C"
    return None
