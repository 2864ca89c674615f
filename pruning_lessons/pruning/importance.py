"""Scores: how much the model would miss each head, neuron and layer."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from ..models.anatomy import embed, finish, head_size, heads_per_layer, layers_of, neurons_per_layer
from ..models.masks import Masks, _hooks, gates
from .layers import block_influence

METHODS = ("fisher", "taylor", "activation", "magnitude", "leave_one_out", "random")


@dataclass
class Scores:
    """One number for every part; larger: more would be missed. Shapes as in `Masks`.

    heads: (layers, heads), neurons: (layers, neurons), layers: (layers,), float32. Places past an
    uneven layer's own count are 0 and mean nothing. A part that the method cannot score is NaN.
    With `fisher` and `taylor`, `gradients` holds every example's derivatives: heads (examples,
    layers, heads), neurons (examples, layers, neurons).
    """

    heads: Tensor
    neurons: Tensor
    layers: Tensor
    method: str
    gradients: tuple[Tensor, Tensor] | None = None


def importance(
    model,
    batches: Iterable[dict] | None,
    method: str = "fisher",
    seed: int = 0,
    progress: bool = False,
) -> Scores:
    """Score every head, neuron and layer of `model` on a **calibration set**; the model is left as
    it was.

    batches: dicts with input_ids, attention_mask (batch, T) and, if known, labels: what
    `Intents.batches` yields, or None for the methods that need no data. Without labels they are
    drawn from the model's own predictions. Scores do not depend on how the examples are batched or
    padded. Methods, with L_x the loss on one example and ξ a part's gate:

    - `fisher`: E (∂L_x/∂ξ)², the diagonal of the empirical Fisher information (Kwon et al. 2022,
      section 4.1)
    - `taylor`: E |∂L_x/∂ξ| (Michel, Levy, Neubig 2019, section 4; Molchanov et al. 2017)
    - `activation`: the mean norm of what the part adds to the residual stream; for a layer the
      block influence 1 - E cos(input, output) (ShortGPT, Men et al. 2024, section 2). Forward
      passes only.
    - `magnitude`: a head ‖W_V‖·‖W_O‖ of its slices, a neuron ‖w_in‖·‖w_out‖, a layer the norm of
      all its weights
    - `leave_one_out`: by how much the mean loss grows without the part; heads and layers only,
      neurons are NaN
    - `random`: uniform numbers from `seed`

    Raises `ValueError` for an unknown method, for no data where data are needed, and for batches
    without labels if the model is not a classifier.
    """
    if method not in METHODS:
        raise ValueError(f"method: is {method!r}, must be one of {METHODS}")
    layers_of(model)
    if method in ("magnitude", "random"):
        return _magnitude(model) if method == "magnitude" else _random(model, seed)
    batches = [] if batches is None else list(batches)
    if not batches:
        raise ValueError(f"batches: is empty, must hold at least one batch for method={method!r}")
    if (
        method != "activation"
        and not all("labels" in batch for batch in batches)
        and not hasattr(model, "classifier")
    ):
        raise ValueError(
            "batches: have no labels, and labels can be drawn only from a classifier's predictions"
        )
    bar = tqdm(batches, desc=method, disable=not progress)
    with _at_rest(model):
        return {"activation": _activation, "leave_one_out": _leave_one_out}.get(method, _gradients)(
            model, bar, method, seed
        )


@contextmanager
def _at_rest(model) -> Iterator[None]:
    """In eval mode, with no gradients for weights, only for gates; restored whatever happens."""
    training, wanted = model.training, [p for p in model.parameters() if p.requires_grad]
    model.eval()
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
        model.train(training)


def _inputs(model, batch: dict) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    return batch["input_ids"].to(device), batch["attention_mask"].to(device)


def _losses(logits: Tensor, batch: dict, rng: np.random.Generator) -> Tensor:
    """Every example's loss: (batch,). A masked token's loss counts where its label is not -100."""
    labels = batch.get("labels")
    if labels is None:  # one random number an example, whatever the batches are
        draws = torch.tensor(rng.random(len(logits)), device=logits.device)[:, None]
        labels = (
            (logits.detach().double().softmax(-1).cumsum(-1) < draws)
            .sum(-1)
            .clamp(max=logits.shape[-1] - 1)
        )
    labels = labels.to(logits.device)
    if logits.dim() == 2:
        return F.cross_entropy(logits, labels, reduction="none")
    return F.cross_entropy(logits.transpose(1, 2), labels, reduction="none", ignore_index=-100).sum(
        1
    )


def _gradients(model, batches, method: str, seed: int) -> Scores:
    """One forward and backward pass; gates of their own give every example its own derivative."""
    rng, found = np.random.default_rng(seed), []
    for batch in batches:
        ids, mask = _inputs(model, batch)
        with gates(model, examples=len(ids)) as gate:
            _losses(model(ids, attention_mask=mask).logits, batch, rng).sum().backward()
        found.append(
            [g.grad.float().cpu().transpose(0, 1) for g in (gate.heads, gate.neurons, gate.layers)]
        )
    heads, neurons, layers = (torch.cat(part) for part in zip(*found))  # (examples, layers, parts)
    mean = lambda g: (g.square() if method == "fisher" else g.abs()).mean(0)
    return Scores(mean(heads), mean(neurons), mean(layers)[:, 0], method, (heads, neurons))


def _blank(model) -> tuple[Tensor, Tensor]:
    n = len(layers_of(model))
    return (
        torch.zeros(n, max(heads_per_layer(model), default=0)),
        torch.zeros(n, max(neurons_per_layer(model), default=0)),
    )


@torch.no_grad()
def _activation(model, batches, method: str, seed: int) -> Scores:
    heads, neurons = _blank(model)
    tokens, size = 0, head_size(model)
    for batch in batches:
        ids, mask = _inputs(model, batch)
        x, bias = embed(model, ids, mask)
        real = mask.bool()
        tokens += int(real.sum())
        for i, layer in enumerate(layers_of(model)):
            attended = layer.attention.self(x, bias)[0]  # (batch, T, heads · head size)
            context = attended[real].unflatten(1, (-1, size))  # (tokens, heads, head size)
            weight = layer.attention.output.dense.weight.unflatten(
                1, (-1, size)
            )  # (d, heads, head size)
            added = torch.einsum("nhs,dhs->nhd", context, weight).norm(dim=-1)  # (tokens, heads)
            heads[i, : added.shape[1]] += added.sum(0).cpu()
            middle = layer.attention.output(attended, x)  # (batch, T, d)
            active = layer.intermediate(middle)  # (batch, T, neurons)
            norms = active[real].abs().sum(0) * layer.output.dense.weight.norm(dim=0)
            neurons[i, : len(norms)] += norms.cpu()
            x = layer.output(active, middle)
    return Scores(heads / tokens, neurons / tokens, block_influence(model, batches), method)


@torch.no_grad()
def _leave_one_out(model, batches, method: str, seed: int) -> Scores:
    """Exact, with the hidden states below the part computed once."""
    (heads, neurons), n = _blank(model), 0
    layers, rng = torch.zeros(len(layers_of(model))), np.random.default_rng(seed)
    one = Masks.keep_all(model)
    everything = [
        m.to(next(model.parameters()).device, torch.float32)
        for m in (one.heads, one.neurons, one.layers[:, None])
    ]
    for batch in batches:
        ids, mask = _inputs(model, batch)
        x, bias = embed(model, ids, mask)
        before = [x]
        for layer in layers_of(model):
            before.append(layer(before[-1], bias))
        logits = finish(model, before.pop())
        if "labels" not in batch:
            state = rng.bit_generator.state
            draws = torch.tensor(rng.random(len(logits)))[:, None]
            rng.bit_generator.state = state
            drawn = (
                (logits.double().softmax(-1).cumsum(-1).cpu() < draws)
                .sum(-1)
                .clamp(max=logits.shape[-1] - 1)
            )
            batch = {**batch, "labels": drawn}
            rng.random(len(logits))
        base = _losses(logits, batch, rng).sum()

        def cost(start: int, x: Tensor) -> float:
            for layer in layers_of(model)[start:]:
                x = layer(x, bias)
            return (_losses(finish(model, x), batch, rng).sum() - base).item()

        n += len(ids)
        for i, count in enumerate(heads_per_layer(model)):
            layers[i] += cost(i + 1, before[i])
            for head in range(count):
                factors = everything[0].clone()
                factors[i, head] = 0
                with _hooks(model, factors, *everything[1:]):
                    heads[i, head] += cost(i, before[i])
    return Scores(heads / n, torch.full_like(neurons, torch.nan), layers / n, method)


@torch.no_grad()
def _magnitude(model) -> Scores:
    heads, neurons = _blank(model)
    layers, size = torch.zeros(len(layers_of(model))), head_size(model)
    for i, layer in enumerate(layers_of(model)):
        value = (
            layer.attention.self.value.weight.unflatten(0, (-1, size)).flatten(1).norm(dim=1)
        )  # (heads,)
        output = (
            layer.attention.output.dense.weight.unflatten(1, (-1, size))
            .transpose(0, 1)
            .flatten(1)
            .norm(dim=1)
        )
        heads[i, : len(value)] = (value * output).cpu()
        norm = layer.intermediate.dense.weight.norm(dim=1) * layer.output.dense.weight.norm(
            dim=0
        )  # (neurons,)
        neurons[i, : len(norm)] = norm.cpu()
        layers[i] = (
            torch.stack([p.norm() for name, p in layer.named_parameters() if p.dim() == 2])
            .norm()
            .cpu()
        )
    return Scores(heads, neurons, layers, "magnitude")


def _random(model, seed: int) -> Scores:
    heads, neurons = _blank(model)
    generator = torch.Generator().manual_seed(seed)
    draw = lambda like: torch.rand(like.shape, generator=generator)
    return Scores(draw(heads), draw(neurons), draw(torch.zeros(len(heads))), "random")
