"""Recover by training: it goes on after an interruption, and ends with no worse model."""

import hashlib
import json
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, parameters_to_vector, vector_to_parameters
from tqdm.auto import tqdm

from ..measuring.data import Texts
from ..measuring.scores import evaluate, fitting
from ..measuring.tables import Table
from ..models.anatomy import longest
from ..models.batches import as_batches
from ..models.checks import finite_weights, number, whole_number
from ..models.journal import MODEL, Journal, digest, put_back, weights
from ..models.state import at_rest
from ..models.tasks import outputs, task_of


@dataclass(repr=False)
class Training(Table):
    """For every epoch the mean loss and, with validation data, the accuracy (0 to 1), or whatever
    score the task has; that of the model as it was given (`start`); steps and seconds of it all.
    """

    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0
    score: str = "accuracy"
    start: float | None = None

    def rows(self):
        yield ("epoch", "loss", f"validation {self.score}")
        if self.start is not None:
            yield (0, "", f"{self.start:.1%}")
        for i, loss in enumerate(self.losses):
            yield (
                i + 1,
                f"{loss:.3f}",
                f"{self.accuracies[i]:.1%}" if i < len(self.accuracies) else "",
            )
        yield (f"{self.steps} steps, {self.seconds:.0f} s", "", "")


def fine_tune(
    model,
    tokenizer,
    data: Texts,
    epochs: int = 1,
    learning_rate: float = 5e-5,
    batch_size: int = 32,
    validation: Texts | None = None,
    patience: int | None = None,
    folder: str | Path | None = None,
    save_every: int = 200,
    freeze_embeddings: bool = True,
    seed: int = 0,
    progress: bool = True,
) -> Training:
    """Train a classifier in place on labelled sentences with AdamW; pruned models stay as small as
    they are.

    The rate rises over a tenth of the steps and falls to zero linearly; gradients are clipped at
    norm 1. Word embeddings stay frozen by default, so that languages without training sentences
    keep their place. validation: evaluated before the first epoch and after each one; the best
    weights are put back at the end: those that `model` was given with, and a warning, if no epoch
    is better. With `patience` training stops after so many epochs without a better one.

    folder: where the state is written at the start of every epoch, every `save_every` steps and at
    the end, whole or not at all. If the training is interrupted, `model` is put back to the state
    that was written last; after an interruption of any kind the same call, with the model as it was
    given or as it is now, goes on from there and, with as many threads, ends with the same weights.
    The same call after the end gives the result at once. Of two processes with one folder the
    second waits for the first. A file that has been damaged is set aside, with a warning.

    Devices are `accelerate`'s: one CPU or GPU, several GPUs under `accelerate launch`, several
    processes on CPUs under `torchrun`. Of N processes each takes every Nth batch, a step goes along
    the mean of their N gradients, and all of them end with the same weights, starting from the main
    process's. They must see the same `folder`; the main process writes to it.

    Raises `ValueError` or `TypeError` if data, model or options do not fit, if `folder` is that of
    another training or holds other things, and if the training diverges: at the first step whose
    loss or gradient is NaN or infinite, `model` is put back to weights from before.
    """

    task = task_of(model)

    def loss(batch: dict, place: int) -> Tensor:
        out = outputs(model, batch)
        return task.loss(out, task.targets(batch, out))

    options = dict(
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        patience=patience,
        freeze_embeddings=freeze_embeddings,
        seed=seed,
    )
    return train(model, tokenizer, data, loss, options, validation, folder, save_every, progress)


def labelled(data: Texts, task) -> bool:
    """Whether the data hold the labels that the task learns from; masked pieces are their own."""
    return task.needs_labels and data.kind is not None


