"""Prune Transformers, step by step: load, measure, score, select, prune, repair, save.

`import pruning_lessons` also teaches transformers' Auto classes to open pruned checkpoints.
"""
from importlib import import_module

from .checkpoints import PrunedXLMRobertaConfig, load, save, untrained
from .data import Intents, load_intents, read_csv
from .export import export_onnx, quantize_onnx
from .importance import Scores, importance
from .layers import layer_masks, layers_to_drop
from .masks import Masks, gates, masked, random_masks
from .measure import Evaluation, evaluate, latency, summary
from .preparation import prepare
from .repair import repair
from .search import LayerSearch, best_layers, greedy_layer_pruning
from .selection import LatencyTable, latency_table, select
from .surgery import prune
from .training import Training, distill, fine_tune
from .vocabulary import prune_vocabulary, vocabulary_report
from .weights import compressed_bytes, prune_weights, weight_sparsity

# Names whose modules need matplotlib, BertViz or IPython: imported when first used.
_LATER = {"attention_maps": ".attention", "show_heads": ".attention", "show_model": ".attention",
          "check_environment": ".environment", "check": ".exercises", "claim": ".exercises",
          "OnnxClassifier": ".onnx_classifier"}

__all__ = ["Evaluation", "Intents", "LatencyTable", "LayerSearch", "Masks", "PrunedXLMRobertaConfig", "Scores",
           "Training", "best_layers", "compressed_bytes", "distill", "evaluate", "export_onnx", "fine_tune",
           "gates", "greedy_layer_pruning", "importance", "latency", "latency_table", "layer_masks",
           "layers_to_drop", "load", "load_intents", "masked", "prepare", "prune", "prune_vocabulary", "prune_weights",
           "quantize_onnx", "random_masks", "read_csv", "repair", "save", "select", "summary", "untrained",
           "vocabulary_report", "weight_sparsity", *_LATER]


def __getattr__(name: str):
    if name in _LATER:
        return getattr(import_module(_LATER[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
