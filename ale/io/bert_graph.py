"""A BERT encoder as an ONNX graph, written straight from the layout of its safetensors file.

The graph holds no weights: each names its bytes in the file, and the runtime maps them from there. So they
are in memory once, shared between processes, and a graph of some kilobytes is all there is to build.
Only standard operators: fused attention and Gelu of the runtime's own were not faster by more than a tenth.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

_OPSET = 20  # the first with Gelu
_IR_VERSION = 9  # what belongs to that opset; onnx would write its newest, which older runtimes refuse
_EPSILON = 1e-12
_NOTHING = -1e9


class _Builder:
    """Collects nodes; every method gives the name of what it adds."""

    def __init__(self, weights: Path) -> None:
        self._file = weights.name
        self._start, self._layout = read_layout(weights)
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, onnx.TensorProto] = {}

    def op(self, kind: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        out = out or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def constant(self, value: ArrayLike, kind: type[np.generic] = np.int64) -> str:
        array = np.asarray(value, kind)
        name = f"{array.dtype}_{array.tolist()}"
        self._tensors[name] = numpy_helper.from_array(array, name)
        return name

    def weight(self, name: str) -> str:
        begin, end = self._layout[name]["data_offsets"]
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=self._layout[name]["shape"])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (
            ("location", self._file),
            ("offset", self._start + begin),
            ("length", end - begin),
        ):
            tensor.external_data.add(key=key, value=str(value))
        self._tensors[name] = tensor
        return name

    def linear(self, x: str, name: str) -> str:
        return self.op("Gemm", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), transB=1)

    def norm(self, x: str, name: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=_EPSILON)

    def width(self, name: str) -> int:
        return int(self._layout[name]["shape"][-1])

    def model(self, inputs: dict[str, int], output: str, columns: int) -> bytes:
        given = [helper.make_tensor_value_info(name, kind, ["n", "t"]) for name, kind in inputs.items()]
        made = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", columns])
        graph = helper.make_graph(self._nodes, "bert", given, [made], list(self._tensors.values()))
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        return bytes(model.SerializeToString())


def read_layout(weights: Path) -> tuple[int, dict[str, Any]]:
    """Where the file's tensors begin, and of each: `dtype`, `shape` and `data_offsets` from there."""
    with weights.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        return 8 + size, json.loads(file.read(size))


def bert_graph(weights: Path, *, heads: int, layers: int, pooled: tuple[int, ...]) -> bytes:
    """`ids` and `mask` (texts, tokens) to `rows`: the mean of each layer in `pooled` at unit length, joined."""
    b = _Builder(weights)
    hidden = b.width("embeddings.word_embeddings.weight")
    size = b.op("Shape", "ids")
    # Linear layers work on (texts x tokens, hidden); only attention and the mean need the texts apart.
    flat = b.constant([-1, hidden])
    width = hidden // heads
    apart = b.op("Concat", size, b.constant([heads, width]), axis=0)
    whole = b.op("Concat", size, b.constant([hidden]), axis=0)
    # 0 where there is a token, so little where there is padding that nothing attends to it; not the least float,
    # which bfloat16 takes for infinity.
    real = b.op("Unsqueeze", "mask", b.constant([1, 2]))
    padding = b.op("Sub", b.constant(1, np.float32), real)
    scale = b.constant(width**-0.5, np.float32)
    bias = b.op("Mul", padding, b.constant(_NOTHING, np.float32))

    x = b.op("Reshape", _embeddings(b, size), flat)
    means: dict[int, str] = {}
    for layer in range(1, layers + 1):
        name = f"encoder.layer.{layer - 1}"
        seen = b.op("Reshape", _attention(b, x, f"{name}.attention.self", apart, scale, bias), flat)
        seen = b.linear(seen, f"{name}.attention.output.dense")
        x = b.norm(b.op("Add", seen, x), f"{name}.attention.output.LayerNorm")
        wide = b.op("Gelu", b.linear(x, f"{name}.intermediate.dense"))
        x = b.norm(b.op("Add", b.linear(wide, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")
        if layer in pooled:
            means[layer] = _mean(b, b.op("Reshape", x, whole))
    b.op("Concat", *(means[layer] for layer in pooled), out="rows", axis=1)
    return b.model({"ids": TensorProto.INT64, "mask": TensorProto.FLOAT}, "rows", hidden * len(pooled))


def _embeddings(b: _Builder, size: str) -> str:
    words = b.op("Gather", b.weight("embeddings.word_embeddings.weight"), "ids")
    first, second = b.constant([0]), b.constant([1])
    tokens = b.op("Gather", size, second)
    places = b.op("Slice", b.weight("embeddings.position_embeddings.weight"), first, tokens, first)
    # All tokens are of the first type: a row holds one text, never a pair.
    kind = b.op("Slice", b.weight("embeddings.token_type_embeddings.weight"), first, second, first)
    return b.norm(b.op("Add", words, b.op("Add", places, kind)), "embeddings.LayerNorm")


def _attention(b: _Builder, x: str, name: str, apart: str, scale: str, bias: str) -> str:
    """What every head makes of the text, (texts, tokens, heads, width of a head)."""

    def heads(part: str, order: list[int]) -> str:
        return b.op("Transpose", b.op("Reshape", b.linear(x, f"{name}.{part}"), apart), perm=order)

    query, key, value = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]), heads("value", [0, 2, 1, 3])
    scores = b.op("Add", b.op("Mul", b.op("MatMul", query, key), scale), bias)
    return b.op("Transpose", b.op("MatMul", b.op("Softmax", scores, axis=-1), value), perm=[0, 2, 1, 3])


def _mean(b: _Builder, x: str) -> str:
    """The mean over a text's own tokens, of unit length; a text has at least its two marks."""
    axis = b.constant([1])
    own = b.op("Mul", x, b.op("Unsqueeze", "mask", b.constant([2])))
    total = b.op("ReduceSum", own, axis, keepdims=0)
    mean = b.op("Div", total, b.op("ReduceSum", "mask", axis, keepdims=1))
    return b.op("LpNormalization", mean, axis=1, p=2)