def _check(
    model, data: Texts, validation: Texts | None, options: dict, save_every: int, teacher
) -> None:
    for name, given in (("model", model), ("teacher", teacher)):
        if given is not None:
            finite_weights(name, given)
    for name, examples in (("data", data), ("validation", validation)):
        if examples is not None and not len(examples):
            raise ValueError(f"{name}: has no sentences")
    task = task_of(model)
    if teacher is None and not labelled(data, task):
        raise ValueError(
            f"data: has no labels to train a model for {task.name!r} on: distill from a teacher"
        )
    if validation is not None and teacher is None and not labelled(validation, task):
        raise ValueError("validation: has no labels to measure the model on")
    for name in ("epochs", "batch_size", "patience", "save_every"):
        value = options[name] if name in options else save_every
        if value is not None:
            value = whole_number(name, value)
        if name in options:
            options[name] = value
    options["learning_rate"] = number("learning_rate", options["learning_rate"], above=True)
    if options["learning_rate"] > 1e30:  # Adam's steps would be no float32
        raise ValueError(f"learning_rate: is {options['learning_rate']}, must be at most 1e30")
    options["seed"] = whole_number("seed", options["seed"], -(2**40))
    if options["patience"] is not None and validation is None:
        raise ValueError(
            f"patience: is {options['patience']}, must be None where there is no validation"
        )
    if any(p.dtype == torch.float16 for p in model.parameters()):
        raise ValueError(
            "model: is in float16, must be in float32 for training (model.float()): "
            "small gradients would be lost"
        )


@torch.enable_grad()
def train(
    model,
    tokenizer,
    data: Texts,
    loss: Callable,
    options: dict,
    validation: Texts | None,
    folder,
    save_every: int,
    progress: bool,
    teacher=None,
) -> Training:
    """What all trainings share: see `fine_tune` for the options.

    loss: of a batch and its place among the training's batches, which are the same in every epoch:
    (). teacher: whose answers count as right where validation data have no labels.
    """
    data = fitting(data, model)
    validation = None if validation is None else fitting(validation, model, "validation")
    _check(model, data, validation, options, save_every, teacher)
    from accelerate import Accelerator

    # Without an accelerator, processes that torchrun has started find each other only if they are
    # told to use CPUs.
    accelerator = Accelerator(cpu=not torch.accelerator.is_available())

    def same() -> dict:
        return options | {
            "teacher": teacher and digest(teacher.state_dict().values()),
            "data": _digest(data),
            "validation": validation and _digest(validation),
            "number of processes": accelerator.num_processes,
            "layout": 2,  # of the state, and what the losses mean
        }

    state = {"steps": 0, "seconds": 0.0, "stopped": False, "finished": False}
    state |= {"losses": [], "scores": [], "running": []}
    main, device = accelerator.is_main_process, next(model.parameters()).device
    journal = Journal("training", "folder", folder, same, state, model, writes=main)
    try:
        with at_rest(model, gradients=True):
            if options["freeze_embeddings"]:
                model.base_model.embeddings.word_embeddings.weight.requires_grad_(False)
            model.to(accelerator.device)
            with _opened(journal, model, accelerator):
                trainer = _Trainer(model, tokenizer, loss, options, accelerator, journal)
                trainer.save_every, trainer.reference = save_every, teacher
                trainer.run(data, validation, progress)
    finally:
        model.to(device)
    state, score = journal.state, task_of(model).scores[0]
    scores = state["scores"]
    start = scores[0] if scores else None
    if main and scores and not _best(scores):
        warnings.warn(
            f"validation: the {score} was {start:.1%} before the training, and "
            f"{max(scores[1:], key=_or_least):.1%} after the best epoch, which is no better: the "
            "model has the weights that it was given with",
            stacklevel=4,
        )
    return Training(state["losses"], scores[1:], state["steps"], state["seconds"], score, start)


@contextmanager
def _opened(journal: Journal, model, accelerator) -> Iterator[None]:
    """The journal, opened by the main process before the others; all have its weights."""
    from accelerate.utils import broadcast

    with ExitStack() as held:
        try:
            if accelerator.is_main_process:  # it may wait for another run to end
                held.enter_context(journal)
        finally:
            broadcast(model.state_dict())  # the others wait here
        if not accelerator.is_main_process:
            held.enter_context(journal)
        yield


