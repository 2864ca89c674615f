"""An ONNX model with its weights in 8 bits, activations quantised at run time."""

from pathlib import Path

import numpy as np

# A whole number in 8 bits goes from -127 to 127. Matrices use half of that: where the CPU has no
# VNNI, onnxruntime adds two products of a weight and an activation (0 to 255) in 16 bits, and
# 2 · 255 · 127 does not fit, 2 · 255 · 63 does (onnxruntime calls this `reduce_range`). Measured on
# the embedded model, one thread, a CPU with VNNI, 300 zero-shot sentences: mean |logit error| 0.127
# with 127 and 0.133 with 63 (the logits' deviation is 1.75), 82.0 and 82.3 % right (float32:
# 82.0 %), 4.0 and 3.9 ms at batch 1 (11.6), 138 and 140 ms at batch 32 (397). It costs nothing, so
# it is always so. What error there is comes from the activations: one scale a run for each matrix.
MATRIX, TABLE = 63, 127
SMALL = 16  # rows of a table that stays as it is: token types
FLOAT = 1  # onnx.TensorProto.FLOAT


def quantize(source: Path, target: Path) -> None:
    """Write `target`: the model in `source`, float32, in about a quarter of its size.

    Matrices (K, N): one scale a column, as onnxruntime's dynamic quantisation has it, with its
    operators (DynamicQuantizeLinear, MatMulInteger). Tables of embeddings (V, d): one scale a row,
    which onnxruntime's own quantiser cannot do; one that is the head's matrix, too, stays one.
    Vectors, attention's products and a classifier's head (Gemm) stay in float32. Takes memory for
    the model, once more for the file while it is read, and a quarter: each weight is replaced as
    soon as it is quantised.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(source)
    graph = model.graph
    if not graph.node:
        raise ValueError("it holds no model")
    weights = {w.name: w for w in graph.initializer if w.data_type == FLOAT and len(w.dims) == 2}
    turned = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Transpose"}
    matrices, tables = _kinds(graph.node, weights, turned)
    for name in sorted(matrices | tables):
        top = TABLE if name in tables - set(turned.values()) else MATRIX
        whole, scale = rounded(numpy_helper.to_array(weights[name]), int(name in tables), top)
        weights[name].CopyFrom(numpy_helper.from_array(whole, name))
        if name in matrices or name in turned.values():
            graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        if name in tables:
            graph.initializer.append(numpy_helper.from_array(scale[:, None], f"{name}_column"))
    nodes, quantised = [], set()
    for node in graph.node:
        right = turned.get(node.input[1], node.input[1]) if node.op_type == "MatMul" else None
        if right in matrices or right in tables:
            nodes += _product(node, right, quantised)
        elif node.op_type == "Gather" and node.input[0] in tables:
            nodes += _rows(node)
        else:
            nodes.append(node)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    del graph.value_info[:]  # types that are no longer right
    graph.node.extend(nodes)
    onnx.save(model, target)


def _kinds(nodes, weights: dict, turned: dict[str, str]) -> tuple[set[str], set[str]]:
    """Names of matrices and tables: weights that are nothing else.

    turned: outputs of transpositions, and of what.
    """
    uses = {name: set() for name in weights}
    for node in nodes:
        for place, name in enumerate(node.input):
            if name in uses and node.op_type != "Transpose":
                uses[name].add((node.op_type, place))
            elif turned.get(name) in uses:
                uses[turned[name]].add(("turned " + node.op_type, place))
    matrices = {name for name, found in uses.items() if found == {("MatMul", 1)}}
    fits = {("Gather", 0), ("turned MatMul", 1)}
    tables = {name for name, found in uses.items() if found and found <= fits}
    return matrices, {name for name in tables if weights[name].dims[0] > SMALL}


def _product(node, name: str, quantised: set[str]) -> list:
    """x @ w of whole numbers, and back; each x is quantised once, `quantised` remembers which."""
    from onnx.helper import make_node

    (x, matrix), out, nodes = node.input, node.output[0], []
    if x not in quantised:
        quantised.add(x)
        nodes.append(make_node("DynamicQuantizeLinear", [x], [f"{x}_{part}" for part in "qsz"]))
    return [
        *nodes,
        make_node("MatMulInteger", [f"{x}_q", matrix, f"{x}_z"], [f"{out}_sum"]),
        make_node("Cast", [f"{out}_sum"], [f"{out}_float"], to=FLOAT),
        make_node("Mul", [f"{x}_s", f"{name}_scale"], [f"{out}_scale"]),
        make_node("Mul", [f"{out}_float", f"{out}_scale"], [out]),
    ]


def _rows(node) -> list:
    """The rows of a table, times their scales."""
    from onnx.helper import make_node

    (table, ids), out = node.input, node.output[0]
    return [
        make_node("Gather", [table, ids], [f"{out}_rows"]),
        make_node("Gather", [f"{table}_column", ids], [f"{out}_scale"]),
        make_node("Cast", [f"{out}_rows"], [f"{out}_float"], to=FLOAT),
        make_node("Mul", [f"{out}_float", f"{out}_scale"], [out]),
    ]


def rounded(w: np.ndarray, axis: int, top: int) -> tuple[np.ndarray, np.ndarray]:
    """int8 from -top to top, of w's shape, and the scales that give it back: one for each column
    (axis 0) or for each row (axis 1).
    """
    scale = np.abs(w).max(axis, keepdims=True, initial=0).astype(np.float32) / np.float32(top)
    scale[scale == 0] = 1  # nothing but zeros
    return np.rint(w / scale).clip(-top, top).astype(np.int8), scale.ravel()
