"""Encoders with their own number of heads and neurons in every layer, as transformers classes.

Plain transformers re-initialises weights whose shapes its configuration does not foresee; these
classes carry the shapes in the configuration, so that a pruned model is saved and loaded bit for
bit.
"""

import sys
import warnings

import torch
import transformers
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from .anatomy import FAMILIES, head_size, layers_of

AUTO_CLASSES = {
    "Model": AutoModel,
    "ForMaskedLM": AutoModelForMaskedLM,
    "ForSequenceClassification": AutoModelForSequenceClassification,
    "ForTokenClassification": AutoModelForTokenClassification,
    "ForQuestionAnswering": AutoModelForQuestionAnswering,
}


PRUNED_CLASS = {}  # transformers' class: ours


def _define(family: str, name: str) -> None:
    """Pruned…Config and the Pruned… models of a family, known to transformers' Auto classes.

    The configuration is the family's, and says what is left in each layer: `kept_layers` (its index
    in the unpruned model), `kept_heads` (the unpruned indices of its heads, maybe none) and
    `neurons_per_layer`. `num_attention_heads` and `intermediate_size` keep the unpruned values:
    they give the size of a head and the places that removed heads had.
    """
    fields = ("kept_layers", "kept_heads", "neurons_per_layer")
    module = sys.modules[__name__]
    config = type(
        f"Pruned{name}Config",
        (getattr(transformers, f"{name}Config"),),
        {
            "__module__": __name__,
            "__doc__": f"{name}'s configuration, and what is left in each layer.",
            "model_type": f"pruned-{family}",
            "__annotations__": dict.fromkeys(fields, list | None),
            **dict.fromkeys(fields),
        },
    )
    setattr(module, config.__name__, config)
    AutoConfig.register(config.model_type, config)
    for kind, auto in AUTO_CLASSES.items():
        plain = getattr(transformers, f"{name}{kind}")

        def build(self, config, *args, plain=plain, **options):
            plain.__init__(self, config, *args, **options)
            if getattr(config, "pooling", None):  # an embedder pools itself
                self.pooler = None
            _resize(self)

        ours = type(
            f"Pruned{plain.__name__}",
            (plain,),
            {"__module__": __name__, "__init__": build, "config_class": config},
        )
        setattr(module, ours.__name__, ours)
        auto.register(config, ours)
        PRUNED_CLASS[plain] = ours


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """nn.Linear, without its warning that at size 0 there is nothing to draw."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")
        return nn.Linear(inputs, outputs)


def _resize(model) -> None:
    """Give the layers of a freshly built model the shapes that its configuration names."""
    config, d = model.config, model.config.hidden_size
    if config.kept_heads is None or config.neurons_per_layer is None:
        return
    for layer, heads, neurons in zip(
        layers_of(model), config.kept_heads, config.neurons_per_layer, strict=True
    ):
        width = len(heads) * head_size(model)
        attention = layer.attention.self
        attention.query, attention.key, attention.value = (_linear(d, width) for _ in range(3))
        layer.attention.output.dense = _linear(width, d)
        layer.intermediate.dense = _linear(d, neurons)
        layer.output.dense = _linear(neurons, d)


def empty(model_class, config, pooler: bool = True) -> nn.Module:
    """A `model_class` with shapes and no values, on the meta device. pooler: whether a bare encoder
    has one.
    """
    with torch.device("meta"):
        model = model_class(config)
    if not pooler:
        model.pooler = None
    return model


def build_empty(model_class, config, like) -> nn.Module:
    """A `model_class` with uninitialised weights on the device and in the type of `like`; buffers
    copied from it.
    """
    parameter = next(like.parameters())
    model = empty(model_class, config, pooler=getattr(like, "pooler", True) is not None)
    model = model.to_empty(device=parameter.device).to(parameter.dtype)
    buffers = dict(like.named_buffers())
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
    model.tie_weights()
    model.set_attn_implementation(like.config._attn_implementation)
    return model.train(like.training)


for _family, _name in FAMILIES.items():
    _define(_family, _name)
