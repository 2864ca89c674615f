"""K-prune (Park, Choi, Kang, ICLR 2024, “Accurate Retraining-free Pruning for Pretrained
Encoder-based Language Models”), as a baseline, from the paper.

Bottom-up over the sublayers. At each: measure what the units of this and of all higher sublayers
know (predictive knowledge, by the KL to the unpruned model's predictions, and representational
knowledge, by what the unit adds); find the threshold that the rest of the budget allows; prune this
sublayer alone and refit its output matrix to what the unpruned model has there.

    python benchmarks/kprune.py --limit 500 --sentences 256

runs it alone on the embedded classifier. Where it departs from the paper and its published code:

- The sample is the calibration set of all methods here, 2,048 sentences, not 100,000 tokens.
- Least squares in float64 by a solver that stands missing ranks, so that no refit fails (there a
  failed one leaves the old weights); neither has a ridge.
- The budget is in MACs for 24 tokens and may be met exactly (there the lowest unit always goes);
  as long as nothing has been pruned nothing is refitted.
- A sublayer without units keeps its output's bias.
- Hidden states below the sublayer are kept, not computed again: half of the time, the same numbers.
"""

import argparse
import copy
import time

import torch
import torch.nn.functional as F
from torch import Tensor

import pruning_lessons as pl

TEMPERATURE = 2.0
OF_PREDICTIONS, OF_REPRESENTATIONS = 1.0, 2.5e-4  # λ_pred, λ_rep
OF_HEADS = 64.0  # μ


def k_prune(
    original, batches: list[dict], keep: float, length: int = 24, each_example: bool = False
):
    """`original`, a classifier, pruned to a share `keep` of its encoder's MACs for `length` tokens.

    batches: dicts with input_ids and attention_mask (batch, T); labels are not used. The published
    code squares the gradient of a whole batch's mean loss, and its λ belong to batches of 32. With
    `each_example` every example's gradient is squared, as the Fisher information has it: then
    K_pred is 32 to 32² times as large, and λ_rep next to nothing.
    """
    return pl.prune(*_masked(original, batches, keep, length, each_example))


