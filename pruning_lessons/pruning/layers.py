"""Which layers to drop by a rule of thumb: rules that try nothing out, and masks without these
layers.
"""

from collections.abc import Iterable
from numbers import Integral

import torch
from torch import Tensor
from torch.nn import functional as F

from ..models.anatomy import embed, layers_of
from ..models.batches import as_batches
from ..models.checks import arguments, encoder, one_of, seed
from ..models.masks import Masks
from ..models.state import at_rest

METHODS = ("top", "bottom", "alternate", "random", "block_influence")


@arguments(model=encoder)
def layer_masks(model, drop: Iterable[int]) -> Masks:
    """Masks that remove the layers `drop` and nothing else. `ValueError` for a layer that is not
    there, or twice.
    """
    masks = Masks.keep_all(model)
    n = len(masks.layers)
    drop = drop.tolist() if hasattr(drop, "tolist") else drop
    listed = isinstance(drop, Iterable)
    places = list(drop) if listed else []
    fits = lambda i: isinstance(i, Integral) and not isinstance(i, bool) and 0 <= i < n
    if not listed or not all(map(fits, places)) or len(set(places)) < len(places):
        raise ValueError(
            f"drop: is {places if listed else drop!r}, must be different whole numbers from 0 to "
            f"{n - 1}"
        )
    masks.layers[[int(i) for i in places]] = False
    return masks


@arguments(model=encoder, method=one_of(METHODS), seed=seed)
def layers_to_drop(
    model, n: int, method: str, batches: Iterable[dict] | None = None, seed: int = 0
) -> list[int]:
    """The `n` layers to drop by a rule that tries nothing out, the first to go first (a smaller n:
    the first of them).

    - `top`: the last layers; `bottom`: the first ones; `alternate`: every other one, from the last
      downwards, and when those are used up the ones between (Sajjad et al. 2023, “On the effect of
      dropping layers of pre-trained transformer models”, section 3: top, bottom, even alternate)
    - `random`: drawn with `seed`
    - `block_influence`: those with the smallest `block_influence` on `batches`, dicts with
      input_ids and attention_mask (batch, T)

    Raises `ValueError` for an unknown method, an `n` that the model does not have, or no batches
    where they are needed.
    """
    count = len(layers_of(model))
    if not isinstance(n, Integral) or isinstance(n, bool) or not 0 <= n <= count:
        raise ValueError(
            f"n: is {n!r}, must be a whole number from 0 to the model's {count} layers"
        )
    if method not in METHODS:
        raise ValueError(f"method: is {method!r}, must be one of {METHODS}")
    downwards = list(range(count))[::-1]
    if method == "top":
        return downwards[:n]
    if method == "bottom":
        return downwards[::-1][:n]
    if method == "alternate":
        return (downwards[::2] + downwards[1::2])[:n]
    if method == "random":
        return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()[:n]
    batches = as_batches(model, batches)
    if not batches:
        raise ValueError(
            "batches: is empty, must hold at least one batch for method='block_influence'"
        )
    return block_influence(model, batches).argsort(stable=True).tolist()[:n]


@torch.no_grad()
def block_influence(model, batches: Iterable[dict]) -> Tensor:
    """How far each layer turns its input, 1 - E cos(input, output) over the real tokens of
    `batches`: (layers,).

    ShortGPT, Men et al. 2024, section 2. batches: dicts with input_ids and attention_mask (batch,
    T), at least one.
    """
    influence, tokens = torch.zeros(len(layers_of(model))), 0
    batches = as_batches(model, batches)
    with at_rest(model):
        for batch in batches:
            x, bias = embed(model, batch)  # (B, T, d)
            real = batch["attention_mask"].bool().to(x.device)
            tokens += int(real.sum())
            for i in range(len(influence)):
                after = run_layers(model, x, bias, [i])
                influence[i] += (1 - F.cosine_similarity(x[real], after[real], dim=-1)).sum().cpu()
                x = after
    return influence / tokens


def run_layers(model, hidden: Tensor, mask: Tensor | None, layers: Iterable[int]) -> Tensor:
    """Hidden states (batch, T, d) after these layers, one after the other; `hidden` and `mask` come
    from `embed`.
    """
    for i in layers:
        hidden = layers_of(model)[i](hidden, mask)
    return hidden
