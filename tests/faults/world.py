"""What all trials share, made once: tiny models, a small tokenizer, texts, folders to damage."""

import copy
import io
import os
import shutil
import sys
import tempfile
import warnings
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE", "ORT_DISABLE_TELEMETRY": "1"}
os.environ |= {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
os.environ.pop("PRUNING_LESSONS_CHECKPOINT", None)

import numpy as np
import torch
from machine import Refused, apart
from transformers import AutoTokenizer

import pruning_lessons as pl
from pruning_lessons.models.batches import as_batches
from pruning_lessons.models.checkpoints import quiet
from pruning_lessons.models.tasks import labels_of
from pruning_lessons.shipping import command as the_command

sys.path.insert(0, str(Path(__file__).parents[1] / "package"))
from zoo import tiny

torch.set_num_threads(1)
HERE = Path(tempfile.gettempdir()) / f"faults-{os.getpid()}"  # templates
SENTENCES = [
    f"{a} {b}" for a in ("turn on", "play", "stop", "open") for b in ("light", "music")
] * 3
LABELS = [i % 5 for i in range(len(SENTENCES))]
SIZES = dict(max_position_embeddings=66, bos_token_id=0, eos_token_id=2, num_hidden_layers=3)


@cache
def tokenizer():
    """XLM-R's, with a few hundred pieces."""
    with quiet():
        whole = AutoTokenizer.from_pretrained(pl.EMBEDDED)
    small = tiny("xlm-roberta", "classification", **SIZES | dict(vocab_size=len(whole)))
    made = pl.prune_vocabulary(small, whole, [*SENTENCES, "one two"])[1]
    made.model_max_length = 64
    return made


@cache
def model(task: str = "classification", seed: int = 0, **changes):
    sizes = SIZES | dict(vocab_size=len(tokenizer()), eos_token_id=2)
    return tiny("xlm-roberta", task, seed, **sizes | changes)


def fresh(task: str = "classification", seed: int = 0, **changes):
    """A model of its own, to be changed."""
    return copy.deepcopy(model(task, seed, **changes))


def texts(n: int = len(SENTENCES), labels: bool = True) -> pl.Texts:
    return pl.Texts(SENTENCES[:n], LABELS[:n] if labels else None)


def batches(n: int = len(SENTENCES), size: int = 8) -> list[dict]:
    return list(texts(n).batches(tokenizer(), size))


def shallow(seed: int = 0):
    """One layer: the exporter takes seconds a layer."""
    return model(seed=seed, num_hidden_layers=1)


@cache
def pruned(seed: int = 0, keep: float = 0.5):
    whole = model(seed=seed)
    return pl.prune(whole, pl.random_masks(whole, keep))


def answers(network) -> torch.Tensor:
    """What a model says to the sentences, at rest."""
    found = copy.deepcopy(network).eval()
    with torch.no_grad():
        return torch.cat([pl.outputs(found, b) for b in as_batches(found, batches())])


def alike(one, other, tolerance: float = 1e-4) -> bool:
    """Whether two results are the same: tensors to rounding, all else exactly."""
    if isinstance(one, (torch.Tensor, np.ndarray)):
        one, other = torch.as_tensor(one), torch.as_tensor(other)
        if one.shape != other.shape:
            return False
        one, other = one.double(), other.double()
        scale = one.abs().nan_to_num(0).max().clamp(min=1e-12) if one.numel() else 1
        return torch.allclose(one / scale, other / scale, rtol=0, atol=tolerance, equal_nan=True)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(lambda a, b: alike(a, b, tolerance), one, other))
    if isinstance(one, float):
        return abs(one - other) <= tolerance * max(1, abs(one))
    return one == other


def differs(wanted, what: str = "the result", tolerance: float = 1e-4):
    """An oracle: why a result is not the wanted one."""
    return lambda found: (
        None if alike(wanted, found, tolerance) else f"{what} differs: {str(found)[:80]!r}"
    )


# --- folders to damage ---


@cache
def template(name: str) -> Path:
    """A folder that is copied for trials; made in another process where training makes it."""
    folder = HERE / name
    what, _, seed = name.partition("-")
    make = {
        "model": lambda: pl.save(model(seed=int(seed)), tokenizer(), folder),
        "uneven": lambda: pl.save(pruned(int(seed)), tokenizer(), folder),
        "plain": lambda: plain(model(seed=int(seed)), folder),
        "onnx": lambda: pl.quantize_onnx(export(shallow(int(seed)), folder)),
    }[what]
    HERE.mkdir(exist_ok=True)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        make()
    return folder


def plain(network, folder: Path) -> None:
    """As transformers alone saves."""
    with quiet():
        network.save_pretrained(folder)
        tokenizer().save_pretrained(folder)


_EXPORTED = {}  # the exporter takes seconds: its graphs are kept


def export(network, folder):
    """`export_onnx`, with the exporter's graph of an earlier call for the same network."""
    real = torch.onnx.export

    def once(*args, **options):
        if id(network) not in _EXPORTED:
            _EXPORTED[id(network)] = real(*args, **options), network
        return _EXPORTED[id(network)][0]

    torch.onnx.export = once
    try:
        return pl.export_onnx(network, tokenizer(), folder)
    finally:
        torch.onnx.export = real


def copied(name: str, to: str) -> None:
    shutil.copytree(template(name), to, dirs_exist_ok=True)


def served(folder, quantized: bool = False) -> np.ndarray:
    return pl.OnnxModel(folder, quantized, 1).logits(SENTENCES)


def command(*arguments: str) -> str:
    """What the command says; `Refused` if it ends with an error."""
    said, out = io.StringIO(), io.StringIO()
    with redirect_stderr(said), redirect_stdout(out):
        try:
            code = the_command.main([str(a) for a in arguments])
        except SystemExit as end:
            code = end.code
    if code == the_command.INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise Refused(said.getvalue().strip().splitlines()[-1])
    return out.getvalue()


@cache
def clean(key: str, work) -> object:
    """The result of undisturbed work, from another process: training leaves threads behind."""

    def quietly(tell):
        os.chdir(tempfile.mkdtemp(dir=HERE))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work()

    end, found = apart(quietly)
    if end != "done" or isinstance(found, str) and "Error" in found:
        raise RuntimeError(f"{key}: does not run undisturbed ({end} {found})")
    return found


def warm() -> None:
    """Everything that trials use, imported and made before the first fork."""
    import accelerate  # noqa: F401
    import onnx  # noqa: F401

    for name in pl.__all__:
        getattr(pl, name)  # imports what it needs
    for name in ("model-0", "model-1", "uneven-0", "plain-0", "onnx-0", "onnx-1"):
        template(name)
    assert labels_of(model())


@cache
def mlm() -> Path:
    """A checkpoint as the hub has them: fill-mask alone, with the embedded model's pieces."""
    with quiet():
        words = AutoTokenizer.from_pretrained(pl.EMBEDDED)
    network = tiny("xlm-roberta", "fill-mask", **SIZES | dict(vocab_size=len(words), hidden_size=8))
    with quiet():
        network.save_pretrained(HERE / "mlm")
        words.save_pretrained(HERE / "mlm")
    return HERE / "mlm"


@cache
def results(name: str):
    """What work that nobody disturbs gives; made in another process, before the first trial."""
    from crashes import workers

    setup, act = workers()[name]
    return clean(name, lambda: [setup(), act()][1])