def _masked(
    original, batches: list[dict], keep: float, length: int = 24, each_example: bool = False
) -> tuple:
    """A copy of the model, its output matrices refitted and zero where a unit goes; the masks."""
    model, masks = copy.deepcopy(original), pl.Masks.keep_all(original)
    size = model.config.hidden_size // model.config.num_attention_heads
    places = _sublayers(model)
    costs = pl.unit_macs(model, length) * (len(places) // 2)  # of a head, of a neuron, of a head, …
    budget, whole = keep * pl.encoder_macs(model, length), True
    states = _States(original, batches)
    group = (size, 1) * (len(places) // 2)  # columns of a head, of a neuron, …
    for at, (_, output) in enumerate(places):
        scores = _scores(model, states, at, group, each_example)
        weighted = [
            score * (OF_HEADS if place % 2 == 0 else 1.0) / costs[place]
            for place, score in enumerate(scores, start=at)
        ]
        kept = _first_of_best(weighted, costs[at:], budget)
        budget -= costs[at] * int(kept.sum())
        (masks.neurons if at % 2 else masks.heads)[at // 2] = kept
        whole = whole and bool(kept.all())
        states.move(output, at, None if whole else kept.repeat_interleave(group[at]))
    return model, masks


def _sublayers(model) -> list[tuple]:
    """Of every sublayer, from the bottom: what its units give, and what comes after them."""
    attention = lambda part: lambda x, mask: part(x, mask)[0]
    feed_forward = lambda part: lambda x, mask: part(x)
    return [
        sublayer
        for layer in model.base_model.encoder.layer
        for sublayer in (
            (attention(layer.attention.self), layer.attention.output),
            (feed_forward(layer.intermediate), layer.output),
        )
    ]


class _States:
    """Hidden states before a sublayer, the pruned model's and the unpruned one's, on all batches;
    and the unpruned one's answers.
    """

    @torch.no_grad()
    def __init__(self, original, batches: list[dict]):
        self.original = _sublayers(original)
        self.masks, self.real, self.mine, self.theirs, self.answers = [], [], [], [], []
        for batch in batches:
            ids, mask = batch["input_ids"], batch["attention_mask"]
            hidden = original.base_model.embeddings(input_ids=ids)  # (batch, T, d)
            self.masks.append((1 - mask[:, None, None].float()) * torch.finfo(torch.float32).min)
            self.real.append(mask.bool())
            self.mine.append(hidden)
            self.theirs.append(hidden)
            logits = original(ids, attention_mask=mask).logits / TEMPERATURE
            self.answers.append(logits.softmax(-1))  # (batch, classes)
        self.inputs = []

    @torch.no_grad()
    def move(self, output, at: int, kept: Tensor | None) -> None:
        """Past the sublayer `at`, with `output.dense` refitted on the columns `kept` (in,)."""
        units, goal = self.original[at]
        wanted = [
            x + goal.dense(units(x, mask)) for x, mask in zip(self.theirs, self.masks)
        ]  # before the LayerNorm
        if kept is not None:
            _refit(output.dense, kept, self.inputs, wanted, self.mine, self.real)
        self.mine = [output.LayerNorm(m + output.dense(x)) for x, m in zip(self.inputs, self.mine)]
        self.theirs = [goal.LayerNorm(x) for x in wanted]


def _scores(
    model, states: _States, at: int, group: tuple[int, ...], each_example: bool = False
) -> list[Tensor]:
    """λ_rep K_rep + λ_pred K_pred of every unit of sublayer `at` and of those above: (units,) each.

    K_rep: the mean over tokens of the unit's squared activation, times that of its column. K_pred:
    ½ (∂KL/∂m)² of the unit's factor m, summed over batches (or examples), over the number of
    examples. A head's are the means over its dimensions. What sublayer `at` gives is left in
    `states.inputs`.
    """
    above = _sublayers(model)[at:]
    widths = [output.dense.in_features for _, output in above]
    squares, gradients = (
        [torch.zeros(width, device=model.device) for width in widths] for _ in range(2)
    )
    examples, tokens, states.inputs = 0, 0, []
    for x, mask, real, wanted in zip(states.mine, states.masks, states.real, states.answers):
        rows = len(x) if each_example else 1
        factors = [x.new_ones(rows, 1, width).requires_grad_() for width in widths]
        for place, (units, output) in enumerate(above):
            given = units(x, mask)  # (batch, T, in)
            if place == 0:
                states.inputs.append(given.detach())
            squares[place] += given.detach()[real].square().sum(0)
            x = output.LayerNorm(x + output.dense(given * factors[place]))
        answer = (model.classifier(x) / TEMPERATURE).log_softmax(-1)
        loss = F.kl_div(answer, wanted, reduction="sum") * TEMPERATURE**2 * rows / len(x)
        for total, gradient in zip(gradients, torch.autograd.grad(loss, factors)):
            total += gradient.square().sum((0, 1)) / 2
        examples, tokens = examples + len(x), tokens + int(real.sum())
    found = []
    for place, (_, output) in enumerate(above):
        adds = squares[place] / tokens * output.dense.weight.detach().square().mean(0)
        each = OF_REPRESENTATIONS * adds + OF_PREDICTIONS * gradients[place] / examples  # (in,)
        found.append(each.view(-1, group[at + place]).mean(1))
    return found


def _first_of_best(scores: list[Tensor], costs: tuple[int, ...], budget: float) -> Tensor:
    """Which units of the first sublayer are among the best of all that fit the budget: (units,)."""
    flat = torch.cat(scores)
    cost = torch.cat([score.new_full(score.shape, c).double() for score, c in zip(scores, costs)])
    order = flat.argsort(descending=True, stable=True)
    kept = torch.zeros_like(flat, dtype=torch.bool)
    kept[order] = cost[order].cumsum(0) <= budget
    return kept[: len(scores[0])].cpu()


def _refit(dense, kept: Tensor, inputs, wanted, mine, reals) -> None:
    """Least squares, bias as it is: kept columns give what the original has after the sublayer,
    less what passes it by; the others become zero.
    """
    n, kept = int(kept.sum()), kept.to(dense.weight.device)
    gram = dense.weight.new_zeros(n, n, dtype=torch.float64)
    right = gram.new_zeros(n, dense.out_features)
    for x, goal, past, real in zip(inputs, wanted, mine, reals):
        x = x[real][:, kept].double()  # (tokens, kept)
        gram += x.T @ x
        right += x.T @ (goal - past - dense.bias)[real].double()
    dense.weight.zero_()
    if n:
        found = torch.linalg.lstsq(gram.cpu(), right.cpu(), driver="gelsy").solution  # (kept, d)
        dense.weight[:, kept] = found.T.to(dense.weight)


def main() -> None:
    parser = argparse.ArgumentParser(description="K-prune alone, on the embedded classifier")
    parser.add_argument("--limit", type=int, help="so many sentences of the test set")
    parser.add_argument("--sentences", type=int, default=2048, help="of the calibration set")
    parser.add_argument("--each-example", action="store_true", help="square each one's gradient")
    parser.add_argument("--keep", type=float, nargs="*", default=[0.5, 0.33, 0.25, 0.15])
    parser.add_argument("--quick", action="store_true", help="few sentences, one budget")
    args = parser.parse_args()
    if args.quick:
        args.limit, args.sentences, args.keep = 64, 128, [0.25]
    torch.set_num_threads(2)
    model, tokenizer = pl.load()
    test = pl.load_intents("test", limit=args.limit)
    calibration = pl.load_intents("train", limit=args.sentences, seed=0)
    batches = list(calibration.by_length().batches(tokenizer))
    base = pl.evaluate(model, tokenizer, test).accuracy
    for keep in args.keep:
        start = time.perf_counter()
        pruned = k_prune(model, batches, keep, each_example=args.each_example)
        seconds = time.perf_counter() - start
        macs = pl.encoder_macs(pruned) / pl.encoder_macs(model)
        kept = pl.evaluate(pruned, tokenizer, test).accuracy / base
        print(f"{keep:.0%}: MACs {macs:.4f}, accuracy kept {kept:.1%}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
