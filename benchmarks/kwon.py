"""Kwon et al. 2022, “A Fast Post-Training Pruning Framework for Transformers”, as a baseline, from
the paper.

Search over masks by the Fisher diagonal (4.1), rearrangement inside layers (4.2), then mask tuning
(4.3): one factor for each kept head and neuron, by least squares to the original's outputs, layer
by layer. Factors are folded into the weights.
"""

import torch
from torch import Tensor


@torch.no_grad()
def tune_masks(pruned, original, batches):
    """`pruned` with the factors folded in, in place; it has all of the original's layers."""
    size = original.config.hidden_size // original.config.num_attention_heads
    masks, reals, mine, theirs = [], [], [], []
    for batch in batches:
        ids, mask = batch["input_ids"], batch["attention_mask"]
        hidden = original.base_model.embeddings(input_ids=ids)  # (batch, T, d), both models' alike
        masks.append((1 - mask[:, None, None].float()) * torch.finfo(torch.float32).min)
        reals.append(mask.bool())
        mine.append(hidden)
        theirs.append(hidden)

    def tuned(output, inputs: list[Tensor], targets: list[Tensor], group: int) -> list[Tensor]:
        """Rescale the columns of `output.dense`, `group` at a time; what follows the LayerNorm."""
        weight, bias = output.dense.weight, output.dense.bias
        rests = [t - m - bias for t, m in zip(targets, mine)]
        pairs = [(x[real], rest[real]) for x, rest, real in zip(inputs, rests, reals)]
        weight.mul_(_factors(weight, pairs, group).repeat_interleave(group))
        return [output.LayerNorm(m + output.dense(x)) for x, m in zip(inputs, mine)]

    for layer, goal in zip(pruned.base_model.encoder.layer, original.base_model.encoder.layer):
        inputs = [layer.attention.self(x, mask)[0] for x, mask in zip(mine, masks)]
        attended = [goal.attention.self(x, mask)[0] for x, mask in zip(theirs, masks)]
        wanted = [x + goal.attention.output.dense(a) for x, a in zip(theirs, attended)]
        mine = tuned(layer.attention.output, inputs, wanted, size)
        middle = [goal.attention.output.LayerNorm(x) for x in wanted]

        inputs = [layer.intermediate(x) for x in mine]
        wanted = [x + goal.output.dense(goal.intermediate(x)) for x in middle]
        mine = tuned(layer.output, inputs, wanted, 1)
        theirs = [goal.output.LayerNorm(x) for x in wanted]
    return pruned


def _factors(weight: Tensor, pairs: list[tuple[Tensor, Tensor]], group: int) -> Tensor:
    """One factor for every `group` columns of `weight` (d, in), by least squares: (units,).

    pairs: inputs (tokens, in) and what they should give beside the bias, (tokens, d).
    """
    units = weight.shape[1] // group
    zeros = lambda *shape: weight.new_zeros(shape, dtype=torch.float64)
    gram, right = zeros(units, units), zeros(units)
    inner = weight.T @ weight  # (in, in)
    for x, rest in pairs:
        gram += ((x.T @ x) * inner).view(units, group, units, group).sum((1, 3)).double()
        right += (x * (rest @ weight)).sum(0).view(units, group).sum(1).double()
    if not units:
        return weight.new_ones(0)
    damp = 1e-3 * gram.diagonal().mean() * torch.eye(units).to(gram)
    factors = 1 + torch.linalg.solve(gram + damp, right - gram.sum(1))
    # the paper's guard against degenerate fits
    return (factors if factors.abs().max() <= 10 else torch.ones_like(right)).to(weight.dtype)
