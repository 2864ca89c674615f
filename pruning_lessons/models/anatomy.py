"""Where things are in an encoder: its layers, heads and neurons, and how to run it by hand."""

import copy
from collections.abc import Callable

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


# The six matrices of a layer.
MATRICES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention output": "attention.output.dense",
    "feed-forward in": "intermediate.dense",
    "feed-forward out": "output.dense",
}
# What holds a model inside: the attribute, and what it is called.
WRAPPED = {
    "_orig_mod": "compiled (torch.compile)",
    "module": "wrapped (DataParallel or DDP)",
    "_fsdp_wrapped_module": "wrapped (FSDP)",
}


# A forward pass that gives what this package reads, whatever the configuration asks for besides.
PLAINLY = dict(return_dict=True, output_attentions=False, output_hidden_states=False)


def check_family(model_type: str, config=None) -> None:
    """`TypeError` unless models of this type have layers that we know how to cut."""
    if model_type.removeprefix("pruned-") not in FAMILIES:
        raise TypeError(
            f"model: is a {model_type!r}, must be of one of the families {', '.join(FAMILIES)}"
        )
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        raise TypeError(f"model: is a {model_type!r} decoder, must be an encoder")


def layers_of(model) -> nn.ModuleList:
    """The encoder's layers. `TypeError` for a model of a family that is not supported, and for one
    in another state than plain: compiled, wrapped, with adapters, quantised.
    """
    for attribute, state in WRAPPED.items():
        if attribute in getattr(model, "__dict__", ()) or attribute in getattr(
            model, "_modules", ()
        ):
            raise TypeError(f"model: is {state}, must be plain: give model.{attribute}")
    config = getattr(model, "config", None)
    check_family(getattr(config, "model_type", type(model).__name__), config)
    layers = model.base_model.encoder.layer
    for part in (model, model.base_model, *layers):
        if "_orig_mod" in part._modules or getattr(part, "_compiled_call_impl", None) is not None:
            raise TypeError(
                f"model: its {type(part).__name__} is compiled, must be plain: masks would pass it "
                "by"
            )
    types = {model.base_model.embeddings.word_embeddings.weight.dtype}
    for i, layer in enumerate(layers):
        attention = layer.attention
        read = attention.self.query, attention.self.key, attention.self.value
        written = attention.output.dense, layer.intermediate.dense, layer.output.dense
        for path, matrix in zip(MATRICES.values(), read + written):
            if type(matrix) is not nn.Linear:
                raise TypeError(
                    f"model: layer {i} has a {type(matrix).__module__}.{type(matrix).__name__} as "
                    f"{path}, must be a plain torch.nn.Linear: merge adapters, do not quantise yet"
                )
            if type(matrix.weight) not in (nn.Parameter, torch.Tensor):
                raise TypeError(
                    f"model: layer {i} has a {type(matrix.weight).__name__} as weights of its "
                    f"{path}, must have a plain torch.nn.Parameter: do not quantise yet"
                )
            types.add(matrix.weight.dtype)
    if len(types) > 1:
        found = " and ".join(sorted(str(kind).removeprefix("torch.") for kind in types))
        raise TypeError(f"model: has weights in {found}, must be in one type (model.float())")
    return layers


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


def kept_layers(model) -> list[int]:
    """The indices that its layers had before any pruning."""
    known = getattr(model.config, "kept_layers", None)
    return known if known is not None else list(range(len(layers_of(model))))


def has_masks(model) -> bool:
    """Whether `torch.nn.utils.prune` holds zeros on any weight (`prune_weights` without
    `permanent`).
    """
    return torch_prune.is_pruned(model)


class PassingHook:
    """A hook that belongs to a `with`: on a copy of the model, made inside it, it does nothing."""

    def __init__(self, hook: Callable):
        self.hook = hook

    def __call__(self, *args):
        return self.hook(*args)

    def __deepcopy__(self, memo) -> "PassingHook":
        return PassingHook(lambda *args: None)  # for torch: all stays as it is


def copied(model, memo: dict | None = None):
    """A deep copy, also of a model with weight masks, whose masked weights are not leaves; without
    passing hooks. memo: as in `copy.deepcopy`.
    """
    masked = [m.weight for m in model.modules() if hasattr(m, "weight_mask")]
    copy_of = copy.deepcopy(model, {id(w): w.detach().clone() for w in masked} | (memo or {}))
    for module in copy_of.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key in [key for key, hook in hooks.items() if isinstance(hook, PassingHook)]:
                del hooks[key]
    return copy_of


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


def longest(model) -> int:
    """How many tokens a model, or one of this configuration, reads. RoBERTa's positions begin after
    the padding's own.
    """
    config = getattr(model, "config", model)
    plain = config.model_type.removeprefix("pruned-") == "bert"
    return config.max_position_embeddings - (0 if plain else config.pad_token_id + 1)


def inputs_of(model, batch: dict) -> dict[str, torch.Tensor]:
    """What the encoder reads of a batch, on the model's device: no labels.

    token_type_ids are passed on where the family tells segments apart (BERT), and left out
    elsewhere. Raises `ValueError` for rows that are longer than the model reads.
    """
    if batch["input_ids"].shape[1] > longest(model):
        raise ValueError(
            f"batches: have rows of {batch['input_ids'].shape[1]} tokens, the model reads "
            f"{longest(model)}: make them with max_length={longest(model)}"
        )
    names = ["input_ids", "attention_mask"]
    if getattr(model.config, "type_vocab_size", 1) > 1 and "token_type_ids" in batch:
        names.append("token_type_ids")
    device = next(model.parameters()).device
    if device.type == "meta":
        raise ValueError("model: has no values (device 'meta')")
    return {name: batch[name].to(device) for name in names}


def embed(model, batch: dict) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Hidden states before the first layer (B, T, d), and the mask in the form that layers take."""
    base, inputs = model.base_model, inputs_of(model, batch)
    attention_mask = inputs.pop("attention_mask")
    x = base.embeddings(**inputs)
    mask, _ = base._create_attention_masks(
        attention_mask=attention_mask,
        encoder_attention_mask=None,
        embedding_output=x,
        encoder_hidden_states=None,
        past_key_values=None,
    )
    return x, mask
