"""Where things are in an encoder: its layers, heads and neurons, and how to run it by hand."""

import copy

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

# Families whose layers are laid out alike: the same names, the LayerNorm after the sum.
FAMILIES = {
    "xlm-roberta": "XLMRoberta",
    "roberta": "Roberta",
    "camembert": "Camembert",
    "bert": "Bert",
}


def check_family(model_type: str, config=None) -> None:
    """`TypeError` unless models of this type have layers that we know how to cut."""
    if model_type.removeprefix("pruned-") not in FAMILIES:
        raise TypeError(
            f"model: is a {model_type!r}, must be of one of the families {', '.join(FAMILIES)}"
        )
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
    return [
        layer.attention.self.query.out_features // head_size(model) for layer in layers_of(model)
    ]


def neurons_per_layer(model) -> list[int]:
    """How many feed-forward neurons each layer has, from its weights."""
    return [layer.intermediate.dense.out_features for layer in layers_of(model)]


def kept_heads(model) -> list[list[int]]:
    """Per layer, the indices that its heads had before any pruning."""
    known = getattr(model.config, "kept_heads", None)
    return known if known is not None else [list(range(n)) for n in heads_per_layer(model)]


def has_masks(model) -> bool:
    """Whether `torch.nn.utils.prune` holds zeros on any weight (`prune_weights` without
    `permanent`).
    """
    return torch_prune.is_pruned(model)


def copied(model, memo: dict | None = None):
    """A deep copy, also of a model with weight masks, whose masked weights are not leaves. memo: as
    in `copy.deepcopy`.
    """
    masked = [m.weight for m in model.modules() if hasattr(m, "weight_mask")]
    return copy.deepcopy(model, {id(w): w.detach().clone() for w in masked} | (memo or {}))


def without_masks(model):
    """The model itself, or where it has weight masks a copy with the zeros in its weights, for
    good.
    """
    if not has_masks(model):
        return model
    plain = copied(model)
    for module in plain.modules():
        if hasattr(module, "weight_mask"):
            torch_prune.remove(module, "weight")
    return plain


def embed(
    model, input_ids: torch.Tensor, attention_mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Hidden states before the first layer (batch, T, d), and the mask in the form that layers
    take.
    """
    base = model.base_model
    x = base.embeddings(input_ids=input_ids)
    mask, _ = base._create_attention_masks(
        attention_mask=attention_mask,
        encoder_attention_mask=None,
        embedding_output=x,
        encoder_hidden_states=None,
        past_key_values=None,
    )
    return x, mask


def finish(model, hidden: torch.Tensor) -> torch.Tensor:
    """Logits from the last layer's hidden states (batch, T, d)."""
    if hasattr(model, "classifier"):
        pooler = model.base_model.pooler  # BERT's; the others have it in the classifier
        return model.classifier(hidden if pooler is None else model.dropout(pooler(hidden)))
    return model.lm_head(hidden) if hasattr(model, "lm_head") else model.cls(hidden)
