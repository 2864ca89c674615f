"""Kwon et al. 2022, “A Fast Post-Training Pruning Framework for Transformers”, as a baseline, from the paper.

Search over masks by the Fisher diagonal (4.1), rearrangement inside layers (4.2), then mask tuning (4.3): one factor for
each kept head and neuron, by least squares to the original's outputs, layer by layer. Factors are folded into the weights.
"""
import torch

from pruning_lessons.models import head_size, layers_of
from pruning_lessons.repair import _places, _States


class MaskTuning(_States):
    """As repair, but each output matrix may only be rescaled, head by head or neuron by neuron."""

    def __init__(self, *args, group: int):
        super().__init__(*args)
        self.group = group

    def _refit(self, output, inputs, targets, ridges):
        dense, size = output.dense, self.group if output.dense.in_features == self.width else 1
        weight = dense.weight                                             # (d, in)
        units = weight.shape[1] // size
        gram, right = torch.zeros(units, units, dtype=torch.float64), torch.zeros(units, dtype=torch.float64)
        fold = lambda matrix: matrix.view(units, size, units, size).sum((1, 3))
        inner = weight.T @ weight                                         # (in, in)
        for x, wanted, mine, real in zip(inputs, targets, self.mine, self.real):
            x, rest = x[real], (wanted - mine)[real] - dense.bias
            gram += fold((x.T @ x) * inner).double()
            right += (x * (rest @ weight)).sum(0).view(units, size).sum(1).double()
        if units:
            damp = 1e-3 * gram.diagonal().mean() * torch.eye(units, dtype=torch.float64)
            factors = 1 + torch.linalg.solve(gram + damp, right - gram @ torch.ones(units, dtype=torch.float64))
            if factors.abs().max() <= 10:                                 # the paper's guard against degenerate fits
                weight.mul_(factors.repeat_interleave(size).to(weight.dtype))
        return [output.LayerNorm(mine + dense(x)) for x, mine in zip(inputs, self.mine)]


@torch.no_grad()
def tune_masks(pruned, original, batches):
    """`pruned` with the factors folded in, in place."""
    batches, places = list(batches), _places(pruned, original)
    states = MaskTuning(pruned, original, batches, [False] * len(batches), group=head_size(original))
    for new, layer in enumerate(layers_of(pruned)):
        states.width = layer.attention.output.dense.in_features
        states.attention(layer, places[new], ())
        states.width = -1
        states.feed_forward(layer, places[new], places[new], ())
    return pruned
