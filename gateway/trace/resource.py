"""What all telemetry of one worker says of where it comes from, by OpenTelemetry's own variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version

from opentelemetry.sdk.resources import SERVICE_NAME, Resource

NAME = "llmgw"


def resource(environment: Mapping[str, str], instance: str) -> Resource:
    """`OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say more, and say otherwise."""
    own: dict[str, str | int] = {
        "service.version": version(NAME),
        "service.instance.id": instance,
        "process.pid": os.getpid(),
    }
    found = Resource.create({**own})
    is_named = "OTEL_SERVICE_NAME" in environment or "service.name" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return found if is_named else found.merge(Resource({SERVICE_NAME: NAME}))
