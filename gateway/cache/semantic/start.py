"""Makes the semantic cache, if the packages of its extra are there: they are imported when a policy first asks for it."""

from __future__ import annotations

import importlib
import importlib.util
import logging

from gateway.cache.semantic.asked import NO_SEMANTIC, Meanings
from gateway.cache.semantic.outside import Embeds, Judges, Shares
from gateway.core.clock import Clock

NEEDED = ("numpy", "tokenizers")
"""Without these there is none. Without onnx and onnxruntime, only embedders at providers work."""

log = logging.getLogger("llmgw.semantic")


def is_installed() -> bool:
    return all(importlib.util.find_spec(package) is not None for package in NEEDED)


def start(
    shares: Shares, *, pepper: bytes, embeds: Embeds | None, judges: Judges | None, clock: Clock | None = None
) -> Meanings:
    """For a policy that asks for it; any other uses NO_SEMANTIC. Whoever starts it closes it."""
    if not is_installed():
        log.error("the semantic cache is off: install llmgw[semantic]", extra={"needed": ", ".join(NEEDED)})
        return NO_SEMANTIC
    assembly = importlib.import_module("gateway.cache.semantic.assembly")
    made: Meanings = assembly.assembled(shares, pepper=pepper, embeds=embeds, judges=judges, clock=clock or Clock())
    return made
