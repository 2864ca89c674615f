"""Which layers a model can do without: greedily, exactly, or by a rule of thumb."""
import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from functools import partial
from math import comb
from pathlib import Path
from typing import Callable, Iterable, NamedTuple, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from .checkpoints import load, save
from .data import Intents
from .masks import Masks
from .measure import evaluate
from .models import embed, finish, layers_of
from .surgery import prune
from .tables import Table

METHODS = ("top", "bottom", "alternate", "random", "block_influence")


class Score(NamedTuple):
    """Share of right answers (0 to 1), and mean cross-entropy in nats."""

    accuracy: float
    loss: float


# Larger is better. Ties of accuracy, frequent on a few hundred sentences, go to the smaller loss.
OBJECTIVES = {"accuracy": lambda score: (score.accuracy, -score.loss), "loss": lambda score: -score.loss}


@dataclass(repr=False)
class LayerSearch(Table):
    """What a search over layers found, and what it cost.

    order: the removed layers, numbered as in the model that was given, first removed first; scores: after each
    removal (of an exact search: only the last, and `order` is ascending); start: the score before any; masks: for
    `prune` and the model that was given; model: the pruned model, recovered if the search recovers. One *layer
    evaluation* is one layer run over all the data: `evaluations` were paid, those after an interruption included, and
    `plain_evaluations` is what a search without shared hidden states pays. recoveries: calls of `recover`.
    choices: of an exact search, every set of layers with the score without it.
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
        yield (0, "none", f"{self.start.accuracy:.1%}", f"{self.start.loss:.3f}")
        removed = range(len(self.order) - len(self.scores) + 1, len(self.order) + 1)
        for n, score in zip(removed, self.scores):
            new = self.order if len(self.scores) == 1 else [self.order[n - 1]]
            yield (n, ", ".join(map(str, new)), f"{score.accuracy:.1%}", f"{score.loss:.3f}")
        cost = f"{self.evaluations:,.0f} layer evaluations (plain search: {self.plain_evaluations:,})"
        yield (f"{cost}, {self.seconds:.0f} s", "", "", "")


def layer_masks(model, drop: Iterable[int]) -> Masks:
    """Masks that remove the layers `drop` and nothing else. `ValueError` for a layer that is not there, or twice."""
    masks, drop = Masks.keep_all(model), list(drop)
    n = len(masks.layers)
    if len(set(drop)) < len(drop) or not all(isinstance(i, int) and 0 <= i < n for i in drop):
        raise ValueError(f"drop: is {drop}, must be different whole numbers from 0 to {n - 1}")
    masks.layers[drop] = False
    return masks


@torch.inference_mode()
def layers_to_drop(model, n: int, method: str, batches: Iterable[dict] | None = None, seed: int = 0) -> list[int]:
    """The `n` layers to drop by a rule that tries nothing out, the first to go first (a smaller n: the first of them).

    - `top`: the last layers; `bottom`: the first ones; `alternate`: every other one, from the last downwards, and when
      those are used up the ones between (Sajjad et al. 2023, “On the effect of dropping layers of pre-trained
      transformer models”, section 3: top, bottom, even alternate)
    - `random`: drawn with `seed`
    - `block_influence`: those with the smallest 1 - E cos(input, output) over the real tokens of `batches`, dicts with
      input_ids and attention_mask (batch, T) (ShortGPT, Men et al. 2024, section 2)

    Raises `ValueError` for an unknown method, an `n` that the model does not have, or no batches where they are needed.
    """
    count = len(layers_of(model))
    if not isinstance(n, int) or not 0 <= n <= count:
        raise ValueError(f"n: is {n!r}, must be a whole number from 0 to the model's {count} layers")
    if method not in METHODS:
        raise ValueError(f"method: is {method!r}, must be one of {METHODS}")
    downwards = list(range(count))[::-1]
    if method == "top":
        return downwards[:n]
    if method == "bottom":
        return downwards[::-1][:n]
    if method == "alternate":
        return (downwards[::2] + downwards[1::2])[:n]
    if method == "random":
        return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()[:n]
    batches = [] if batches is None else list(batches)
    if not batches:
        raise ValueError("batches: is empty, must hold at least one batch for method='block_influence'")
    influence, training, device = torch.zeros(count), model.training, next(model.parameters()).device
    model.eval()
    try:
        for batch in batches:
            mask = batch["attention_mask"].to(device)
            x, bias = embed(model, batch["input_ids"].to(device), mask)                      # (batch, T, d)
            for i in range(count):
                after = run_layers(model, x, bias, [i])
                influence[i] += (1 - F.cosine_similarity(x, after, dim=-1))[mask.bool()].sum().cpu()
                x = after
    finally:
        model.train(training)
    return influence.argsort(stable=True).tolist()[:n]


def run_layers(model, hidden: Tensor, mask: Tensor | None, layers: Iterable[int]) -> Tensor:
    """Hidden states (batch, T, d) after these layers, one after the other; `hidden` and `mask` come from `embed`."""
    for i in layers:
        hidden = layers_of(model)[i](hidden, mask)
    return hidden


def greedy_layer_pruning(model, tokenizer, data: Intents, drop: int, recover: Callable | None = None,
                         resume: str | Path | None = None, progress: bool = True, recover_each: bool = False,
                         objective: str = "accuracy", memory: float = 512) -> LayerSearch:
    """Remove `drop` layers, one after the other, each time the one without which the model is best on `data`.

    Greedy layer pruning (Peer, Stabinger, Engl, Rodríguez-Sánchez 2021, “Greedy-layer pruning”). Best means by
    `objective`: `"accuracy"`, where ties go to the smaller loss, or `"loss"` (mean cross-entropy). `data` decides, so a
    fair accuracy of the result is one on other data.

    Without `recover`, nothing is trained while searching. Candidates share the hidden states below the removed layer,
    from step to step too, so that for L layers L + Σ m(m - 1)/2 layer evaluations (m: layers left) do the work of the
    plain Σ m(m - 1): 263 of 502 for 6 of 12 layers, with the same result. These states take at most `memory` megabytes;
    batches beyond that are run from the start at every step, one at a time (all of them: Σ (m - 1) evaluations more).

    recover: trains a pruned model in place, `recover(pruned)`; what it returns is ignored. It is called after each
    removal, and the search goes on from the recovered model. With `recover_each` it is called for each candidate,
    before that is scored, and every candidate is cut from `model` as it was given: the search of Peer et al. if that is
    a pretrained model (57 trainings for 6 of 12). torch's random numbers are seeded before every call.

    resume: a folder in which every finished step (with `recover_each`: every candidate) is written down at once. After
    an interruption of any kind the same call with the same folder goes on, to the result that it would have had.
    `recover` must be the same, which cannot be checked, and must draw no random numbers but torch's. `drop` may grow.

    `model` is not touched. Raises `TypeError` or `ValueError`, before any work, if the model does not fit the data,
    `drop` is not from 1 to L - 1, or the folder is that of another search. An interrupt says what is removed so far.
    """
    count = _check(model, tokenizer, data, drop)
    if objective not in OBJECTIVES:
        raise ValueError(f"objective: is {objective!r}, must be one of {sorted(OBJECTIVES)}")
    if recover is not None and not callable(recover) or recover_each and recover is None:
        raise ValueError(f"recover: is {recover!r}, must be a function that trains the model it is given"
                         + ("" if recover_each else ", or None"))
    key, batches = OBJECTIVES[objective], _prepare(tokenizer, data)
    settings = f"{objective}, recover {recover is not None}, recover_each {recover_each}"
    journal = _Journal(resume, model, tokenizer, batches, settings)
    state, order = journal.state, journal.state["order"]
    if len(order) > drop:
        raise ValueError(f"drop: is {drop}, must be at least {len(order)}: {str(resume)!r} has removed so many")
    began, training = time.perf_counter() - state["seconds"], model.training
    current, walk, remaining = model, None, [i for i in range(count) if i not in order]

    def done() -> None:
        state["seconds"] = time.perf_counter() - began
        journal.write()

    with _bar(drop, len(order), progress) as bar:
        look = partial(_Walk, batches=batches, memory=0 if recover_each else memory, state=state, bar=bar)
        try:
            model.eval()
            if state["start"] is None:
                walk = look(model, range(count))
                state["start"] = walk.score
                done()
            if state["model"]:
                current = journal.model(like=model)
            while len(order) < drop:
                if recover_each:
                    for layer in remaining:
                        if str(layer) not in state["tried"]:
                            candidate = _recovered(model, [*order, layer], recover, state)
                            score = look(candidate, range(len(remaining) - 1)).score
                            if all(key(score) > key(other) for other in state["tried"].values()):
                                current = candidate
                                journal.keep(candidate, f"model-{len(order) + 1}-{layer}")
                            state["tried"][str(layer)] = score
                            bar.update(1 / len(remaining))
                            done()
                    place = max(range(len(remaining)), key=lambda i: key(state["tried"][str(remaining[i])]))
                    score, state["tried"] = state["tried"][str(remaining[place])], {}
                else:
                    walk = walk or look(current, remaining if recover is None else range(len(remaining)))
                    place, score = walk.remove_best(key)
                    if recover:
                        walk, current = None, _recovered(current, [place], recover, state)
                        walk = look(current, range(len(remaining) - 1))
                        score = walk.score
                        journal.keep(current, f"model-{len(order) + 1}")
                order.append(remaining.pop(place))
                state["scores"].append(score)
                bar.set_postfix_str(f"without {order}: {score.accuracy:.1%}")
                done()
        except KeyboardInterrupt:
            advice = f"the same call goes on from there, by {str(resume)!r}" if resume else "resume=folder keeps them"
            raise KeyboardInterrupt(f"after {len(order)} of {drop} removals, {order}; {advice}") from None
        finally:
            model.train(training)
    masks = layer_masks(model, order)
    return LayerSearch(order, state["scores"], state["start"], masks,
                       prune(model, masks).eval() if recover is None else current, state["runs"] / len(data),
                       sum(m * (m - 1) for m in range(count - drop + 1, count + 1)),      # m: layers before a removal
                       state["seconds"], state["recoveries"])


def best_layers(model, tokenizer, data: Intents, drop: int, progress: bool = True,
                objective: str = "accuracy") -> LayerSearch:
    """The best `drop` layers to remove, from all the ways to do so; nothing is trained.

    A walk in depth over keep or drop for every layer, in which choices that agree on the first layers share their
    hidden states: 4 of 12 layers are 495 choices in 1,286 layer evaluations instead of 3,960, and 12 more for the
    whole model. One batch at a time, and one hidden state a depth, are in memory. `objective` and errors as in
    `greedy_layer_pruning`; a tie goes to the choice that drops later layers.
    """
    count = _check(model, tokenizer, data, drop)
    if objective not in OBJECTIVES:
        raise ValueError(f"objective: is {objective!r}, must be one of {sorted(OBJECTIVES)}")
    began, training, runs, totals = time.perf_counter(), model.training, 0, {}

    def visit(hidden: Tensor, layer: int, dropped: tuple[int, ...]) -> None:
        nonlocal runs
        if len(dropped) == drop:
            runs += (count - layer) * len(labels)
            _add(totals, dropped, finish(model, run_layers(model, hidden, mask, range(layer, count))), labels)
            bar.update(len(labels) / len(data))
            return
        if count - layer > drop - len(dropped):
            runs += len(labels)
            visit(run_layers(model, hidden, mask, [layer]), layer + 1, dropped)
        visit(hidden, layer + 1, (*dropped, layer))

    try:
        model.eval()
        with _bar(comb(count, drop), 0, progress) as bar, torch.inference_mode():
            for batch in _prepare(tokenizer, data):
                hidden, mask, labels = _start(model, batch)
                visit(hidden, 0, ())
                _add(totals, None, finish(model, run_layers(model, hidden, mask, range(count))), labels)
                runs += count * len(labels)
    finally:
        model.train(training)
    choices = {dropped: _mean(total, len(data)) for dropped, total in totals.items()}
    start = choices.pop(None)
    best = max(choices, key=lambda dropped: OBJECTIVES[objective](choices[dropped]))
    masks = layer_masks(model, best)
    return LayerSearch(list(best), [choices[best]], start, masks, prune(model, masks).eval(), runs / len(data),
                       comb(count, drop) * (count - drop), time.perf_counter() - began, choices=choices)


class _Walk:
    """A model's layers, some left out already, and on every batch the hidden states before each of the others."""

    @torch.inference_mode()
    def __init__(self, model, layers: Sequence[int], batches: list[dict], memory: float, state: dict, bar):
        self.model, self.layers, self.batches, self.state, self.bar = model.eval(), list(layers), batches, state, bar
        self.kept, total, room = {}, {}, memory * 1e6                # kept: a batch's place -> its states
        for place, batch in enumerate(batches):
            hidden, mask, labels = _start(model, batch)
            # Three times: the states, those of the candidate, and those of the best candidate yet.
            room -= 3 * (len(self.layers) + 1) * hidden.numel() * hidden.element_size()
            states = self._states(hidden, mask, self.layers)
            _add(total, None, finish(model, states[-1]), labels)
            if room >= 0:
                self.kept[place] = (states, mask, labels)
        self.score = _mean(total[None], self._sentences())

    @torch.inference_mode()
    def remove_best(self, key: Callable) -> tuple[int, Score]:
        """Score the model without each layer, and leave out the best: its place in `layers`, the score without it."""
        n, totals = len(self.layers), {}
        for place, batch in enumerate(self.batches):
            if place not in self.kept:                               # all candidates of this batch, then the next batch
                hidden, mask, labels = _start(self.model, batch)
                states = self._states(hidden, mask, self.layers[:-1])
                for i in range(n):
                    self._try(totals, i, states[i], mask, labels)
                del states
        best, best_states = None, []
        for i in range(n):
            found = [self._try(totals, i, states[i], mask, labels) for states, mask, labels in self.kept.values()]
            score = _mean(totals[i], self._sentences())
            if best is None or key(score) > key(best[1]):
                best, best_states = (i, score), found
        i = best[0]
        for place, new in zip(self.kept, best_states):
            states, mask, labels = self.kept[place]
            self.kept[place] = (states[:i] + new, mask, labels)
        del self.layers[i]
        return best

    def _try(self, totals: dict, i: int, hidden: Tensor, mask: Tensor | None, labels: Tensor) -> list[Tensor]:
        """Add to `totals[i]` what one batch says of the model without its layer i; the states from there on."""
        states = self._states(hidden, mask, self.layers[i + 1:])
        _add(totals, i, finish(self.model, states[-1]), labels)
        self.bar.update(len(labels) / self._sentences() / len(self.layers))
        return states

    def _states(self, hidden: Tensor, mask: Tensor | None, layers: list[int]) -> list[Tensor]:
        """The hidden states (batch, T, d) before each of these layers, and after the last."""
        states = [hidden]
        for i in layers:
            states.append(run_layers(self.model, states[-1], mask, [i]))
        self.state["runs"] += len(layers) * len(hidden)
        return states

    def _sentences(self) -> int:
        return sum(len(batch["labels"]) for batch in self.batches)


