"""Masks say what to keep; gates make a model behave as if the rest were gone, and are
differentiable.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from .anatomy import PassingHook, head_size, heads_per_layer, layers_of, neurons_per_layer
from .checks import arguments, encoder, seed, share, whole

_LOCKS = WeakKeyDictionary()  # a model: who may put factors on it


@dataclass(frozen=True)
class Masks:
    """What to keep of a model: bool tensors, `True` keeps.

    heads: (layers, heads); neurons: (layers, neurons); layers: (layers,). In a model whose layers
    are uneven the tensors are as wide as the widest layer, and places past a layer's own count mean
    nothing.
    """

    heads: Tensor
    neurons: Tensor
    layers: Tensor

    @classmethod
    def keep_all(cls, model) -> "Masks":
        """Masks for `model` that remove nothing."""
        n = len(layers_of(model))
        return cls(
            torch.ones(n, max(heads_per_layer(model), default=0), dtype=torch.bool),
            torch.ones(n, max(neurons_per_layer(model), default=0), dtype=torch.bool),
            torch.ones(n, dtype=torch.bool),
        )

    def check(self, model) -> "Masks":
        """These masks, if they fit `model`; else `TypeError` or `ValueError` naming what does not
        fit.
        """
        for name, wanted in vars(Masks.keep_all(model)).items():
            mask = getattr(self, name)
            if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
                found = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
                raise TypeError(
                    f"masks.{name}: is {found}, must be a torch.bool tensor (True keeps)"
                )
            if mask.shape != wanted.shape:
                raise ValueError(
                    f"masks.{name}: has shape {tuple(mask.shape)}, must be "
                    f"{tuple(wanted.shape)} for this model"
                )
            if mask.device.type != "cpu":
                raise ValueError(
                    f"masks.{name}: is on {mask.device}, must be on the CPU (mask.cpu())"
                )
        return self

    def then(self, later: "Masks") -> "Masks":
        """One set of masks that does what pruning with these, and the result with `later`, does."""
        heads, neurons, layers = self.heads.clone(), self.neurons.clone(), self.layers.clone()
        for new, old in enumerate(self.layers.nonzero().flatten().tolist()):
            for mine, theirs in ((heads, later.heads), (neurons, later.neurons)):
                places = mine[old].nonzero().flatten()
                mine[old, places] = theirs[new, : len(places)]
            layers[old] = later.layers[new]
        return Masks(heads, neurons, layers)

    def __and__(self, other: "Masks") -> "Masks":
        """Keep only what both keep."""
        return Masks(
            self.heads & other.heads, self.neurons & other.neurons, self.layers & other.layers
        )

    def __eq__(self, other) -> bool:
        return isinstance(other, Masks) and all(
            torch.equal(a, b) for a, b in zip(vars(self).values(), vars(other).values())
        )

    def __repr__(self) -> str:
        shares = ", ".join(
            f"{name} {int(m.sum())} of {m.numel()}" for name, m in vars(self).items()
        )
        return f"Masks(keep {shares})"


def check_masks(masks, model) -> None:
    """`TypeError` or `ValueError` unless these are masks, and fit `model`."""
    if not isinstance(masks, Masks):
        raise TypeError(
            f"masks: is a {type(masks).__name__}, must be Masks, such as select() gives"
        )
    masks.check(model)


@arguments(model=encoder, keep=share, seed=seed)
def random_masks(model, keep: float, even: bool = False, seed: int = 0) -> Masks:
    """Masks that keep a share `keep` (0 to 1) of the heads and of the neurons, drawn at random; all
    layers stay.

    With `even` every layer keeps the same number; otherwise the draw is over all layers at once.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(counts: list[int]) -> Tensor:
        mask = torch.zeros(len(counts), max(counts, default=0), dtype=torch.bool)
        places = [
            torch.cartesian_prod(torch.tensor([layer]), torch.arange(n))
            for layer, n in enumerate(counts)
        ]  # (n, 2)
        for group in places if even else [torch.cat(places)] if places else []:
            chosen = group[
                torch.randperm(len(group), generator=generator)[: round(keep * len(group))]
            ]
            mask[chosen[:, 0], chosen[:, 1]] = True
        return mask

    return Masks(
        draw(heads_per_layer(model)),
        draw(neurons_per_layer(model)),
        torch.ones(len(layers_of(model)), dtype=torch.bool),
    )


