"""Who sends telemetry, as OpenTelemetry wants it told: one resource for the spans and the metrics of a worker."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

SERVICE = "llmgw"
ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"

log = logging.getLogger("llmgw.trace")


def resource(environment: Mapping[str, str], instance: str) -> Resource:
    """From OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, and what the SDK finds by itself; slow to import.

    `instance` tells this worker from every other process. A `service.instance.id` that was given stands before it, for
    workers that call themselves the same would overwrite each other's figures.
    """
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 (only those who push pay for it)

    given = _attributes(environment.get(ATTRIBUTES, ""))
    name = environment.get("OTEL_SERVICE_NAME", "").strip() or given.get("service.name") or SERVICE
    id = f"{given['service.instance.id']}:{instance}" if given.get("service.instance.id") else instance
    own = {"service.name": name, "service.instance.id": id}
    return Resource.create({"service.version": our_version(), **given, **own})


def our_version() -> str:
    try:
        return version(SERVICE)
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"


def _attributes(text: str) -> dict[str, str]:
    """`key=value,key=value`, values percent-encoded; what is not of this form is left out."""
    found: dict[str, str] = {}
    for place, each in enumerate(text.split(","), start=1):
        key, is_pair, value = each.partition("=")
        if is_pair and key.strip():
            found[key.strip()] = unquote(value.strip())
        elif each.strip():
            log.warning("an attribute is left out: it is no key=value", extra={"variable": ATTRIBUTES, "place": place})
    return found
