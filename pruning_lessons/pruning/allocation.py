"""How much each sublayer may keep, by what the whole model loses after the refit.

Scores order the parts inside a sublayer well; between sublayers, and heads against neurons, they
are far out of their range when most is cut, and know nothing of what a refit makes up for. So the
scores of each sublayer get a factor, and the factors are searched by what matters: select, prune,
refit, divergence from the original on other sentences. After SPDY (Frantar and Alistarh 2022),
which does so for the sensitivities of layers, as does ZipLM (Kurtić et al. 2023).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..models.anatomy import copied, layers_of
from ..models.masks import Masks
from ..models.tasks import finish, task_of
from .importance import Scores
from .streams import Refit, Wanted
from .surgery import prune

RIDGE = 1e-2  # of a rehearsal; repair chooses its own


class Rehearsal:
    """Prune, refit and measure with many masks, the original's part computed once.

    Half of the batches is for the refit of the output matrices, on the other half the divergence
    from the original is measured. Keeps 2·layers·tokens·d numbers of 4 bytes.
    """

    @torch.no_grad()
    def __init__(self, model, batches: list[dict]):
        self.model, self.task = model, task_of(model)
        self.core = _without_words(model)
        self.parts = ["fit" if i % 2 == 0 else None for i in range(len(batches))]
        self.batches = batches
        self.wanted = Wanted(model, batches, keep=True)
        last = self.wanted.before(2 * len(self.wanted.layers))
        self.answers = [finish(model, x, batch) for x, batch in zip(last, batches)]

    @torch.no_grad()
    def __call__(self, masks: Masks) -> float:
        """The mean divergence from the original's answers."""
        pruned = prune(self.core, masks)
        places = masks.layers.nonzero().flatten().tolist()
        hidden = Refit(layers_of(pruned), places, self.wanted, self.parts).run([RIDGE], False)
        found = [
            self.task.divergence(theirs, finish(self.model, x, batch))
            for theirs, x, batch, part in zip(self.answers, hidden, self.batches, self.parts)
            if part is None
        ]
        return torch.cat(found).mean().item()


def _without_words(model):
    """A copy of the encoder with next to no table of words, so that cutting it is cheap."""
    base = model.base_model
    words = base.embeddings.word_embeddings
    few = nn.Embedding(base.config.pad_token_id + 1, words.embedding_dim, words.padding_idx)
    core = copied(base, {id(words): few.to(words.weight)})
    core.config.vocab_size = few.num_embeddings
    return core


def weighted(scores: Scores, factors: Tensor) -> Scores:
    """Scores times e^factors: factors (2, layers) for heads and for neurons."""
    heads, neurons = factors.exp()[..., None].to(scores.heads)
    return replace(
        scores, heads=scores.heads * heads, neurons=scores.neurons * neurons, gradients=None
    )


@dataclass
class Found:
    """Where a search stands: its best factors (2, layers), their loss, the size of a step, and how
    many rounds are behind it.
    """

    factors: Tensor
    loss: float
    step: float = 0.7
    rounds: int = 0


def search(
    loss: Callable[[Tensor], float], found: Found, rounds: int, seed: int
) -> Iterator[Found]:
    """Factors with a smaller `loss`, by random local search; yields where it stands every round.

    The first third of the rounds moves along six directions (all heads or neurons, their slope and
    bend over depth), the rest a few sublayers at a time. A move that does not help is tried
    backwards; steps grow with success, and shrink without. A round's random numbers are its own, so
    that an interrupted search goes on as if it had not been.
    """
    depth = torch.linspace(-1, 1, found.factors.shape[1])
    smooth = torch.stack([torch.ones_like(depth), depth, depth.square() - 1 / 3])  # (3, layers)
    for at in range(found.rounds, rounds):
        random = torch.Generator().manual_seed(seed * 100_003 + at)
        if at < rounds // 3:
            move = torch.randn(2, 3, generator=random) @ smooth
        else:
            few = torch.rand(found.factors.shape, generator=random) < 0.3
            move = torch.randn(found.factors.shape, generator=random) * few
        tries = (found.factors + sign * found.step * move for sign in (1, -1))
        better = next(((f, low) for f in tries if (low := loss(f)) < found.loss), None)
        if better:
            found = Found(*better, found.step * 1.2, at + 1)
        else:
            found = replace(found, step=found.step * 0.85, rounds=at + 1)
        yield found
