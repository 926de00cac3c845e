"""What a scenario has found: one promise, what it asks, and what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`holds` is None for a figure that nothing is asked of. `is_timing`: it depends on how busy the machine is."""

    promise: str
    asked: str
    seen: str
    holds: bool | None = None
    is_timing: bool = False


def at_most(promise: str, limit: float, seen: float, *, unit: str = "", is_timing: bool = False) -> Finding:
    return Finding(promise, f"≤ {_shown(limit)}{unit}", f"{_shown(seen)}{unit}", seen <= limit, is_timing)


def at_least(promise: str, limit: float, seen: float, *, unit: str = "", is_timing: bool = False) -> Finding:
    return Finding(promise, f"≥ {_shown(limit)}{unit}", f"{_shown(seen)}{unit}", seen >= limit, is_timing)


def equal(promise: str, wanted: object, seen: object) -> Finding:
    return Finding(promise, _shown(wanted), _shown(seen), wanted == seen)


def nothing(promise: str, seen: Sequence[object]) -> Finding:
    """Of bad things there must be none; the first few are told."""
    told = "none" if not seen else f"{len(seen)}: " + "; ".join(str(each) for each in seen[:3])
    return Finding(promise, "none", told, not seen)


def figure(name: str, seen: str) -> Finding:
    return Finding(name, "", seen)


def broken(findings: Sequence[Finding], *, timing: bool = False) -> list[Finding]:
    """Those that do not hold; those about time only when asked for."""
    return [each for each in findings if each.holds is False and (timing or not each.is_timing)]


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
