"""Other ways to the same budget, on the same model, scores and sentences: what `run.py` calls.

Kwon et al. and K-prune are written from their papers (`kwon.py`, `kprune.py`); Torch-Pruning runs
here where it is installed; TextPruner needs an older transformers, so it runs in an environment of
its own. None of them trains after pruning.
"""

import copy
import importlib.util
import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from kprune import k_prune
from kwon import tune_masks

import pruning_lessons as pl

HERE = Path(__file__).parent
TORCH_PRUNING, TEXT_PRUNER = "Torch-Pruning 1.6.1", "TextPruner 1.1.post2"
TEXT_PRUNER_PYTHON = HERE.parent / ".venv-textpruner" / "bin" / "python"


@dataclass
class Calibration:
    """What every method may use: the whole model, sentences and batches of them, scores."""

    model: Any
    data: pl.Texts
    batches: list[dict]
    scored: dict[str, pl.Scores]  # "fisher" and "obs"

    @property
    def there(self) -> list[dict]:
        """The batches on the model's device."""
        device = next(self.model.parameters()).device
        return [{name: tensor.to(device) for name, tensor in b.items()} for b in self.batches]


def without_refit(given: Calibration, keep: float):
    masks = pl.select(given.scored["fisher"], given.model, keep_macs=keep)
    return pl.prune(given.model, masks)


def kwon(given: Calibration, keep: float):
    return tune_masks(without_refit(given, keep), given.model, given.there)


def kprune(given: Calibration, keep: float, each_example: bool):
    return k_prune(given.model, given.there, keep, each_example=each_example)


def by_share(given: Calibration, keep: float, method: str):
    """The best share `keep` of the heads and of the neurons, over all layers."""
    scores = pl.importance(given.model, given.batches, method, seed=0)
    n_heads, n_neurons = round(keep * scores.heads.numel()), int(keep * scores.neurons.numel())
    masks = pl.select(
        scores, given.model, keep_heads=n_heads, keep_neurons=n_neurons, rearrange=False
    )
    return pl.prune(given.model, masks)


def torch_pruning(given: Calibration, keep: float):
    """Heads and neurons by first-order Taylor importance, hidden size kept."""
    import torch_pruning as tp

    model, batches = copy.deepcopy(given.model), given.there
    inputs = {k: batches[0][k][:2] for k in ("input_ids", "attention_mask")}
    layers = model.roberta.encoder.layer
    ignored, heads = [model.classifier, model.roberta.embeddings], {}
    for layer in layers:
        for part in (layer.attention.output, layer.output):
            ignored += [part.dense, part.LayerNorm]
        own = layer.attention.self
        for matrix in (own.query, own.key, own.value):
            heads[matrix] = model.config.num_attention_heads
    pruner = tp.pruner.MetaPruner(
        model,
        inputs,
        importance=tp.importance.GroupTaylorImportance(),
        global_pruning=False,
        pruning_ratio=1 - keep,
        head_pruning_ratio=1 - keep,
        num_heads=heads,
        prune_num_heads=True,
        prune_head_dims=False,
        ignored_layers=ignored,
        output_transform=lambda out: out.logits.sum(),
    )
    for batch in batches:  # gradients summed over the calibration set
        model(**{k: batch[k] for k in (*inputs, "labels")}).loss.backward()
    pruner.step()
    for layer in layers:
        layer.attention.self.num_attention_heads = pruner.num_heads[layer.attention.self.query]
    return model.eval()


PEERS: dict[str, Callable[[Calibration, float], Any]] = {
    "Fisher, no refit": without_refit,
    "Kwon et al. 2022": kwon,
    "K-prune, squares per batch (as published)": partial(kprune, each_example=False),
    "K-prune, squares per example": partial(kprune, each_example=True),
    TORCH_PRUNING: torch_pruning,
    **{name: partial(by_share, method=name) for name in ("taylor", "magnitude", "random")},
}
BY_SCORES = tuple(PEERS)[:2]  # the others do not use `Calibration.scores`


def missing(python: Path) -> set[str]:
    """The peers that cannot run here. python: of TextPruner's environment."""
    found = set() if importlib.util.find_spec("torch_pruning") else {TORCH_PRUNING}
    try:
        command = [python, "-c", "import textpruner"]
        runs = subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        runs = False
    return found if runs else found | {TEXT_PRUNER}


def text_pruner(given: Calibration, keep: float, sets: dict[str, pl.Texts], python: Path) -> dict:
    """What TextPruner does in its own environment: see `textpruner_peer.py`."""
    pack = lambda data: {"sentences": data.sentences, "labels": data.labels}
    with tempfile.TemporaryDirectory() as folder:
        data, results = Path(folder) / "data.json", Path(folder) / "results.json"
        heads, neurons = even_shape(given.model, keep)
        asked = {
            "threads": torch.get_num_threads(),
            "calibration": pack(given.data),
            "sets": {kind: pack(own) for kind, own in sets.items()},
            "budgets": [(keep, heads, neurons)],
        }
        data.write_text(json.dumps(asked), encoding="utf-8")
        command = [python, HERE / "textpruner_peer.py", pl.EMBEDDED, data, results]
        subprocess.run(command, check=True)
        [found] = json.loads(results.read_text("utf-8"))
    if "right" in found:
        head, neuron = pl.unit_macs(given.model)
        macs = 12 * (found["heads"] * head + found["neurons"] * neuron)
        found["macs"] = macs / pl.encoder_macs(given.model)
    return found | {"asked": {"heads": heads, "neurons": neurons}}


def even_shape(model, keep: float) -> tuple[int, int]:
    """Heads and neurons a layer within the budget, in like shares."""
    head, neuron = pl.unit_macs(model)
    heads = max(1, round(keep * 12))
    return heads, int((keep * pl.encoder_macs(model) / 12 - heads * head) // neuron)
