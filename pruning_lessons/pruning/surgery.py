"""Cut a model down to what its masks keep."""

import torch
from torch import Tensor

from ..models.anatomy import (
    head_size,
    heads_per_layer,
    kept_heads,
    layers_of,
    neurons_per_layer,
    without_masks,
)
from ..models.families import PRUNED_CLASS, build_empty
from ..models.masks import Masks, check_masks


@torch.no_grad()
def prune(model, masks: Masks):
    """A smaller model that computes what `model` computes under `masked(model, masks)`, to
    rounding.

    Heads, neurons and layers whose mask is False are removed; layers may end up uneven, without
    heads, without neurons, or all gone. Weight masks (`prune_weights`) become zeros. The original
    is not touched. Raises `TypeError` or `ValueError` if the masks do not fit, before anything is
    copied.
    """
    check_masks(masks, model)
    model = without_masks(model)
    model_class = PRUNED_CLASS.get(type(model), type(model))
    if model_class not in PRUNED_CLASS.values():
        raise TypeError(
            f"model: is a {type(model).__name__}, must be one of "
            f"{[c.__name__ for c in PRUNED_CLASS]}"
        )
    kept = masks.layers.nonzero().flatten().tolist()
    heads = [masks.heads[i, : heads_per_layer(model)[i]].nonzero().flatten() for i in kept]
    neurons = [masks.neurons[i, : neurons_per_layer(model)[i]].nonzero().flatten() for i in kept]

    small = build_empty(model_class, _config(model, kept, heads, neurons), like=model)
    _copy_around_layers(model, small)
    # One layer at a time, so that not all of them are held twice.
    for layer, old, h, n in zip(layers_of(small), kept, heads, neurons):
        widths, whole = _widths(h, head_size(model)), layers_of(model)[old].state_dict()
        layer.load_state_dict(
            {name: _cut(name, t, widths, n.to(t.device)) for name, t in whole.items()}
        )
    return small


def _copy_around_layers(model, small) -> None:
    """All weights but those of the layers, from one to the other."""
    outside = lambda name: ".encoder.layer." not in f".{name}"
    old, new = model.state_dict(), small.state_dict()
    for name in filter(outside, new):
        new[name].copy_(old[name])


def _config(model, kept: list[int], heads: list[Tensor], neurons: list[Tensor]):
    """The configuration of what is left; indices are those of the model before any pruning."""
    old = model.config.to_dict()
    old.pop("model_type", None)
    before = kept_heads(model)
    places = getattr(model.config, "kept_layers", None) or list(range(len(before)))
    return PRUNED_CLASS.get(type(model), type(model)).config_class(
        **old
        | {
            "num_hidden_layers": len(kept),
            "chunk_size_feed_forward": 0,  # changes no answer
            "kept_layers": [places[i] for i in kept],
            "kept_heads": [
                [before[i][h] for h in chosen.tolist()] for i, chosen in zip(kept, heads)
            ],
            "neurons_per_layer": [len(chosen) for chosen in neurons],
        }
    )


def _widths(heads: Tensor, size: int) -> Tensor:
    """The rows (or columns) of the attention matrices that belong to these heads."""
    return (heads[:, None] * size + torch.arange(size)).flatten()  # (heads · head size,)


def _cut(name: str, tensor: Tensor, widths: Tensor, neurons: Tensor) -> Tensor:
    """The part of one weight or bias of a layer that stays. Output biases stay whole: masks leave
    them, too.
    """
    if name.startswith("attention.self."):
        return tensor[widths.to(tensor.device)]  # rows of query, key, value, and their biases
    if name == "attention.output.dense.weight":
        return tensor[:, widths.to(tensor.device)]  # columns
    if name.startswith("intermediate.dense."):
        return tensor[neurons]
    if name == "output.dense.weight":
        return tensor[:, neurons]
    return tensor
