"""Where memory does not suffice: advice, and everything as it was. The allocations are real.

Run by `test_memory.py`, in a process of their own.
"""

import ctypes
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.models import memory
from pruning_lessons.models.memory import NotEnoughMemory, advised, room_for, used_up
from pruning_lessons.shipping import export, int8
from pruning_lessons.shipping.int8 import rounded

sys.path.insert(0, str(Path(__file__).parent))
from conftest import small_tokenizer
from zoo import tiny

resource = pytest.importorskip("resource")
if not Path("/proc/self/statm").exists():
    pytest.skip("the system does not keep to RLIMIT_AS", allow_module_level=True)

# oneDNN, once refused memory for the code that it generates, fails in that process ever after.
torch.backends.mkldnn.set_flags(False)

ROOM = 2**26  # bytes that a function may take
MANY = 30_000  # sentences, whose hidden states take more


@contextmanager
def little_room(room=ROOM):
    """Inside the `with`, no more than `room` bytes can be had, really."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def most_held():
    """Bytes."""
    rows = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(row for row in rows if row.startswith("VmHWM")).split()[1])


def batch(n, T=12):
    ids = torch.full((n, T), 7)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": torch.zeros(n, dtype=torch.long),
    }


def state(model):
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    modes = [m.training for m in model.modules()]
    return hooks, modes, [p.requires_grad for p in model.parameters()]


def half(model):
    return pl.prune(model, pl.random_masks(model, 0.5))


CALLS = {
    "importance": lambda model, some: pl.importance(model, some),
    "activation": lambda model, some: pl.importance(model, some, method="activation"),
    "leave_one_out": lambda model, some: pl.importance(model, some, method="leave_one_out"),
    "repair": lambda model, some: pl.repair(
        pl.prune(model, pl.random_masks(model, 0.5)), model, some
    ),
    "layers": lambda model, some: pl.layers_to_drop(model, 1, "block_influence", some),
    "wanda": lambda model, some: pl.prune_weights(model, 0.5, method="wanda", batches=some),
}


@pytest.mark.filterwarnings("ignore:repair declines")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_advice_and_all_as_it_was(call):
    model = tiny("xlm-roberta", "classification").train()
    model.base_model.embeddings.requires_grad_(False)
    weights, before = {n: t.clone() for n, t in model.state_dict().items()}, state(model)
    call(model, [batch(2), batch(2)])  # what is imported and made once
    large = [batch(MANY), batch(MANY)]
    with little_room():
        with pytest.raises(MemoryError, match="memory: .*batch size.*max_length.*fewer"):
            call(model, large)
        assert state(model) == before
        call(model, [batch(2), batch(2)])  # what the other one held is free
    assert all(torch.equal(weights[n], t) for n, t in model.state_dict().items())


def test_the_cause_is_kept_and_the_amount_said():
    with little_room(), pytest.raises(MemoryError, match="used up .*more were asked for") as caught:
        with advised("write less"):
            torch.zeros(2**30)
    assert isinstance(caught.value.__cause__, RuntimeError) and "write less" in str(caught.value)


def test_what_failed_holds_nothing():
    """A notebook keeps the last error, and with it each frame."""

    def hungry():
        held = np.ones(2**22)  # 32 MiB
        return held, np.ones(2**40)

    kept = []
    with little_room():
        for _ in range(4):
            with pytest.raises(NotEnoughMemory) as caught, advised():
                hungry()
            kept.append(caught.value)
        assert len(np.ones(2**22)) == 2**22


def test_the_innermost_advice_stays():
    with pytest.raises(NotEnoughMemory, match=": inner$"), advised("outer"), advised("inner"):
        raise MemoryError


def test_other_errors_pass():
    with pytest.raises(ValueError, match="^memory of a goldfish$"), advised():
        raise ValueError("memory of a goldfish")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate"
        ),
        RuntimeError("Non-zero status code: bad allocation"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("could not create a primitive"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_words_of_every_library(error):
    try:
        raise ValueError("ids: cannot run") from error
    except ValueError as wrapped:
        assert used_up(error) and used_up(wrapped)
    assert not used_up(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_before_it_is_taken():
    room_for(1000, "hidden states")
    with pytest.raises(
        MemoryError, match="hidden states of 5 texts take 9000.0 GB, .* are free: lo"
    ):
        room_for(9 * 10**12, "hidden states of 5 texts")
    with little_room():
        assert 0 < memory.available() <= ROOM


def test_a_container_s_limit_counts(tmp_path, monkeypatch):
    for name, text in (
        ("memory.max", "2000000000\n"),
        ("memory.current", "1500000000\n"),
        ("memory.stat", "anon 1\ninactive_file 300000000\n"),
    ):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(
        memory, "Path", lambda *parts: tmp_path / parts[-1] if parts[1:] else Path(*parts)
    )
    assert memory.available() <= 800_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._of_container(memory.CGROUPS[0]) is None


def test_weights_are_quantised_one_by_one(tmp_path):
    """128 MiB of float32 in a file of their own are never there all at once."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    one = np.random.default_rng(0).normal(size=(2**12, 1024)).astype(np.float32)
    tables = [one * (i + 1) for i in range(8)]
    weights = [numpy_helper.from_array(t, f"table{i}") for i, t in enumerate(tables)]
    weights.append(numpy_helper.from_array(np.arange(3, dtype=np.float32), "few"))
    nodes = [helper.make_node("Gather", [f"table{i}", "ids"], [f"rows{i}"]) for i in range(8)]
    nodes.append(helper.make_node("Sum", [f"rows{i}" for i in range(8)], ["out"]))
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 1024])
    model = helper.make_model(helper.make_graph(nodes, "g", [ids], [out], weights))
    model.opset_import[0].version, model.ir_version = 18, 9
    options = dict(save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    onnx.save(model, tmp_path / "model.onnx", **options)
    del model, weights
    # measured, not limited: protobuf crashes where memory is used up
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)  # or it would take what earlier tests let go of
    Path("/proc/self/clear_refs").write_text("5")  # forget the most that was held
    before = most_held()
    int8.quantize(tmp_path / "model.onnx", tmp_path / "int8.onnx")
    assert most_held() - before < 2**26
    assert (tmp_path / "int8.onnx").stat().st_size < 35e6
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        "int8.onnx",
        "model.onnx",
        "model.onnx.data",
    ]
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    small = onnxruntime.InferenceSession(tmp_path / "int8.onnx", providers=["CPUExecutionProvider"])
    found = small.run(None, {"ids": np.array([5, 4000])})[0]
    assert np.abs(found - sum(t[[5, 4000]] for t in tables)).max() < 0.6


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """(model, tokenizer, an export whose weights are in a file of their own)"""
    model, tokenizer = tiny("xlm-roberta", "embedding", num_hidden_layers=1), small_tokenizer(120)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "LARGE", 0)
        folder = tmp_path_factory.mktemp("large") / "onnx"
        weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        pl.quantize_onnx(pl.export_onnx(model.train(), tokenizer, folder))
        assert model.training and all(p.requires_grad for p in model.parameters())
        assert all(torch.equal(weights[name], t) for name, t in model.state_dict().items())
    return model.eval(), tokenizer, folder


