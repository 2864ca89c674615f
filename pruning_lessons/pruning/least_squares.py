"""Ridge regression of linear layers from sums over tokens."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Gram:
    """Weighted sums over tokens of (x, 1)ᵀ(x, 1) and (x, 1)ᵀ y, in float64."""

    def __init__(self, n_in: int, n_out: int, device=None):
        options = dict(dtype=torch.float64, device=device)
        self.xx = torch.zeros(n_in + 1, n_in + 1, **options)
        self.xy = torch.zeros(n_in + 1, n_out, **options)

    def add(self, x: Tensor, y: Tensor, weight: Tensor) -> None:
        """x: (tokens, in), y: (tokens, out), weight: (tokens, 1)."""
        x = torch.cat([x, x.new_ones(len(x), 1)], dim=1) * weight.sqrt()
        self.xx += (x.T @ x).double()
        self.xy += (x.T @ (y * weight.sqrt())).double()

    def error(self, solution: Tensor) -> float:
        """Σ weight·‖y - (x, 1)·solution‖², less the part that no solution changes."""
        return ((solution * (self.xx @ solution)).sum() - 2 * (solution * self.xy).sum()).item()


def ridge(gram: Gram, start: Tensor, strength: float) -> Tensor:
    """argmin Σ weight·‖y - (x, 1)·S‖² + λ‖S - start‖², (in + 1, out); the bias is not held back.

    λ is `strength` times the mean of Σ weight·x² over the inputs.
    """
    xx = gram.xx
    scale = xx.diagonal()[:-1].mean().item() if len(xx) > 1 else 0.0
    penalty = xx.new_full((len(xx), 1), strength * scale)
    penalty[-1] = 1e-9 * xx[-1, -1]
    system, wanted = xx + penalty[:, 0].diag(), gram.xy + penalty * start
    factor, failed = torch.linalg.cholesky_ex(system)  # half the work of a general solver
    return torch.linalg.solve(system, wanted) if failed else torch.cholesky_solve(wanted, factor)


def refit(linears: Sequence[nn.Linear], fit: Gram, check: Gram | None, ridges) -> None:
    """Refit linear layers that read the same x, towards their present weights; y holds what they
    should give, one after the other.

    The best of `ridges` on `check` is solved for once more on the sums of both; no layer changes
    where none is better than what is there. check: None: the first ridge, without a look.
    """
    weight = torch.cat([linear.weight for linear in linears])
    bias = torch.cat([linear.bias for linear in linears])
    start = torch.cat([weight.T, bias[None]]).double()  # (in + 1, out)
    if check is None:
        found = ridge(fit, start, ridges[0])
    else:
        best = min(ridges, key=lambda strength: check.error(ridge(fit, start, strength)))
        if check.error(ridge(fit, start, best)) >= check.error(start):
            return
        fit.xx, fit.xy = fit.xx + check.xx, fit.xy + check.xy
        found = ridge(fit, start, best)
    sizes = [linear.out_features for linear in linears]
    for linear, part in zip(linears, found.to(weight.dtype).split(sizes, dim=1)):
        linear.weight.copy_(part[:-1].T)
        linear.bias.copy_(part[-1])
