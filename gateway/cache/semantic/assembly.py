"""The semantic cache with the embedders that ship in packages. Imports numpy: see start.py."""

from __future__ import annotations

import importlib
import logging

from gateway.cache.semantic import static
from gateway.cache.semantic.embedder import MINILM, Embedder
from gateway.cache.semantic.kept.replica import Quick
from gateway.cache.semantic.outside import Embeds, Judges, Shares
from gateway.cache.semantic.tier import Parts, Semantic
from gateway.cache.semantic.weights import NotInstalled
from gateway.core.clock import Clock

log = logging.getLogger("llmgw.semantic")


def assembled(shares: Shares, *, pepper: bytes, embeds: Embeds | None, judges: Judges | None, clock: Clock) -> Semantic:
    parts = Parts(shares, pepper, load_quick, load_minilm, MINILM, embeds=embeds, judges=judges, clock=clock)
    return Semantic(parts)


def load_quick() -> Quick | None:
    """None where its weights are not installed, or cannot be read."""
    try:
        return static.load().embed
    except (NotInstalled, OSError, ValueError, KeyError) as missing:
        log.warning("every question is embedded by the slow embedder", extra={"reason": str(missing)})
        return None


def load_minilm() -> Embedder:
    """Imports onnxruntime, which takes half a second: not before it is needed. Raises NotInstalled, ImportError."""
    embedder: Embedder = importlib.import_module("gateway.cache.semantic.minilm").load()
    return embedder
