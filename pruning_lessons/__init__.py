"""Prune Transformers, step by step: load, measure, score, select, prune, repair, save.

`import pruning_lessons` also teaches transformers' Auto classes to open pruned checkpoints.
"""
from importlib import import_module

from .checkpoints import PrunedXLMRobertaConfig, load, save, untrained
from .data import Intents, load_intents
from .importance import Scores, importance
from .masks import Masks, gates, masked, random_masks
from .measure import Evaluation, evaluate, latency, summary
from .repair import repair
from .selection import LatencyTable, latency_table, select
from .surgery import prune

# Names whose modules need matplotlib, BertViz or IPython: imported when first used.
_LATER = {"attention_maps": ".attention", "show_heads": ".attention", "show_model": ".attention",
          "check_environment": ".environment", "check": ".exercises"}

__all__ = ["Evaluation", "Intents", "LatencyTable", "Masks", "PrunedXLMRobertaConfig", "Scores", "evaluate", "gates",
           "importance", "latency", "latency_table", "load", "load_intents", "masked", "prune", "random_masks", "repair",
           "save", "select", "summary", "untrained", *_LATER]


def __getattr__(name: str):
    if name in _LATER:
        return getattr(import_module(_LATER[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
