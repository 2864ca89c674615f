"""Prune Transformers, step by step: load, measure, score, select, prune, repair, save.

`import pruning_lessons` also teaches transformers' Auto classes to open pruned checkpoints.
"""

from importlib import import_module

from .measuring.data import (
    Intents,
    Questions,
    Tagged,
    Texts,
    as_data,
    load_intents,
    mask_tokens,
    read_conll,
    read_csv,
)
from .measuring.latency import latency
from .measuring.parallel import Parallel, load_parallel
from .measuring.scores import Evaluation, evaluate
from .measuring.size import encoder_macs, summary, unit_macs
from .measuring.tables import table
from .models.checkpoints import EMBEDDED, load, untrained
from .models.families import PrunedXLMRobertaConfig
from .models.masks import Masks, gates, masked, random_masks
from .models.tasks import TASKS, Task, outputs, task_of
from .pruning.compress import compress
from .pruning.importance import Scores, importance
from .pruning.latency_table import LatencyTable, latency_table
from .pruning.layers import layer_masks, layers_to_drop
from .pruning.repair import repair
from .pruning.search import LayerSearch, best_layers, greedy_layer_pruning
from .pruning.selection import select
from .pruning.surgery import prune
from .pruning.vocabulary import prune_vocabulary, vocabulary_report
from .pruning.weights import compressed_bytes, prune_weights, weight_sparsity
from .recovery.distillation import distill
from .recovery.training import Training, fine_tune
from .shipping.export import export_onnx, quantize_onnx
from .shipping.save import save
from .teaching.preparation import prepare

# Names whose modules need matplotlib, BertViz, IPython or onnxruntime: imported when first used.
_LATER = {
    "attention_maps": ".teaching.attention",
    "show_heads": ".teaching.attention",
    "show_model": ".teaching.attention",
    "check_environment": ".teaching.environment",
    "catch_up": ".teaching.exercises",
    "challenge": ".teaching.challenges",
    "check": ".teaching.exercises",
    "claim": ".teaching.exercises",
    "explore": ".teaching.explore",
    "figures": ".teaching",
    "progress": ".teaching.progress",
    "quiz": ".teaching.quiz",
    "OnnxClassifier": ".shipping.onnx_model",
    "OnnxModel": ".shipping.onnx_model",
}

__all__ = [
    "EMBEDDED",
    "Evaluation",
    "Intents",
    "LatencyTable",
    "LayerSearch",
    "Masks",
    "Parallel",
    "PrunedXLMRobertaConfig",
    "Questions",
    "Scores",
    "TASKS",
    "Tagged",
    "Task",
    "Texts",
    "Training",
    "as_data",
    "best_layers",
    "compress",
    "compressed_bytes",
    "distill",
    "encoder_macs",
    "evaluate",
    "export_onnx",
    "fine_tune",
    "gates",
    "greedy_layer_pruning",
    "importance",
    "latency",
    "latency_table",
    "layer_masks",
    "layers_to_drop",
    "load",
    "load_intents",
    "load_parallel",
    "mask_tokens",
    "masked",
    "outputs",
    "prepare",
    "prune",
    "prune_vocabulary",
    "prune_weights",
    "quantize_onnx",
    "random_masks",
    "read_conll",
    "read_csv",
    "repair",
    "save",
    "select",
    "summary",
    "table",
    "task_of",
    "unit_macs",
    "untrained",
    "vocabulary_report",
    "weight_sparsity",
    *_LATER,
]


def __getattr__(name: str):
    if name == "figures":
        return import_module(".teaching.figures", __name__)
    if name in _LATER:
        return getattr(import_module(_LATER[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
