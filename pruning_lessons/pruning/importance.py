"""Scores: how much the model would miss each head, neuron and layer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..models.anatomy import (
    embed,
    head_size,
    heads_per_layer,
    layers_of,
    neurons_per_layer,
    without_masks,
)
from ..models.batches import as_batches
from ..models.checks import arguments, finite_weights, one_of, seed
from ..models.masks import Masks, gates, hooked
from ..models.state import at_rest
from ..models.tasks import finish, outputs, task_of
from .layers import block_influence
from .surgeon import Curvature

METHODS = ("fisher", "obs", "taylor", "activation", "magnitude", "leave_one_out", "random")
TARGETS = ("auto", "labels", "drawn")
TOKENS = 1024  # in a backward pass of "obs" on a CPU: each takes some 0.4 MB in a small model


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


@arguments(seed=seed, method=one_of(METHODS), targets=one_of(TARGETS))
def importance(
    model,
    batches: Iterable[dict] | None,
    method: str = "fisher",
    seed: int = 0,
    progress: bool = False,
    targets: str = "auto",
) -> Scores:
    """Score every head, neuron and layer of `model` on a **calibration set**; the model is left as
    it was.

    batches: dicts with input_ids, attention_mask (B, T) and, if known, labels: what `.batches` of
    data yields, or None for the methods that need no data. Scores do not depend on how the examples
    are batched or padded, but for rounding (which, in `obs`, can change the order of two parts that
    cost next to nothing). The model's task says what its loss is. targets: `"labels"`, `"drawn"`
    from the model's own distribution (the Fisher information proper; Kunstner, Hennig, Balles
    2019), or `"auto"`: labels where there are any. Methods, with L_x the loss on one example and ξ
    a part's gate:

    - `fisher`: E (∂L_x/∂ξ)², the diagonal of the empirical Fisher information (Kwon et al. 2022,
      section 4.1)
    - `obs`: by how much the loss grows without the part, when all cheaper ones have gone and what
      stays of the output matrix has made up for it: Optimal Brain Surgeon with K-FAC's estimate of
      the curvature (`surgeon`; Kurtić et al. 2023; van der Ouderaa et al. 2024). Two that say the
      same thing are not both dear. For models that are repaired; a layer is the sum of its parts
    - `taylor`: E |∂L_x/∂ξ| (Michel, Levy, Neubig 2019, section 4; Molchanov et al. 2017)
    - `activation`: the mean norm of what the part adds to the residual stream; for a layer the
      block influence 1 - E cos(input, output) (ShortGPT, Men et al. 2024, section 2). Forward
      passes only.
    - `magnitude`: a head ‖W_V‖·‖W_O‖ of its slices, a neuron ‖w_in‖·‖w_out‖, a layer the norm of
      all its weights
    - `leave_one_out`: by how much the mean loss grows without the part; heads and layers only,
      neurons are NaN
    - `random`: uniform numbers from `seed`

    Raises `ValueError` for an unknown method or kind of targets, for no data where data are needed,
    for labels that are none of the model's task, for batches that are not the model's (see
    `as_batches`), and where scores come out as no numbers.
    """
    finite_weights("model", model)
    if method in ("magnitude", "random"):
        return _magnitude(without_masks(model)) if method == "magnitude" else _random(model, seed)
    batches = as_batches(model, batches, labels=method != "activation" and targets != "drawn")
    if not batches:
        raise ValueError(f"batches: is empty, must hold at least one batch for method={method!r}")
    with at_rest(model):
        examples = _Examples(model, batches, targets, seed, tqdm(desc=method, disable=not progress))
        ways = {"activation": _activation, "leave_one_out": _leave_one_out, "obs": _surgeon}
        run = ways.get(method, _gradients)
        return _finite(run(model, examples, method))


def _finite(scores: Scores) -> Scores:
    """`ValueError` for numbers that are none: half precision overflows, weights may be NaN."""
    unscored = scores.method == "leave_one_out"
    for name in ("heads", "layers") if unscored else ("heads", "neurons", "layers"):
        if not getattr(scores, name).isfinite().all():
            raise ValueError(
                f"model: gives NaN or infinite scores of {name}: has it such weights, or is it in "
                "half precision (model.float())?"
            )
    return scores


class _Examples:
    """The batches one after the other, and what the model should answer on each."""

    def __init__(self, model, batches: list[dict], targets: str, seed: int, bar):
        self.model, self.batches, self.seed, self.bar = model, batches, seed, bar
        self.task, self.targets, self.first = task_of(model), targets, 0

    def __iter__(self) -> Iterator[dict]:
        self.bar.reset(len(self.batches))
        self.first = 0
        for batch in self.batches:
            yield batch
            self.first += len(batch["input_ids"])
            self.bar.update(1)
        self.bar.close()

    def wanted(self, batch: dict, out: Tensor) -> Tensor:
        """Labels, or targets drawn from `out`, for the batch that was yielded last."""
        known = batch.get("labels") is not None and self.task.needs_labels
        if self.targets == "labels" or self.targets == "auto" and known:
            return self.task.targets(batch, out)
        return self.task.drawn(out, batch, self.seed, self.first)


def _gradients(model, examples: _Examples, method: str) -> Scores:
    """One forward and backward pass; gates of their own give every example its own derivative."""
    total, found, task = sum(len(b["input_ids"]) for b in examples.batches), [], examples.task
    for batch in examples:
        with gates(model, examples=len(batch["input_ids"])) as gate:
            out = outputs(model, batch)
            loss = task.distribution.nll(out, examples.wanted(batch, out)).sum()
        gated = (gate.heads, gate.neurons, gate.layers)
        if len(gate.layers):
            gated = torch.autograd.grad(loss, gated)
        own = [g.detach().float().cpu().transpose(0, 1) for g in gated]
        found = found or [torch.empty(total, *g.shape[1:]) for g in own]
        for every, g in zip(found, own):
            every[examples.first : examples.first + len(g)] = g
    heads, neurons, layers = found  # (examples, layers, parts)
    size = torch.square if method == "fisher" else torch.abs
    of_neurons = torch.empty(neurons.shape[1:])
    for i, mean in enumerate(of_neurons):  # layer by layer: there are too many to have them twice
        mean.copy_(size(neurons[:, i]).mean(0))
    of_heads, of_layers = size(heads).mean(0), size(layers).mean(0)[:, 0]
    return Scores(of_heads, of_neurons, of_layers, method, (heads, neurons))


def _surgeon(model, examples: _Examples, method: str) -> Scores:
    if next(model.parameters()).device.type == "cpu":
        examples.batches = [part for batch in examples.batches for part in _parts(batch)]
    curvature = Curvature(model, examples.batches)
    for batch in examples:
        with curvature.watched() as seen:
            out = outputs(model, batch)
        loss = examples.task.distribution.nll(out, examples.wanted(batch, out)).sum()
        curvature.add(seen, loss, batch)
    found = _blank(model)
    for rows, costs in zip(found, curvature.costs()):
        for row, own in zip(rows, costs):
            row[: len(own)] = own
    return Scores(*found, found[0].sum(1) + found[1].sum(1), method)


def _parts(batch: dict) -> list[dict]:
    """The batch in equal parts of at most `TOKENS` tokens, or of one example if that has more."""
    examples, length = batch["input_ids"].shape
    parts = ceil(examples / max(1, TOKENS // length))
    size = ceil(examples / parts)
    return [
        {name: tensor[start : start + size] for name, tensor in batch.items()}
        for start in range(0, examples, size)
    ]


def _blank(model) -> tuple[Tensor, Tensor]:
    n = len(layers_of(model))
    return (
        torch.zeros(n, max(heads_per_layer(model), default=0)),
        torch.zeros(n, max(neurons_per_layer(model), default=0)),
    )


@torch.no_grad()
def _activation(model, examples: _Examples, method: str) -> Scores:
    heads, neurons = _blank(model)
    tokens, size = 0, head_size(model)
    for batch in examples:
        x, bias = embed(model, batch)
        real = batch["attention_mask"].bool().to(x.device)
        tokens += int(real.sum())
        for i, layer in enumerate(layers_of(model)):
            written = layer.attention.output.dense.weight.unflatten(1, (-1, size))
            attended = layer.attention.self(x, bias)[0]  # (B, T, heads · head size)
            context = attended[real].unflatten(1, (-1, size))  # (tokens, heads, head size)
            added = torch.einsum("nhs,dhs->nhd", context, written).norm(dim=-1)  # (tokens, heads)
            heads[i, : added.shape[1]] += added.sum(0).cpu()
            middle = layer.attention.output(attended, x)  # (B, T, d)
            active = layer.intermediate(middle)  # (B, T, neurons)
            norms = active[real].abs().sum(0) * layer.output.dense.weight.norm(dim=0)
            neurons[i, : len(norms)] += norms.cpu()
            x = layer.output(active, middle)
    influence = block_influence(model, examples.batches)
    return Scores(heads / tokens, neurons / tokens, influence, method)


@torch.no_grad()
def _leave_one_out(model, examples: _Examples, method: str) -> Scores:
    """Exact, with the hidden states below the part computed once."""
    (heads, neurons), n = _blank(model), 0
    layers, like = torch.zeros(len(layers_of(model))), next(model.parameters())
    every = Masks.keep_all(model)
    whole = [m.to(like) for m in (every.heads, every.neurons, every.layers[:, None])]
    for batch in examples:
        x, bias = embed(model, batch)
        before = [x]
        for layer in layers_of(model):
            before.append(layer(before[-1], bias))
        out = finish(model, before.pop(), batch)
        wanted = examples.wanted(batch, out)
        loss = lambda out: examples.task.distribution.nll(out.float(), wanted).sum()
        base = loss(out)

        def cost(start: int, x: Tensor) -> float:
            for layer in layers_of(model)[start:]:
                x = layer(x, bias)
            return (loss(finish(model, x, batch)) - base).item()

        n += len(x)
        for i, count in enumerate(heads_per_layer(model)):
            layers[i] += cost(i + 1, before[i])
            for head in range(count):
                factors = whole[0].clone()
                factors[i, head] = 0
                with hooked(model, factors, *whole[1:]):
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
