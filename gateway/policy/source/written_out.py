"""Takes credentials out of policy files that have them written out, and not as `${NAME}`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.policy.source.document import parse

MASK = "***"
_HARMLESS = frozenset(
    {
        "http-referer",
        "x-title",
        "user-agent",
        "openai-organization",
        "openai-project",
        "openai-beta",
        "anthropic-version",
    }
)
"""Headers that are no credentials."""
_VERSION = "api-version="


def masked(files: Mapping[str, str]) -> tuple[Mapping[str, str], bool]:
    """The files with MASK for each credential, and whether they are the same. Of a file in which one would be left, nothing."""
    told = {name: _masked(name, text) for name, text in files.items()}
    return told, told == files


def _masked(name: str, text: str) -> str:
    for secret in _secrets(name, text):
        text = text.replace(secret, MASK)
    return "" if any(_secrets(name, text)) else text


def _secrets(name: str, text: str) -> Iterator[str]:
    """What is written out; of a value that has a `${NAME}` in it, nothing."""
    document, _ = parse(text.encode(), name, {})
    providers = document.root.get("providers")
    for provider in providers.values() if isinstance(providers, dict) else ():
        if isinstance(provider, dict):
            yield from _texts(provider.get("key"))
            yield from _of_headers(provider.get("headers"))
            yield from (each for each in _texts(provider.get("query")) if not _is_version(each))
    alerts = document.root.get("alerts")
    if isinstance(alerts, dict):
        yield from _texts(alerts.get("webhook"))
        yield from _of_headers(alerts.get("headers"))


def _of_headers(headers: Any) -> Iterator[str]:
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if name.lower() not in _HARMLESS:
            yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    if value is not None and value != "" and str(value) != MASK:
        yield str(value)


def _is_version(query: str) -> bool:
    return query.startswith(_VERSION) and "&" not in query