class _Journal:
    """The state of a search, in a folder if there is one: `search.json`, and the recovered model that it names."""

    def __init__(self, folder: str | Path | None, model, tokenizer, batches: list[dict], settings: str):
        self.folder, self.tokenizer = folder and Path(folder), tokenizer
        self.state = {"search": {}, "start": None, "order": [], "scores": [], "tried": {}, "model": None, "runs": 0,
                      "recoveries": 0, "seconds": 0.0}
        if not self.folder:
            return
        self.state["search"] = {"model": _digest(model.state_dict().values()), "settings": settings,
                                "data": _digest(t for batch in batches for t in batch.values())}
        if not self._file.is_file():
            if self.folder.exists() and (not self.folder.is_dir() or set(os.listdir(self.folder)) - {"search.part"}):
                raise ValueError(f"resume: {str(folder)!r} holds other things and no search: name a new folder")
            self.folder.mkdir(parents=True, exist_ok=True)
            self.write()
            return
        try:
            state = json.loads(self._file.read_text("utf-8"))
            other = [name for name, value in self.state["search"].items() if state["search"][name] != value]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"resume: {str(self._file)!r} is no search that can be read: name a new folder") from error
        if other:
            raise ValueError(f"resume: {str(folder)!r} holds a search with another {' / '.join(other)}: use a new one")
        state["scores"] = [Score(*score) for score in state["scores"]]
        state["tried"] = {layer: Score(*score) for layer, score in state["tried"].items()}
        state["start"] = state["start"] and Score(*state["start"])
        self.state = state

    @property
    def _file(self) -> Path:
        return self.folder / "search.json"

    def write(self) -> None:
        """Put the state on disk, whole or not at all; then remove models that it does not name."""
        if not self.folder:
            return
        fresh = self._file.with_suffix(".part")
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump(self.state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._file)
        for old in [*self.folder.glob("model-*"), *self.folder.glob(".model-*")]:
            if old.name != self.state["model"]:
                shutil.rmtree(old, ignore_errors=True)

    def keep(self, model, name: str) -> None:
        """Save a recovered model; it counts from the next `write` on."""
        if self.folder:
            save(model, self.tokenizer, self.folder / name)
            self.state["model"] = name

    def model(self, like):
        """The recovered model that the state names."""
        parameter = next(like.parameters())
        model, _ = load((self.folder / self.state["model"]).resolve(), device=parameter.device)
        model.set_attn_implementation(like.config._attn_implementation)
        return model.to(parameter.dtype)


