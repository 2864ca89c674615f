"""Weight pruning: set single weights to zero, anywhere or N of every M."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from ..measuring.tables import Table
from ..models.anatomy import MATRICES, PLAINLY, copied, inputs_of, layers_of
from ..models.batches import as_batches
from ..models.checks import arguments, finite_weights, one_of, seed, share, whole_number
from ..models.memory import give_back
from ..models.state import at_rest

SCOPES = ("global", "layer", "matrix", "row")
METHODS = ("magnitude", "wanda", "random")


@arguments(
    model=finite_weights, sparsity=share, scope=one_of(SCOPES), method=one_of(METHODS), seed=seed
)
def prune_weights(
    model,
    sparsity: float | None = None,
    scope: str = "global",
    pattern: tuple[int, int] | None = None,
    method: str = "magnitude",
    batches: Iterable[dict] | None = None,
    permanent: bool = False,
    seed: int = 0,
):
    """A copy of `model` with the least weights of its layers' matrices at zero; embeddings, heads
    and biases stay.

    sparsity: the share (0 to 1) that becomes zero, exactly round(share · weights) in each group
    that is ranked together. scope: such a group is all matrices (`"global"`), those of one layer,
    one matrix, or one of its rows. pattern: (N, M) keeps N of every M neighbours in a row, in place
    of sparsity and scope (2:4 in Mishra et al. 2021). method:

    - `magnitude`: |W_ij|
    - `wanda`: |W_ij|·‖X_j‖₂, with X_j the input's column over the real tokens of `batches`, ranked
      within each row whatever the scope (Sun et al. 2023, section 3); `batches` are dicts with
      input_ids and attention_mask (batch, T)
    - `random`: uniform, from `seed`

    The zeros are held by `torch.nn.utils.prune` (a mask beside the weight), so that training keeps
    them; `permanent` puts them into the weights, which `save` needs. A model that has masks keeps
    their zeros. Raises `ValueError` if a choice is unknown or out of range, before any copy.
    """
    _check(model, sparsity, scope, pattern, method)
    batches = as_batches(model, batches if method == "wanda" else None)
    scope = "row" if method == "wanda" else scope
    if method == "wanda" and not batches:
        raise ValueError("batches: is empty, must hold at least one batch for method='wanda'")
    pruned = copied(model)
    masks = _masks(_scores(pruned, method, batches, seed), sparsity, scope, pattern)
    _set_to_zero(pruned, masks, permanent)
    give_back()
    return pruned


def _scores(model, method: str, batches: list[dict], seed: int) -> dict[str, Tensor]:
    """What each weight is worth, for every matrix: (out, in)."""
    norms = _input_norms(model, batches) if method == "wanda" else {}
    generator = torch.Generator().manual_seed(seed)

    def worth(name: str, weight: Tensor) -> Tensor:
        if method == "random":
            return torch.rand(weight.shape, generator=generator).to(weight.device)
        return weight.detach().abs() * norms[name] if method == "wanda" else weight.detach().abs()

    return {name: worth(name, matrix.weight) for name, matrix in _matrices(model)}


def _set_to_zero(model, masks: dict[str, Tensor], permanent: bool) -> None:
    """Where a mask is False. Zeros of before have the lowest score: they stay."""
    for name, matrix in _matrices(model):
        mask = masks.pop(name)
        if torch_prune.is_pruned(matrix):
            mask = mask & matrix.weight_mask.bool()
            torch_prune.remove(matrix, "weight")
        torch_prune.custom_from_mask(matrix, "weight", mask)
        if permanent:
            torch_prune.remove(matrix, "weight")


def _check(model, sparsity, scope, pattern, method) -> None:
    if (pattern is None) == (sparsity is None):
        raise ValueError("sparsity: give it, or pattern=(N, M), and not both")
    widths = {matrix.in_features for _, matrix in _matrices(model)}
    if pattern is not None:
        if not isinstance(pattern, tuple | list) or len(pattern) != 2:
            raise ValueError(f"pattern: is {pattern!r}, must be (N, M): N of every M weights stay")
        keep, of = (whole_number("pattern", value, 0) for value in pattern)
        if not 0 <= keep <= of or of < 1:
            raise ValueError(
                f"pattern: is {pattern}, must be (N, M) with 0 ≤ N ≤ M: N of every M weights stay"
            )
        if any(width % of for width in widths):
            raise ValueError(
                f"pattern: is {pattern}, but rows are {sorted(widths)} weights long: M must "
                f"divide them all"
            )


def _matrices(model) -> Iterable[tuple[str, nn.Linear]]:
    """(layer.kind, matrix) for the six matrices of every layer."""
    for i, layer in enumerate(layers_of(model)):
        yield from ((f"{i}.{kind}", layer.get_submodule(path)) for kind, path in MATRICES.items())


def _masks(
    scores: dict[str, Tensor], sparsity: float | None, scope: str, pattern
) -> dict[str, Tensor]:
    """True for what stays; of equal scores those that stand first go first."""
    if pattern is not None:
        keep, of = pattern
        return {
            name: _lowest(s.reshape(-1, of), of - keep).view(s.shape) for name, s in scores.items()
        }
    if scope in ("row", "matrix"):
        shaped = {name: s if scope == "row" else s.reshape(1, -1) for name, s in scores.items()}
        return {
            name: _lowest(s, round(sparsity * s.shape[1])).view(scores[name].shape)
            for name, s in shaped.items()
        }
    groups = {}
    for name in scores:
        groups.setdefault(name.split(".")[0] if scope == "layer" else "", []).append(name)
    masks = {}
    for names in groups.values():
        together = torch.cat([scores[name].flatten() for name in names])[None]
        flat = _lowest(together, round(sparsity * together.numel()))[0]
        masks |= {
            name: part.view(scores[name].shape)
            for name, part in zip(names, flat.split([scores[n].numel() for n in names]))
        }
    return masks


def _lowest(scores: Tensor, n: int) -> Tensor:
    """scores (groups, members) → mask, False at the n lowest of every group. No sort: ten times as
    fast on all matrices.
    """
    if n == 0 or not scores.numel():
        return torch.ones_like(scores, dtype=torch.bool)
    edge = scores.kthvalue(n, dim=1, keepdim=True).values
    below, equal = scores < edge, scores == edge
    gone = below | equal & (equal.cumsum(1) <= n - below.sum(1, keepdim=True))
    return ~gone


@torch.no_grad()
def _input_norms(model, batches: list[dict]) -> dict[str, Tensor]:
    """‖X_j‖₂ over all real tokens, for every column of every matrix: (in,)."""
    squares, real, handles = {}, [None], []

    def watch(name: str):
        def hook(module, args):
            squares[name] = squares.get(name, 0) + args[0][real[0]].double().square().sum(0)

        return hook

    try:
        with at_rest(model):
            handles = [
                matrix.register_forward_pre_hook(watch(name)) for name, matrix in _matrices(model)
            ]
            for batch in batches:
                inputs = inputs_of(model, batch)
                real[0] = inputs["attention_mask"].bool()
                model.base_model(**inputs, **PLAINLY)
    finally:
        for handle in handles:
            handle.remove()
    return {name: s.sqrt().float() for name, s in squares.items()}


@dataclass(repr=False)
class Sparsity(Table):
    """Shares (0 to 1) of zeros: `of[layer, kind]` of a matrix, `all` of all matrices of all layers
    together.
    """

    of: dict[tuple[int, str], float]
    all: float

    def rows(self):
        yield ("layer", *MATRICES)
        for layer in dict.fromkeys(layer for layer, _ in self.of):
            yield (layer, *(f"{self.of[layer, kind]:.1%}" for kind in MATRICES))
        yield (f"all: {self.all:.1%}", *[""] * len(MATRICES))


def weight_sparsity(model) -> Sparsity:
    """How many weights of the layers' matrices are zero, with masks or for good. An empty matrix
    has none.
    """
    zeros, of, total = 0, {}, 0
    for name, matrix in _matrices(model):
        layer, kind = name.split(".", 1)
        n = int((matrix.weight == 0).sum())
        of[int(layer), kind] = n / max(matrix.weight.numel(), 1)
        zeros, total = zeros + n, total + matrix.weight.numel()
    return Sparsity(of, zeros / max(total, 1))


def compressed_bytes(model) -> int:
    """Bytes of all parameters in half precision under zlib, level 6: what zeros save in a
    compressed file.
    """
    packer, size = zlib.compressobj(6), 0
    for matrix in model.modules():
        for name, parameter in matrix._parameters.items():
            if parameter is not None:
                value = getattr(
                    matrix, name.removesuffix("_orig")
                )  # the masked weight, where there is a mask
                size += len(
                    packer.compress(
                        value.detach().half().cpu().contiguous().view(torch.uint8).numpy().tobytes()
                        if value.dim()
                        else b""
                    )
                )
    return size + len(packer.flush())
