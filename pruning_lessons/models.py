"""XLM-R with its own number of heads and neurons in every layer, as transformers classes.

Plain transformers re-initialises weights whose shapes its configuration does not foresee; these
classes carry the shapes in the configuration, so that a pruned model is saved and loaded bit for bit.
"""
import copy
import warnings

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune
from transformers import (AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification,
                          XLMRobertaConfig, XLMRobertaForMaskedLM, XLMRobertaForSequenceClassification,
                          XLMRobertaModel)


class PrunedXLMRobertaConfig(XLMRobertaConfig):
    """XLM-R's configuration, and what is left in each layer.

    `num_attention_heads` and `intermediate_size` keep the unpruned values: they give the size of a head
    and the places that removed heads had.
    """

    model_type = "pruned-xlm-roberta"
    kept_layers: list | None = None         # per layer, its index in the unpruned model
    kept_heads: list | None = None          # per layer, the unpruned indices of its heads, maybe none
    neurons_per_layer: list | None = None   # per layer, how many neurons, maybe 0


def layers_of(model) -> nn.ModuleList:
    """The encoder's layers; `TypeError` for a model that is not XLM-R."""
    kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    if kind not in ("xlm-roberta", PrunedXLMRobertaConfig.model_type):
        raise TypeError(f"model: is a {kind!r}, must be an XLM-RoBERTa model (what `load` returns)")
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
    return model.classifier(hidden) if hasattr(model, "classifier") else model.lm_head(hidden)


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


class PrunedXLMRobertaModel(XLMRobertaModel):
    config_class = PrunedXLMRobertaConfig

    def __init__(self, config, add_pooling_layer: bool = True):
        super().__init__(config, add_pooling_layer=add_pooling_layer)
        _resize(self)


class PrunedXLMRobertaForMaskedLM(XLMRobertaForMaskedLM):
    config_class = PrunedXLMRobertaConfig

    def __init__(self, config):
        super().__init__(config)
        _resize(self)


class PrunedXLMRobertaForSequenceClassification(XLMRobertaForSequenceClassification):
    config_class = PrunedXLMRobertaConfig

    def __init__(self, config):
        super().__init__(config)
        _resize(self)


PRUNED_CLASS = {
    XLMRobertaModel: PrunedXLMRobertaModel, XLMRobertaForMaskedLM: PrunedXLMRobertaForMaskedLM,
    XLMRobertaForSequenceClassification: PrunedXLMRobertaForSequenceClassification,
}
AutoConfig.register(PrunedXLMRobertaConfig.model_type, PrunedXLMRobertaConfig)
for auto, model_class in zip((AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification), PRUNED_CLASS.values()):
    auto.register(PrunedXLMRobertaConfig, model_class)


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
