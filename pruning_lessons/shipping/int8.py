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
ROWS = 4096  # of a weight, that are rounded together: what that takes beside the weight stays small
FLOAT = 1  # onnx.TensorProto.FLOAT


def quantize(source: Path, target: Path) -> None:
    """Write `target`: the model in `source`, float32, in about a quarter of its size.

    Matrices (K, N): one scale a column, as onnxruntime's dynamic quantisation has it, with its
    operators (DynamicQuantizeLinear, MatMulInteger). Tables of embeddings (V, d): one scale a row,
    which onnxruntime's own quantiser cannot do; one that is the head's matrix, too, stays one.
    Vectors, attention's products and a classifier's head (Gemm) stay in float32.

    Memory: weights go one by one from file to file. Of those in a file of their own
    (`model.onnx.data`) the largest is held, in 8 bits; those inside `source` take twice its size.
    """
    import onnx

    model = onnx.load(source, load_external_data=False)
    graph = model.graph
    if not graph.node:
        raise ValueError("it holds no model")
    weights = {w.name: w for w in graph.initializer if w.data_type == FLOAT and len(w.dims) == 2}
    turned = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Transpose"}
    matrices, tables = _kinds(graph.node, weights, turned)
    kept = []
    with open(target, "wb") as file:
        for weight in graph.initializer:
            name, outside = weight.name, weight.data_location == onnx.TensorProto.EXTERNAL
            if name in matrices or name in tables:
                top = TABLE if name in tables - set(turned.values()) else MATRIX
                whole, scale = rounded(_values(weight, source.parent), int(name in tables), top)
                _append(file, name, whole)
                if name in matrices or name in turned.values():
                    _append(file, f"{name}_scale", scale)
                if name in tables:
                    _append(file, f"{name}_column", scale[:, None])
            elif outside:
                _append(file, name, _values(weight, source.parent))
            else:
                kept.append(_apart(weight))
        nodes = _nodes(graph.node, matrices, tables, turned)
        del graph.node[:], graph.initializer[:]
        del graph.value_info[:]  # types that are no longer right
        graph.node.extend(nodes)
        graph.initializer.extend(kept)
        file.write(model.SerializeToString())


def _nodes(nodes, matrices: set[str], tables: set[str], turned: dict[str, str]) -> list:
    """The graph's nodes, those that read whole numbers in their place."""
    found, quantised = [], set()
    for node in nodes:
        right = turned.get(node.input[1], node.input[1]) if node.op_type == "MatMul" else None
        if right in matrices or right in tables:
            found += _product(node, right, quantised)
        elif node.op_type == "Gather" and node.input[0] in tables:
            found += _rows(node)
        else:
            found.append(node)
    return [_apart(node) for node in found]


def _apart(message):
    """A copy that lives on when the model that it is in lets go of it."""
    return type(message).FromString(message.SerializeToString())


def _append(file, name: str, values: np.ndarray) -> None:
    """Write one more weight of a model's graph.

    A protobuf message may come in pieces, one after the other: readers join what they say, here the
    weights of ModelProto.graph (field 7), which are GraphProto.initializer (5), the numbers
    TensorProto.raw_data (9). So no weight is copied into a message, nor a message into a file.
    """
    from onnx import TensorProto, helper

    values = np.asarray(values, order="C")
    kind = helper.np_dtype_to_tensor_dtype(values.dtype)
    facts = TensorProto(name=name, data_type=kind, dims=values.shape).SerializeToString()
    facts += _head(9, values.nbytes)
    size = len(facts) + values.nbytes
    weight = _head(5, size)
    file.write(_head(7, len(weight) + size) + weight + facts)
    file.write(values.data)


def _head(field: int, size: int) -> bytes:
    """How protobuf begins a field of so many bytes: number and kind, then the size, seven bits a
    byte, the lowest first.
    """
    found = [field << 3 | 2]
    while size > 127:
        found.append(size & 127 | 128)
        size >>= 7
    return bytes([*found, size])


def _values(weight, folder: Path) -> np.ndarray:
    """A weight's values; those in a file of their own are read when they are looked at.

    `ValueError` for a file that is not beside the model, or is too short.
    """
    import onnx
    from onnx import helper, numpy_helper
    from onnx.external_data_helper import ExternalDataInfo

    if weight.data_location != onnx.TensorProto.EXTERNAL:
        return numpy_helper.to_array(weight)
    info = ExternalDataInfo(weight)
    file, start = folder / info.location, info.offset or 0
    if Path(info.location).name != info.location or file.is_symlink() or not file.is_file():
        raise ValueError(f"{weight.name} is in {info.location!r}, must be in a file beside it")
    kind = helper.tensor_dtype_to_np_dtype(weight.data_type)
    if not np.prod(weight.dims):
        return np.zeros(weight.dims, kind)
    return np.memmap(file, kind, "r", start, tuple(weight.dims))


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
    blocks = [slice(start, start + ROWS) for start in range(0, max(1, len(w)), ROWS)]
    most = [np.abs(w[block]).max(axis, keepdims=True, initial=0) for block in blocks]
    scale = np.concatenate(most) if axis else np.max(most, axis=0)
    scale = scale.astype(np.float32) / np.float32(top)  # (1, columns) or (rows, 1)
    scale[scale == 0] = 1  # nothing but zeros
    whole = np.empty(w.shape, np.int8)
    for block in blocks:
        own = scale[block] if axis else scale
        whole[block] = np.rint(w[block] / own).clip(-top, top)
    return whole, scale.ravel()
