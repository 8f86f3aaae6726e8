"""Write the sentence encoder MiniLM as ONNX from its weights, with mean pooling and unit length in the graph.

    .venv/jobs/bin/python tools/minilm_onnx.py model.safetensors minilm.onnx

The weights are those of all-MiniLM-L6-v2, a BERT of six layers (Wang et al. 2020, arXiv 2002.10957; Reimers and
Gurevych 2019, arXiv 1908.10084). The graph is written out layer by layer, so that no torch has to be installed for it.
The same weights give the same bytes.

    input_ids, attention_mask   int64 [texts, tokens]; 1 is a token, 0 is padding
    embedding                   float32 [texts, 384], each of length 1
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

LAYERS, HEADS, WIDTH = 6, 12, 384
EPSILON = 1e-12  # of the layer normalisations, from the model's config.json
FAR_BELOW = -1e9  # added to the score of padding: its share after softmax is exactly 0
OPSET, IR = 17, 9  # the first opset with LayerNormalization

Weights = Mapping[str, NDArray[np.float32]]


class Graph:
    """An ONNX graph that is added to node by node. Every method returns the name of what it added."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: object) -> str:
        """A constant tensor."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(self, name: str) -> str:
        """A tensor of the weights, as it is."""
        return self.constant(self._weights[name])

    def apply(self, operator: str, *inputs: str, **attributes: object) -> str:
        """A node with one output."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def linear(self, x: str, name: str) -> str:
        """Multiplied by the weights, and the bias added. The weights lie as torch keeps them, output by input."""
        product = self.apply("MatMul", x, self.constant(self._weights[f"{name}.weight"].T.copy()))
        return self.apply("Add", product, self.weight(f"{name}.bias"))

    def layer_norm(self, x: str, name: str) -> str:
        """Normalised over the last axis."""
        scale, shift = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.apply("LayerNormalization", x, scale, shift, axis=-1, epsilon=EPSILON)

    def gelu(self, x: str) -> str:
        """x/2 (1 + erf(x / √2)), the exact form that BERT was trained with."""
        erf = self.apply("Erf", self.apply("Mul", x, self.constant(np.float32(2**-0.5))))
        half = self.apply("Mul", x, self.constant(np.float32(0.5)))
        return self.apply("Mul", half, self.apply("Add", erf, self.constant(np.float32(1))))


def embedded(graph: Graph) -> str:
    """Word, position and segment embeddings, added and normalised. There is one segment."""
    length = graph.apply("Gather", graph.apply("Shape", "input_ids"), graph.constant(np.int64(1)), axis=0)
    places = graph.apply("Range", graph.constant(np.int64(0)), length, graph.constant(np.int64(1)))
    words = graph.apply("Gather", graph.weight("embeddings.word_embeddings.weight"), "input_ids")
    positions = graph.apply("Gather", graph.weight("embeddings.position_embeddings.weight"), places)
    segment = graph.constant(graph._weights["embeddings.token_type_embeddings.weight"][0])
    summed = graph.apply("Add", graph.apply("Add", words, positions), segment)
    return graph.layer_norm(summed, "embeddings.LayerNorm")


def attention(graph: Graph, x: str, hidden: str, layer: str) -> str:
    """Scaled dot-product attention of all heads; `hidden` is added to the scores."""
    heads = graph.constant(np.array([0, 0, HEADS, WIDTH // HEADS], np.int64))

    def split(name: str, order: list[int]) -> str:
        projected = graph.linear(x, f"{layer}.attention.self.{name}")
        return graph.apply("Transpose", graph.apply("Reshape", projected, heads), perm=order)

    query, key, value = split("query", [0, 2, 1, 3]), split("key", [0, 2, 3, 1]), split("value", [0, 2, 1, 3])
    scale = graph.constant(np.float32((WIDTH // HEADS) ** -0.5))
    scores = graph.apply("Add", graph.apply("Mul", graph.apply("MatMul", query, key), scale), hidden)
    mixed = graph.apply("MatMul", graph.apply("Softmax", scores, axis=-1), value)
    joined = graph.apply("Reshape", graph.apply("Transpose", mixed, perm=[0, 2, 1, 3]),
                         graph.constant(np.array([0, 0, WIDTH], np.int64)))  # fmt: skip
    return graph.linear(joined, f"{layer}.attention.output.dense")


def encoded(graph: Graph, mask: str) -> str:
    """The last layer's state of every token."""
    on_keys = graph.apply("Unsqueeze", mask, graph.constant(np.array([1, 2], np.int64)))
    absent = graph.apply("Sub", graph.constant(np.float32(1)), on_keys)
    hidden = graph.apply("Mul", absent, graph.constant(np.float32(FAR_BELOW)))
    x = embedded(graph)
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        attended = graph.apply("Add", x, attention(graph, x, hidden, layer))
        x = graph.layer_norm(attended, f"{layer}.attention.output.LayerNorm")
        wide = graph.gelu(graph.linear(x, f"{layer}.intermediate.dense"))
        x = graph.layer_norm(
            graph.apply("Add", x, graph.linear(wide, f"{layer}.output.dense")), f"{layer}.output.LayerNorm"
        )
    return x


def pooled(graph: Graph, states: str, mask: str) -> None:
    """The mean over the tokens of a text, padding left out, at length 1: the output `embedding`.

    A product of matrices and no sum over an axis: that one rounds differently for one text than for several.
    """
    row = graph.apply("Unsqueeze", mask, graph.constant(np.array([1], np.int64)))
    total = graph.apply("MatMul", row, states)
    count = graph.apply("ReduceSum", row, graph.constant(np.array([2], np.int64)), keepdims=1)
    mean = graph.apply("Squeeze", graph.apply("Div", total, count), graph.constant(np.array([1], np.int64)))
    graph.nodes.append(helper.make_node("LpNormalization", [mean], ["embedding"], name="embedding", axis=-1, p=2))


def model_of(weights: Weights) -> onnx.ModelProto:
    """The whole model, checked."""
    graph = Graph(weights)
    mask = graph.apply("Cast", "attention_mask", to=TensorProto.FLOAT)
    pooled(graph, encoded(graph, mask), mask)
    tokens = ["texts", "tokens"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, tokens) for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["texts", WIDTH])
    body = helper.make_graph(graph.nodes, "minilm", inputs, [output], graph.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="content-signals")
    model.ir_version = IR
    onnx.checker.check_model(model)
    return model


def read_weights(path: Path) -> Weights:
    """The weights by name, in float32."""
    read = load_file(path)
    return {name.removeprefix("bert."): value.astype(np.float32) for name, value in read.items()
            if value.dtype.kind == "f"}  # fmt: skip


def main() -> None:
    """Read the weights, write the model."""
    weights, output = Path(sys.argv[1]), Path(sys.argv[2])
    output.write_bytes(model_of(read_weights(weights)).SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
