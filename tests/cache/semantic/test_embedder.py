"""Texts that mean the same are near, and those that the embedder misreads have no vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.cache.semantic import minilm, static
from gateway.cache.semantic.embedder import Embedder, unit
from gateway.cache.semantic.weights import NotInstalled, find, read_tensors


@pytest.mark.parametrize("numbers", [[0, 0], [np.nan, 1], [np.inf, 1]])
def test_what_has_no_direction_is_no_vector(numbers: list[float]) -> None:
    with np.errstate(invalid="ignore"):
        assert unit(np.array(numbers, dtype=np.float32)) is None


def test_missing_weights_are_asked_for_by_name() -> None:
    with pytest.raises(NotInstalled, match="no-such-package"):
        find({"no_such_package": "x"})


def test_tensors_are_read_from_a_safetensors_file(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"__metadata__":{"format":"pt"}}'
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + np.array([1, 2], dtype=np.float32).tobytes())

    assert read_tensors(path)["a"].tolist() == [[1.0], [2.0]]


@pytest.fixture(scope="module", params=["static", "minilm"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return static.load() if request.param == "static" else minilm.load()


def test_questions_that_mean_the_same_are_nearer_than_others(embedder: Embedder) -> None:
    texts = ("How do I reset my password?", "How can I change my password?", "What is the capital of France?")
    one, same, other = (embedder.embed(text) for text in texts)
    assert one is not None
    assert same is not None
    assert other is not None

    assert one.shape == (embedder.dimensions,)
    assert float(one @ one) == pytest.approx(1, abs=1e-3)
    assert float(one @ same) > 0.7
    assert float(one @ other) < 0.3


@pytest.mark.parametrize("text", ["", "word " * 200])
def test_what_is_empty_or_too_long_has_no_vector(embedder: Embedder, text: str) -> None:
    assert embedder.embed(text) is None


def test_what_has_unknown_letters_has_no_vector(embedder: Embedder) -> None:
    if embedder.name.startswith("all-MiniLM"):
        assert embedder.embed("如何重置我的密码?") is None
