"""Which layers a model can do without, by trying: greedily, or every choice there is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, combinations
from math import isnan
from pathlib import Path

import torch
from tqdm.auto import tqdm

from ..measuring.data import Texts
from ..measuring.scores import fitting
from ..measuring.tables import Table
from ..models.anatomy import embed, layers_of, longest
from ..models.batches import as_batches
from ..models.checks import finite_weights, number, one_of, whole_number
from ..models.journal import Journal, digest, put_back, weights
from ..models.masks import Masks
from ..models.state import at_rest
from .layers import layer_masks
from .surgery import prune
from .walk import Score, Walk, answers, every_choice, with_reference

# Larger is better. Ties of accuracy, frequent on a few hundred sentences, go to the smaller loss.
# By place, not by name: scores that were on disk are lists.
OBJECTIVES = {
    "accuracy": lambda score: (0 if isnan(score[0]) else score[0], -score[1]),
    "loss": lambda score: -score[1],
}


@dataclass(repr=False)
class LayerSearch(Table):
    """What a search over layers found, and what it cost.

    order: the removed layers, numbered as in the model that was given, first removed first; scores:
    after each removal (of an exact search: only the last, and `order` is ascending); start: the
    score before any; masks: for `prune` and the model that was given; model: the pruned model,
    recovered if the search recovers. One *layer evaluation* is one layer run over all the data:
    `evaluations` were paid, those after an interruption included, and `plain_evaluations` is what a
    search without shared hidden states pays. recoveries: calls of `recover`. choices: of an exact
    search, every set of layers with the score without it.
    """

    order: list[int]
    scores: list[Score]
    start: Score
    masks: Masks
    model: torch.nn.Module
    evaluations: float
    plain_evaluations: int
    seconds: float
    recoveries: int = 0
    choices: dict[tuple[int, ...], Score] | None = None

    def rows(self):
        yield ("removed", "layers", "accuracy", "loss")
        yield (0, "none", *self.start.shown())
        removed = range(len(self.order) - len(self.scores) + 1, len(self.order) + 1)
        for n, score in zip(removed, self.scores):
            new = self.order if len(self.scores) == 1 else [self.order[n - 1]]
            yield (n, ", ".join(map(str, new)), *score.shown())
        cost = (
            f"{self.evaluations:,.0f} layer evaluations (plain search: {self.plain_evaluations:,})"
        )
        yield (f"{cost}, {self.seconds:.0f} s", "", "", "")


def greedy_layer_pruning(
    model,
    tokenizer,
    data: Texts,
    drop: int,
    recover: Callable | None = None,
    resume: str | Path | None = None,
    progress: bool = True,
    recover_each: bool = False,
    objective: str = "accuracy",
    memory: float = 512,
) -> LayerSearch:
    """Remove `drop` layers, one after the other, each time the one without which the model is best
    on `data`.

    Greedy layer pruning (Peer, Stabinger, Engl, Rodríguez-Sánchez 2021, “Greedy-layer pruning”).
    Best means by `objective`: `"accuracy"`, where ties go to the smaller loss, or `"loss"` (the
    mean loss). `data` decides, so a fair accuracy of the result is one on other data. Without
    labels an answer is right that is the whole model's, and the loss is the divergence from it;
    where answers are numbers or vectors only the loss decides.

    Without `recover`, nothing is trained while searching. Candidates share the hidden states below
    the removed layer, from step to step too, so that for L layers L + Σ m(m - 1)/2 layer
    evaluations (m: layers left) do the work of the plain Σ m(m - 1): 263 of 502 for 6 of 12 layers,
    with the same result. These states take at most `memory` megabytes; batches beyond that are run
    from the start at every step, one at a time (all of them: Σ (m - 1) evaluations more).

    recover: trains a pruned model in place, `recover(pruned)`; what it returns is ignored. It is
    called after each removal, and the search goes on from the recovered model. With `recover_each`
    it is called for each candidate, before that is scored, and every candidate is cut from `model`
    as it was given: the search of Peer et al. if that is a pretrained model (57 trainings for 6 of
    12). torch's random numbers are seeded before every call.

    resume: a folder in which every finished step (with `recover_each`: every candidate) is written
    down at once. After an interruption of any kind the same call with the same folder goes on, to
    the result that it would have had; a second process with the same folder waits for the first,
    and a file that has been damaged is set aside, with a warning. `recover` must be the same, which
    cannot be checked, and must draw no random numbers but torch's. `drop` may grow.

    `model` is not touched. Raises `TypeError` or `ValueError`, before any work, if the model does
    not fit the data, `drop` is not from 1 to L - 1, or the folder is that of another search. An
    interrupt says what is removed so far.
    """
    number("memory", memory)
    count, data = _checked(model, data, drop, objective)
    if recover is not None and not callable(recover) or recover_each and recover is None:
        raise ValueError(
            f"recover: is {recover!r}, must be a function that trains the model it is given"
            + ("" if recover_each else ", or None")
        )
    batches = _batches(model, tokenizer, data)
    settings = {"search": "greedy", "objective": objective}
    settings |= {"recover": bool(recover), "recover_each": recover_each}
    begin = {"start": None, "order": [], "scores": [], "tried": [], "without": [], "recoveries": 0}
    with _journal(resume, model, batches, settings, begin) as journal:
        state, order = journal.state, journal.state["order"]
        if len(order) > drop:
            raise ValueError(
                f"drop: is {drop}, must be at least {len(order)}: {str(resume)!r} has removed so "
                "many"
            )
        with (
            _bar(drop, len(order), progress) as bar,
            _interruptible(model, resume, lambda: f"{len(order)} of {drop} removals, {order}"),
        ):
            kept = 0 if recover_each else memory
            search = _Greedy(model, batches, OBJECTIVES[objective], recover, kept, journal, bar)
            while len(order) < drop:
                search.step_recovering_each() if recover_each else search.step()
                bar.set_postfix_str(f"without {order}: {state['scores'][-1][0]:.1%}")
    masks = layer_masks(model, order)
    return LayerSearch(
        order,
        [Score(*score) for score in state["scores"]],
        Score(*state["start"]),
        masks,
        prune(model, masks).eval() if recover is None else search.current,
        state["runs"] / len(data),
        sum(m * (m - 1) for m in range(count - drop + 1, count + 1)),  # m: layers before a removal
        state["seconds"],
        state["recoveries"],
    )


def best_layers(
    model,
    tokenizer,
    data: Texts,
    drop: int,
    resume: str | Path | None = None,
    progress: bool = True,
    objective: str = "accuracy",
) -> LayerSearch:
    """The best `drop` layers to remove, from all the ways to do so; nothing is trained.

    A walk in depth over keep or drop for every layer, in which choices that agree on the first
    layers share their hidden states: 4 of 12 layers are 495 choices in 1,286 layer evaluations
    instead of 3,960, and 12 more for the whole model. One batch at a time, and one hidden state a
    depth, are in memory. `objective` and errors as in `greedy_layer_pruning`; a tie goes to the
    choice that drops later layers.

    resume: a folder in which the sums over all choices are written down after every batch of 64
    sentences. After an interruption of any kind the same call with the same folder goes on, to the
    result that it would have had. `objective` may change: it decides at the end.
    """
    count, data = _checked(model, data, drop, objective)
    batches = _batches(model, tokenizer, data)
    ways = [(), *reversed(list(combinations(range(count), drop)))]  # (): the whole model
    settings = {"search": "exact", "drop": drop}
    with _journal(resume, model, batches, settings, {"batches": 0}) as journal:
        state = journal.state
        totals = journal.tensors.get("totals", torch.zeros(len(ways), 3, dtype=torch.float64))
        done = sum(len(batch["input_ids"]) for batch in batches[: state["batches"]])
        with (
            _bar(len(ways), len(ways) * done / len(data), progress) as bar,
            torch.inference_mode(),
            _interruptible(model, resume, lambda: f"{state['batches']} of {len(batches)} batches"),
        ):
            for batch in batches[state["batches"] :]:
                hidden, mask = embed(model, batch)
                choices = (
                    every_choice(model, hidden, mask, range(count), n, state) for n in (0, drop)
                )
                for total, last in zip(totals, chain(*choices), strict=True):
                    total += answers(model, last, batch)
                    bar.update(len(hidden) / len(data))
                state["batches"] += 1
                journal.write({"totals": totals})
    whole, *scores = (Score.of(total) for total in totals)
    choices = dict(zip(ways[1:], scores))
    best = max(choices, key=lambda dropped: OBJECTIVES[objective](choices[dropped]))
    masks = layer_masks(model, best)
    return LayerSearch(
        list(best),
        [choices[best]],
        whole,
        masks,
        prune(model, masks).eval(),
        state["runs"] / len(data),
        len(choices) * (count - drop),
        state["seconds"],
        choices=choices,
    )


class _Greedy:
    """A greedy search, one removal a step. `current`: the recovered model, or without one the model
    that was given.
    """

    def __init__(
        self,
        model,
        batches: list[dict],
        key: Callable,
        recover: Callable | None,
        memory: float,
        journal: Journal,
        bar,
    ):
        self.model, self.batches, self.key, self.recover = model, batches, key, recover
        self.memory, self.journal, self.state, self.bar = memory, journal, journal.state, bar
        self.walk, self.current = None, model
        self.left = [i for i in range(len(layers_of(model))) if i not in self.state["order"]]
        if self.state["without"]:  # the layers that the recovered model lacks
            self.current = prune(model, layer_masks(model, self.state["without"])).eval()
            put_back(self.current, journal.tensors)
            journal.tensors = {}
        if self.state["start"] is None:
            self.walk = self._look(model)
            self.state["start"] = self.walk.score
            self._write()

    def step(self) -> None:
        """Remove the layer that is missed least, and recover from that, if at all."""
        self.walk = self.walk or self._look(self.current)
        place, score = self.walk.remove_best(self.key)
        layer = self.left.pop(place)
        if self.recover:
            self.walk = None  # frees its hidden states before the training
            self.current = self._recovered(self.current, [place])
            self.walk = self._look(self.current)
            score, self.state["without"] = self.walk.score, [*self.state["order"], layer]
        self._note(layer, score)

    def step_recovering_each(self) -> None:
        """Recover from each removal that is possible, and remove the layer that is missed least
        after that.
        """
        tried, order = self.state["tried"], self.state["order"]  # tried: of the first in `left`
        for layer in self.left[len(tried) :]:
            candidate = self._recovered(self.model, [*order, layer])
            score = self._look(candidate).score
            if all(self.key(score) > self.key(other) for other in tried):
                self.current, self.state["without"] = candidate, [*order, layer]
            tried.append(score)
            self.bar.update(1 / len(self.left))
            self._write()
        place = max(range(len(tried)), key=lambda i: self.key(tried[i]))
        score, self.state["tried"] = tried[place], []
        self._note(self.left.pop(place), score)

    def _look(self, model) -> Walk:
        layers = self.left if model is self.model else range(len(layers_of(model)))
        return Walk(model, layers, self.batches, self.memory, self.state, self.bar)

    def _recovered(self, model, drop: list[int]):
        """`model` without these layers, trained by `recover`, from the same random numbers."""
        pruned, device = prune(model, layer_masks(model, drop)), next(model.parameters()).device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(0)
            self.recover(pruned)
        finite_weights("recover", pruned)
        self.state["recoveries"] += 1
        return pruned.eval()

    def _note(self, layer: int, score: Score) -> None:
        self.state["order"].append(layer)
        self.state["scores"].append(score)
        self._write()

    def _write(self) -> None:
        self.journal.write({} if self.current is self.model else weights(self.current))


def _checked(model, data, drop: int, objective: str) -> tuple[int, Texts]:
    """The number of layers, and data in the order of the model's labels, if a search can start."""
    count = len(layers_of(model))
    if count < 2:
        raise ValueError(f"model: has {count} layers, must have at least 2 to do without one")
    whole_number("drop", drop, 1, count - 1)
    finite_weights("model", model)
    one_of(OBJECTIVES)("objective", objective)
    data = fitting(data, model)
    if not len(data):
        raise ValueError("data: has no sentences")
    return count, data


def _batches(model, tokenizer, data) -> list[dict]:
    """Sentences of like length together; without labels, what the whole model says of them."""
    made = data.by_length().batches(tokenizer, 64, longest(model))
    batches = as_batches(model, made, labels=True)
    with at_rest(model):
        return with_reference(model, batches)


def _journal(resume, model, batches: list[dict], settings: dict, state: dict) -> Journal:
    same = lambda: settings | {"data": digest(t for batch in batches for t in batch.values())}
    return Journal("search", "resume", resume, same, state | {"runs": 0, "seconds": 0.0}, model)


@contextmanager
def _interruptible(model, resume, found: Callable[[], str]) -> Iterator[None]:
    """`model` in eval mode, put back at the end. An interrupt says what has been found, and how the
    search goes on.
    """
    try:
        with at_rest(model, gradients=True):
            yield
    except KeyboardInterrupt:
        advice = (
            f"the same call goes on from there, by {str(resume)!r}"
            if resume
            else "resume=folder keeps them"
        )
        raise KeyboardInterrupt(f"after {found()}; {advice}") from None


def _bar(total: int, done: float, progress: bool):
    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    return tqdm(
        total=total, initial=done, desc="search over layers", disable=not progress, bar_format=form
    )
