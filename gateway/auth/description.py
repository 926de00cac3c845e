"""A virtual key as people see it: everything but its fingerprint."""

from __future__ import annotations

from gateway.core.tenant import VirtualKey


def state(key: VirtualKey, *, now: float) -> str:
    """`active`, `revoked` or `expired` at this UTC time."""
    if key.revoked:
        return "revoked"
    return "expired" if key.expires is not None and key.expires <= now else "active"


def describe(key: VirtualKey, *, now: float) -> dict[str, object]:
    """Ready for JSON."""
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "models": key.models,
        "created": key.created,
        "expires": key.expires,
        "state": state(key, now=now),
    }