@dataclass
class Gates:
    """Factors on a model's parts, 1 for as it is and 0 for removed, with `requires_grad`.

    heads: (layers, heads), neurons: (layers, neurons), layers: (layers, 1); with a gate for every
    example of a batch, a dimension (examples) stands second.
    """

    heads: Tensor
    neurons: Tensor
    layers: Tensor


@arguments(model=encoder, examples=whole())
@contextmanager
def gates(model, examples: int | None = None) -> Iterator[Gates]:
    """Put a differentiable gate on every head, neuron and layer; always taken off at the end of the
    `with`.

    A head's gate scales its output before the attention's output matrix, a neuron's gate its
    activation (the ξ of Michel, Levy, Neubig 2019, section 2; the m of Kwon et al. 2022, section
    3), and a layer's gate g mixes g · layer(x) + (1 - g) · x. With `examples`, each example of a
    batch has gates of its own, so that one backward pass gives every example's gradient.
    """
    layers, parameter = layers_of(model), next(model.parameters())
    middle = () if examples is None else (examples,)

    def ones(width: int) -> Tensor:
        return torch.ones(
            len(layers),
            *middle,
            width,
            device=parameter.device,
            dtype=parameter.dtype,
            requires_grad=True,
        )

    gate = Gates(
        ones(max(heads_per_layer(model), default=0)),
        ones(max(neurons_per_layer(model), default=0)),
        ones(1),
    )
    with hooked(model, gate.heads, gate.neurons, gate.layers):
        yield gate


@contextmanager
def masked(model, masks: Masks) -> Iterator[None]:
    """Inside the `with`, `model` computes what `prune(model, masks)` would compute; nothing is
    changed for good.

    Raises `TypeError` or `ValueError` if the masks do not fit the model.
    """
    check_masks(masks, model)
    parameter = next(model.parameters())
    as_factors = lambda mask: mask.to(parameter.device, parameter.dtype)
    with hooked(
        model, as_factors(masks.heads), as_factors(masks.neurons), as_factors(masks.layers)[:, None]
    ):
        yield


@contextmanager
def hooked(model, heads: Tensor, neurons: Tensor, layers: Tensor) -> Iterator[None]:
    """Multiply by the given factors, through hooks that are removed whatever happens.

    One thread at a time: another one that wants to put factors on the same model waits.
    """
    handles, size = [], head_size(model)

    def scale_input(factors: Tensor):
        # x: (batch, T, units); factors: (units,) or (examples, units), one for each example
        factors = factors if factors.dim() == 1 else factors[:, None]
        return PassingHook(lambda module, args: (args[0] * factors,))

    def mix(factor: Tensor):
        factor = factor if factor.dim() == 1 else factor[:, None]  # (1,) or (examples, 1, 1)
        return PassingHook(lambda module, args, output: factor * output + (1 - factor) * args[0])

    with _LOCKS.setdefault(model, RLock()):
        try:
            counts = zip(layers_of(model), heads_per_layer(model), neurons_per_layer(model))
            for i, (layer, n_heads, n_neurons) in enumerate(counts):
                by_width = heads[i][..., :n_heads].repeat_interleave(size, dim=-1)
                attention, output = layer.attention.output.dense, layer.output.dense
                own = neurons[i][..., :n_neurons]
                handles.append(attention.register_forward_pre_hook(scale_input(by_width)))
                handles.append(output.register_forward_pre_hook(scale_input(own)))
                handles.append(layer.register_forward_hook(mix(layers[i])))
            yield
        finally:
            for handle in handles:
                handle.remove()
