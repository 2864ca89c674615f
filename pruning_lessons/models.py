"""Encoders with their own number of heads and neurons in every layer, as transformers classes.

Plain transformers re-initialises weights whose shapes its configuration does not foresee; these
classes carry the shapes in the configuration, so that a pruned model is saved and loaded bit for bit.
"""
import copy
import sys
import warnings

import torch
import transformers
from torch import nn
from torch.nn.utils import prune as torch_prune
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification

# Families whose layers are laid out alike: the same names, the LayerNorm after the sum.
FAMILIES = {"xlm-roberta": "XLMRoberta", "roberta": "Roberta", "camembert": "Camembert", "bert": "Bert"}
AUTO_CLASSES = {"Model": AutoModel, "ForMaskedLM": AutoModelForMaskedLM, "ForSequenceClassification": AutoModelForSequenceClassification}
PRUNED_CLASS = {}                           # transformers' class: ours


def _define(family: str, name: str) -> None:
    """Pruned…Config and the three Pruned… models of a family, known to transformers' Auto classes.

    The configuration is the family's, and says what is left in each layer: `kept_layers` (its index in the unpruned
    model), `kept_heads` (the unpruned indices of its heads, maybe none) and `neurons_per_layer`. `num_attention_heads` and
    `intermediate_size` keep the unpruned values: they give the size of a head and the places that removed heads had.
    """
    fields = ("kept_layers", "kept_heads", "neurons_per_layer")
    module = sys.modules[__name__]
    config = type(f"Pruned{name}Config", (getattr(transformers, f"{name}Config"),), {
        "__module__": __name__, "__doc__": f"{name}'s configuration, and what is left in each layer.",
        "model_type": f"pruned-{family}", "__annotations__": {f: list | None for f in fields}, **dict.fromkeys(fields)})
    setattr(module, config.__name__, config)
    AutoConfig.register(config.model_type, config)
    for kind, auto in AUTO_CLASSES.items():
        plain = getattr(transformers, f"{name}{kind}")

        def build(self, config, *args, plain=plain, **options):
            plain.__init__(self, config, *args, **options)
            _resize(self)

        ours = type(f"Pruned{plain.__name__}", (plain,), {"__module__": __name__, "__init__": build, "config_class": config})
        setattr(module, ours.__name__, ours)
        auto.register(config, ours)
        PRUNED_CLASS[plain] = ours


for _family, _name in FAMILIES.items():
    _define(_family, _name)


def check_family(model_type: str, config=None) -> None:
    """`TypeError` unless models of this type have layers that we know how to cut."""
    if model_type.removeprefix("pruned-") not in FAMILIES:
        raise TypeError(f"model: is a {model_type!r}, must be of one of the families {', '.join(FAMILIES)}")
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        raise TypeError(f"model: is a {model_type!r} decoder, must be an encoder")


def layers_of(model) -> nn.ModuleList:
    """The encoder's layers; `TypeError` for a model of a family that is not supported."""
    config = getattr(model, "config", None)
    check_family(getattr(config, "model_type", type(model).__name__), config)
    return model.base_model.encoder.layer


def head_size(model) -> int:
    return model.config.hidden_size // model.config.num_attention_heads


def heads_per_layer(model) -> list[int]:
    """How many heads each layer has, from its weights."""
    return [layer.attention.self.query.out_features // head_size(model) for layer in layers_of(model)]


def neurons_per_layer(model) -> list[int]:
    """How many feed-forward neurons each layer has, from its weights."""
    return [layer.intermediate.dense.out_features for layer in layers_of(model)]


def kept_heads(model) -> list[list[int]]:
    """Per layer, the indices that its heads had before any pruning."""
    known = getattr(model.config, "kept_heads", None)
    return known if known is not None else [list(range(n)) for n in heads_per_layer(model)]


def has_masks(model) -> bool:
    """Whether `torch.nn.utils.prune` holds zeros on any weight (`prune_weights` without `permanent`)."""
    return torch_prune.is_pruned(model)


def copied(model, memo: dict | None = None):
    """A deep copy, also of a model with weight masks, whose masked weights are not leaves. memo: as in `copy.deepcopy`."""
    masked = [m.weight for m in model.modules() if hasattr(m, "weight_mask")]
    return copy.deepcopy(model, {id(w): w.detach().clone() for w in masked} | (memo or {}))


def without_masks(model):
    """The model itself, or where it has weight masks a copy with the zeros in its weights, for good."""
    if not has_masks(model):
        return model
    plain = copied(model)
    for module in plain.modules():
        if hasattr(module, "weight_mask"):
            torch_prune.remove(module, "weight")
    return plain


def embed(model, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Hidden states before the first layer (batch, T, d), and the mask in the form that layers take."""
    base = model.base_model
    x = base.embeddings(input_ids=input_ids)
    mask, _ = base._create_attention_masks(attention_mask=attention_mask, encoder_attention_mask=None, embedding_output=x,
                                           encoder_hidden_states=None, past_key_values=None)
    return x, mask


def finish(model, hidden: torch.Tensor) -> torch.Tensor:
    """Logits from the last layer's hidden states (batch, T, d)."""
    if hasattr(model, "classifier"):
        pooler = model.base_model.pooler                                  # BERT's; the others have it in the classifier
        return model.classifier(hidden if pooler is None else model.dropout(pooler(hidden)))
    return model.lm_head(hidden) if hasattr(model, "lm_head") else model.cls(hidden)


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
    for layer, heads, neurons in zip(layers_of(model), config.kept_heads, config.neurons_per_layer, strict=True):
        width = len(heads) * head_size(model)
        attention = layer.attention.self
        attention.query, attention.key, attention.value = (_linear(d, width) for _ in range(3))
        layer.attention.output.dense = _linear(width, d)
        layer.intermediate.dense = _linear(d, neurons)
        layer.output.dense = _linear(neurons, d)


def build_empty(model_class, config, like) -> nn.Module:
    """A `model_class` with uninitialised weights on the device and in the type of `like`; buffers copied from it."""
    parameter = next(like.parameters())
    with torch.device("meta"):
        model = model_class(config)
    model = model.to_empty(device=parameter.device).to(parameter.dtype)
    buffers = dict(like.named_buffers())
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
    model.tie_weights()
    model.set_attn_implementation(like.config._attn_implementation)
    return model.train(like.training)