def test_weights_in_a_file_of_their_own(large):
    model, tokenizer, folder = large
    assert (folder / "model.onnx.data").stat().st_size > (folder / "model.onnx").stat().st_size
    assert "model.onnx.data" in (folder / "README.md").read_text("utf-8")
    wanted = pl.outputs(model, tokenizer(["turn on the light"], return_tensors="pt"))
    for quantized, least in ((False, 0.99999), (True, 0.99)):
        found = pl.OnnxModel(folder, quantized)(["turn on the light"])
        assert (found * wanted.detach().numpy()).sum() > least


@pytest.mark.parametrize("damage", ["missing", "cut off", "elsewhere"])
def test_damaged_weights_in_a_file_of_their_own(large, damage, tmp_path):
    folder = shutil.copytree(large[2], tmp_path / "onnx")
    data = folder / "model.onnx.data"
    if damage == "cut off":
        data.write_bytes(data.read_bytes()[:-5000])
    else:
        data.rename(folder.parent / "secret")
    if damage == "elsewhere":
        data.symlink_to(folder.parent / "secret")
    before = (folder / "model-int8.onnx").read_bytes()
    with pytest.raises(ValueError, match="folder: model.onnx.*cannot be quantised"):
        pl.quantize_onnx(folder)
    assert (folder / "model-int8.onnx").read_bytes() == before


def test_rows_are_rounded_in_blocks(monkeypatch):
    w = np.random.default_rng(0).normal(size=(11, 7)).astype(np.float32)
    w[:, 3] = 0
    whole = {axis: rounded(w, axis, 63) for axis in (0, 1)}
    monkeypatch.setattr(int8, "ROWS", 4)
    for axis in (0, 1):
        for mine, other in zip(whole[axis], rounded(w, axis, 63)):
            assert np.array_equal(mine, other) and mine.dtype == other.dtype
    for shape in ((0, 7), (11, 0)):
        for axis in (0, 1):
            found, scale = rounded(np.zeros(shape, np.float32), axis, 63)
            assert found.shape == shape and scale.shape == (shape[1 - axis],)
