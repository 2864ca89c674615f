"""Optimal Brain Surgeon for whole heads and neurons: what removing a part costs, once the parts
that stay have made up for it as well as they can.

A sublayer adds W a to the hidden states, a (n,) being what its heads or neurons give and W (d, n)
its output matrix. With A = E a aᵀ over tokens and G = E g gᵀ over examples, summed over tokens, g
the gradient of the loss at what is added, K-FAC (Martens and Grosse 2015) takes half of
tr(G ΔW A ΔWᵀ) for what a change of W does to the loss. If the columns P of W are to become zero and
the others may change, the least it can be is, but for the half,

    tr(G W_P ([A⁻¹]_PP)⁻¹ W_Pᵀ)

(Hassibi and Stork 1993 for single weights; Kurtić et al. 2023, ZipLM, for columns, with G = 1; van
der Ouderaa et al. 2024, LLM Surgeon, with this G, for rows and columns). The parts go one after the
other, the cheapest first, W and A⁻¹ brought up to date: of two that say the same, one is cheap.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ..models.anatomy import head_size, layers_of
from ..models.tasks import task_of
from .streams import writes

# Added to A's diagonal, in its mean: a share for each row and token that A is estimated from, at
# least so much.
DAMPING, LEAST = 0.08, 0.01
TURNS = 96  # neurons go in so many turns; heads one by one
ENOUGH = 8  # tokens for each row of A; of more data it is estimated from every nth example


class Curvature:
    """A and G of every sublayer, from sums over batches; 2·layers of each, attention first.

    In the last layer only tokens count that the head reads: no gradient reaches the others.
    batches: those that will be added, to know how many tokens there will be.
    """

    def __init__(self, model, batches: list[dict]):
        self.layers, self.task, self.model = layers_of(model), task_of(model), model
        self.read = [0.0] * len(self)  # Σ a aᵀ over some tokens (n, n)
        self.written = [0.0] * len(self)  # Σ g gᵀ over tokens (d, d)
        self.tokens = [0] * len(self)  # how many those some are
        self.examples = 0
        real = sum(int(batch["attention_mask"].sum()) for batch in batches)
        read = sum(int(self.task.reads(model, batch).sum()) for batch in batches)
        widest = max(
            (writes(self.layers, i).dense.in_features for i in range(len(self))), default=0
        )
        every = lambda tokens: max(1, tokens // max(1, ENOUGH * widest))
        self.steps = [every(real if i < len(self) - 2 else read) for i in range(len(self))]

    def __len__(self) -> int:
        return 2 * len(self.layers)

    @contextmanager
    def watched(self) -> Iterator[dict[int, tuple[Tensor, Tensor]]]:
        """Inside the `with` a forward pass leaves, for each sublayer with parts, (a, probe): what
        its output matrix reads (B, T, n), and zeros (B, T, d) that were added to what it gives, so
        that the loss has a gradient there.
        """
        seen, handles = {}, []

        def note(sublayer: int):
            def hook(module, args, output):
                probe = torch.zeros_like(output, requires_grad=True)
                seen[sublayer] = args[0].detach(), probe
                return output + probe

            return hook

        try:
            for sublayer in range(len(self)):
                dense = writes(self.layers, sublayer).dense
                handles.append(dense.register_forward_hook(note(sublayer)))
            yield seen
        finally:
            for handle in handles:
                handle.remove()

    def add(self, seen: dict, loss: Tensor, batch: dict) -> None:
        """Of one batch: what `watched` gave, and its `loss` (), summed over examples."""
        gradients = torch.autograd.grad(loss, [probe for _, probe in seen.values()])
        real = batch["attention_mask"].bool().to(loss.device)
        read = real & self.task.reads(self.model, batch).to(loss.device)
        places = self.examples + torch.arange(len(real), device=loss.device)
        for (sublayer, (inner, _)), gradient in zip(seen.items(), gradients):
            where = read if sublayer >= len(self) - 2 else real
            g = gradient[where].float()  # (tokens, d)
            self.written[sublayer] += g.T @ g
            where = where & (places % self.steps[sublayer] == 0)[:, None]
            a = inner[where].float()  # (some tokens, n)
            self.read[sublayer] += a.T @ a
            self.tokens[sublayer] += len(a)
        self.examples += len(real)

    def costs(self) -> tuple[list[Tensor], list[Tensor]]:
        """For every layer the costs of its heads (heads,) and of its neurons (neurons,)."""
        found = [], []
        for sublayer in range(len(self)):
            weight = writes(self.layers, sublayer).dense.weight.detach().cpu()
            size = 1 if sublayer % 2 else head_size(self.model)
            if self.tokens[sublayer]:
                gram = self.read[sublayer].cpu() / self.tokens[sublayer]
                metric = _root(self.written[sublayer].cpu() / self.examples)
                damping = max(LEAST, DAMPING * len(gram) / self.tokens[sublayer])
                cost = removal_costs(gram, metric @ weight.double(), size, damping)
            else:
                cost = torch.zeros(weight.shape[1] // size)
            found[sublayer % 2].append(cost)
        return found


def _root(matrix: Tensor) -> Tensor:
    """R with Rᵀ R = `matrix`, which is symmetric and has no negative eigenvalues; float64."""
    values, vectors = torch.linalg.eigh(matrix.double())
    return (vectors * values.clamp_min(0).sqrt()).T


def removal_costs(gram: Tensor, weight: Tensor, size: int, damping: float) -> Tensor:
    """What it costs to remove each part, when all cheaper ones have gone before it: (parts,).

    gram: A (n, n). weight: R W (r, n), with Rᵀ R = G. size: how many columns next to each other are
    a part. damping: added to A's diagonal, as a share of its mean. The costs rise with the order of
    removal: a part that became cheaper than one before it counts as much as that.
    """
    n = len(gram)
    left = torch.arange(n // size)  # parts that are still there
    together = max(1, len(left) // TURNS) if size == 1 else 1
    costs, most = torch.zeros(len(left)), 0.0
    gram = gram.double()
    system = gram + damping * gram.diagonal().mean().clamp_min(1e-12) * torch.eye(n).double()
    inverse, weight = torch.cholesky_inverse(torch.linalg.cholesky(system)), weight.double()
    while len(left):
        price = _prices(inverse, weight, size)
        go = torch.zeros(len(left), dtype=torch.bool)
        go[price.topk(min(together, len(left)), largest=False).indices] = True
        for part in go.nonzero().flatten()[price[go].argsort()].tolist():
            most = max(most, price[part].item())
            costs[left[part]] = most
        inverse, weight = _without(inverse, weight, go.repeat_interleave(size))
        left = left[~go]
    return costs


def _prices(inverse: Tensor, weight: Tensor, size: int) -> Tensor:
    """tr(R W_P ([A⁻¹]_PP)⁻¹ W_Pᵀ Rᵀ) of every part P: (parts,)."""
    parts = len(inverse) // size
    if size == 1:
        return weight.square().sum(0) / inverse.diagonal()
    own = torch.arange(parts)
    blocks = inverse.view(parts, size, parts, size)[own, :, own]  # (parts, size, size)
    columns = weight.view(-1, parts, size).transpose(0, 1)  # (parts, r, size)
    solved = torch.linalg.solve(blocks, columns.transpose(1, 2))  # (parts, size, r)
    return (columns.transpose(1, 2) * solved).sum((1, 2))


def _without(inverse: Tensor, weight: Tensor, go: Tensor) -> tuple[Tensor, Tensor]:
    """A⁻¹ and R W without the columns `go`, the others changed to make up for them."""
    stay = ~go
    gone = torch.linalg.solve(inverse[go][:, go], inverse[go][:, stay])  # (gone, left)
    rest = inverse[stay]
    return rest[:, stay] - rest[:, go] @ gone, weight[:, stay] - weight[:, go] @ gone
