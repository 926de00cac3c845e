"""The semantic cache is optional: what decides whether to start it needs none of its packages."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.machinery import ModuleSpec

import pytest

from gateway.cache.semantic.asked import SemanticRule
from gateway.cache.semantic.start import is_installed, missing

HERE, ELSEWHERE = SemanticRule(60.0, threshold=0.9), SemanticRule(60.0, threshold=0.9, embedder="lab/embedder")


def test_nothing_of_the_extra_is_imported_until_a_policy_asks() -> None:
    code = """
import sys
from gateway.cache.semantic import asked, outside, start
print([name for name in ("numpy", "onnx", "onnxruntime", "tokenizers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    find = importlib.util.find_spec

    def found(name: str) -> ModuleSpec | None:
        return None if name in packages else find(name)

    monkeypatch.setattr(importlib.util, "find_spec", found)


def test_weights_without_what_runs_them_are_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "onnxruntime")

    assert missing(HERE) == ["onnxruntime"]
    assert not is_installed([ELSEWHERE, HERE])


def test_an_embedder_elsewhere_needs_nothing_that_runs_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "onnx", "onnxruntime")
    assert is_installed([ELSEWHERE])

    without(monkeypatch, "numpy")
    assert missing(ELSEWHERE) == ["numpy"]