def _check(model, tokenizer, data: Intents, drop: int) -> int:
    """The number of layers, if a search can start."""
    count = len(layers_of(model))
    if not isinstance(drop, int) or not 1 <= drop < count:
        raise ValueError(f"drop: is {drop!r}, must be a whole number from 1 to {count - 1} (of {count} layers)")
    evaluate(model, tokenizer, data.subset([0][:len(data)]))         # raises if model and data do not fit
    return count


def _prepare(tokenizer, data: Intents) -> list[dict]:
    """Batches of sentences of like length."""
    places = sorted(range(len(data)), key=lambda i: len(data.sentences[i]))
    return list(data.subset(places).batches(tokenizer, batch_size=64))


def _start(model, batch: dict) -> tuple[Tensor, Tensor | None, Tensor]:
    """Hidden states before the first layer (batch, T, d), the layers' mask, labels (batch,)."""
    device = next(model.parameters()).device
    return *embed(model, batch["input_ids"].to(device), batch["attention_mask"].to(device)), batch["labels"].to(device)


def _add(totals: dict, name, logits: Tensor, labels: Tensor) -> None:
    """Add the right answers and the losses of one batch, logits (batch, labels), to `totals[name]`."""
    right, loss = totals.get(name, (0, 0.0))
    totals[name] = (right + (logits.argmax(-1) == labels).sum().item(),
                    loss + F.cross_entropy(logits.double(), labels, reduction="sum").item())


def _mean(total: tuple[int, float], n: int) -> Score:
    return Score(total[0] / n, total[1] / n)


def _recovered(model, drop: list[int], recover: Callable, state: dict):
    """`model` without these layers, trained by `recover`, always from the same random numbers."""
    pruned, device = prune(model, layer_masks(model, drop)), next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        recover(pruned)
    state["recoveries"] += 1
    return pruned.eval()


def _bar(total: int, done: int, progress: bool):
    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    return tqdm(total=total, initial=done, desc="search over layers", disable=not progress, bar_format=form)


def _digest(tensors: Iterable[Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{tuple(tensor.shape)} {tensor.dtype} ".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