class _Trainer:
    """A training under way, in each of the processes.

    It does by hand what `Accelerator.prepare` would do: that wraps model and optimizer, while our
    losses look at layers inside the model, and its states are pickles.
    """

    save_every = 200
    reference = None  # whose answers count as right where there are no labels

    def __init__(
        self, model, tokenizer, loss: Callable, options: dict, accelerator, journal: Journal
    ):
        self.model, self.tokenizer, self.loss, self.options = model, tokenizer, loss, options
        self.accelerator, self.journal, self.state = accelerator, journal, journal.state
        self.trained = [p for p in model.parameters() if p.requires_grad]
        one_kernel = True if accelerator.device.type == "cpu" else None  # 200 tensors, one call
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=options["learning_rate"], weight_decay=0.01, fused=one_kernel
        )
        self.best = self._restore()
        self.good, self.good_step = [], self.state["steps"]
        done = accelerator.gather(
            torch.tensor([self.state["steps"]], device=accelerator.device)
        )  # (processes,)
        if done.unique().numel() > 1:
            raise ValueError(
                f"folder: the processes found {done.tolist()} steps there, all must see the "
                f"same folder"
            )

    def run(self, data: Texts, validation: Texts | None, progress: bool) -> None:
        try:
            if not self.state["finished"]:
                self._run(data, validation, progress)
        finally:  # no model keeps what only its training needs, four times the weights
            self.optimizer.zero_grad()
            self.optimizer.state.clear()
            self.good = []
        self.accelerator.wait_for_everyone()  # the state is on disk

    def _run(self, data: Texts, validation: Texts | None, progress: bool) -> None:
        size = self.options["batch_size"]
        plan = data.by_length().batches(self.tokenizer, size, longest(self.model))
        learned = self.reference is None or bool(self.options.get("alpha"))
        plan = as_batches(self.model, plan, labels=learned)
        state, seed = self.state, self.options["seed"]
        processes, mine = self.accelerator.num_processes, self.accelerator.process_index
        per_epoch = -(-len(plan) // processes)  # steps
        total = per_epoch * self.options["epochs"]
        if validation is not None and not state["scores"]:
            self.validate(validation)
        with tqdm(
            total=total,
            initial=state["steps"],
            desc="training",
            disable=not (progress and self.accelerator.is_main_process),
        ) as bar:
            while len(state["losses"]) < self.options["epochs"] and not state["stopped"]:
                epoch = len(state["losses"])
                share = _shares(len(plan), seed + epoch, processes)[mine]
                for place in share[state["steps"] - epoch * per_epoch :]:
                    loss = self.step(plan[place], place, total)
                    bar.update(1)
                    bar.set_postfix_str(f"loss {loss:.3f}")
                state["losses"].append(sum(state["running"]) / len(state["running"]))
                state["running"] = []
                if validation is not None:
                    self.validate(validation)
        if self.best:
            put_back(self.model, self.best)
        if not all(p.isfinite().all() for p in self.trained):
            self._diverged(total, "it leaves weights that are NaN or infinite")
        self.best, state["finished"] = {}, True
        self.optimizer.state.clear()  # nobody needs Adam's moments any more
        self._save()

    def step(self, batch: dict, place: int, total: int) -> float:
        """One of `total` steps, with the batch at this place; the mean of the processes' losses."""
        done, device = self.state["steps"], self.accelerator.device
        for group in self.optimizer.param_groups:
            group["lr"] = self.options["learning_rate"] * _rate(done + 1, total)
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        number = done * self.accelerator.num_processes + self.accelerator.process_index + 1
        self.model.train()
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            # Dropout depends on the batch's number alone: it is the same after an interruption, and
            # no process's twice.
            torch.manual_seed(self.options["seed"] * 1_000_003 + number)
            loss = self.loss(batch, place)
            self.optimizer.zero_grad()
            loss.backward()
        loss = self._average(loss.detach())
        norm = clip_grad_norm_(self.trained, 1.0)
        if not isfinite(loss) or not norm.isfinite():
            self._diverged(total, f"the loss is {loss}, the gradient's norm {norm}")
        self._keep()
        self.optimizer.step()
        self.state["running"].append(loss)
        self.state["steps"] += 1
        return loss

    def _keep(self) -> None:
        """Weights whose loss and gradient are numbers are good: what a failure goes back to."""
        state = self.state
        if not self.journal.file:
            self.good = self.good or [torch.empty_like(p) for p in self.trained]
            for kept, p in zip(self.good, self.trained):
                kept.copy_(p.detach())
        elif not state["running"] or state["steps"] % self.save_every == 0:
            self._save()
        else:
            return
        self.good_step = state["steps"]

    def _diverged(self, total: int, found: str) -> None:
        for kept, p in zip(self.good, self.trained):  # with a folder, the journal does this
            p.detach().copy_(kept)
        steps = min(self.state["steps"] + 1, total)
        raise ValueError(
            f"learning_rate: is {self.options['learning_rate']}, and the training diverges: at "
            f"step {steps} of {total} {found}. The model is put back to the weights of step "
            f"{self.good_step}; try a smaller one"
        )

    def _average(self, loss: Tensor) -> float:
        """Put the mean over all processes in the place of the gradients; the mean loss."""
        if self.accelerator.num_processes > 1:
            gradients = [p.grad for p in self.trained if p.grad is not None]
            mean = self.accelerator.reduce(parameters_to_vector([loss, *gradients]), "mean")
            vector_to_parameters(mean, [loss, *gradients])
        return loss.item()

    def validate(self, validation: Texts) -> None:
        """Note the score, the weights if they are the best yet, and whether to stop: as the main
        process finds. The first time this is the model as it was given.
        """
        known = labelled(validation, task_of(self.model)) or validation.kind == "pairs"
        reference = None if known else self.reference
        found = evaluate(self.model, self.tokenizer, validation, reference=reference)
        score, scores = found.score, self.state["scores"]
        if self.accelerator.num_processes > 1:
            found = torch.tensor([score], dtype=torch.float64, device=self.accelerator.device)
            score = self.accelerator.gather(found)[0].item()
        scores.append(score)
        best = _best(scores)
        if best == len(scores) - 1:
            self.best = {name: tensor.cpu().clone() for name, tensor in weights(self.model).items()}
        patience = self.options["patience"]
        self.state["stopped"] = patience is not None and len(scores) - 1 - best >= patience

    def _save(self) -> None:
        adam = {
            f"{i}.{name}": tensor
            for i, values in self.optimizer.state_dict()["state"].items()
            for name, tensor in values.items()
        }
        parts = {MODEL: weights(self.model), "adam.": adam, "best.": self.best}
        self.journal.write(
            {
                f"{part}{name}": tensor
                for part, tensors in parts.items()
                for name, tensor in tensors.items()
            }
        )

    def _restore(self) -> dict[str, Tensor]:
        """Weights and Adam's moments as they were saved; the best weights."""
        parts = {"model": {}, "adam": {}, "best": {}}
        for name, tensor in self.journal.tensors.items():
            part, name = name.split(".", 1)
            parts[part][name] = tensor
        self.journal.tensors = {}
        if parts["model"]:
            put_back(self.model, parts["model"])
        moments = {}
        for name, tensor in parts["adam"].items():
            i, name = name.split(".")
            moments.setdefault(int(i), {})[name] = tensor
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})
        return parts["best"]


def _best(scores: list[float]) -> int:
    """The place of the highest score, of equals the first."""
    return max(range(len(scores)), key=lambda i: _or_least(scores[i]))


def _or_least(score: float) -> float:
    """The score; where there is none (NaN), less than any."""
    return score if isfinite(score) else float("-inf")


def _rate(step: int, total: int) -> float:
    """The share of the learning rate in a step, counted from 1."""
    rise = max(1, total // 10)
    return min(step / rise, (total - step + 1) / max(1, total - rise + 1))


def _shares(batches: int, seed: int, processes: int) -> list[list[int]]:
    """The places of an epoch's batches in random order, for each process equally many; the first
    ones fill up.
    """
    order = list(range(batches))
    random.Random(seed).shuffle(order)
    per_process = -(-batches // processes)
    return [(order * processes)[i : per_process * processes : processes] for i in range(processes)]


def _digest(data: Texts) -> str:
    text = json.dumps([type(data).__name__, vars(data)], ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
