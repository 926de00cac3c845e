"""OpenTelemetry's variables, read as its specification says: an empty one is not set, and of one that makes no sense the name is
told and the default taken. A value is never told: it may be a secret in the wrong place."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence

log = logging.getLogger("llmgw.trace")

_WHOLE = re.compile(r"\d{1,15}", re.ASCII)


def first(environment: Mapping[str, str], names: Iterable[str]) -> tuple[str, str]:
    """Name and value of the first of these variables that is set; two empty texts if none is."""
    return next(((name, value) for name in names if (value := environment.get(name, "").strip())), ("", ""))


def choice(environment: Mapping[str, str], names: Iterable[str], known: Sequence[str]) -> str:
    """What is chosen of what is known, whose first is the default."""
    name, text = first(environment, names)
    if name and text.lower() not in known:
        misread(name, f"it is none of {', '.join(known)}", known[0])
    return text.lower() if text.lower() in known else known[0]


def whole(
    environment: Mapping[str, str], names: Iterable[str], default: int | None, *, least: int = 0, most: int = 10**9
) -> int | None:
    """A whole number, not negative. `default` None: without limit."""
    name, text = first(environment, names)
    if not name:
        return default
    if _WHOLE.fullmatch(text) and least <= int(text) <= most:
        return int(text)
    misread(name, f"it is no whole number from {least} to {most}", "no limit" if default is None else default)
    return default


def switch(environment: Mapping[str, str], names: Iterable[str]) -> bool:
    """`true`, or off."""
    return choice(environment, names, ("false", "true")) == "true"


def misread(name: str, reason: str, taken: object) -> None:
    log.warning(
        "a variable makes no sense; its default is taken", extra={"variable": name, "reason": reason, "taken": taken}
    )
