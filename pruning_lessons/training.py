"""Recover by training: fine-tuning on labels, distillation from the unpruned model; both go on after an interruption."""
import hashlib
import json
import os
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from .data import Intents
from .measure import evaluate
from .models import layers_of
from .tables import Table


@dataclass(repr=False)
class Training(Table):
    """For every epoch the mean loss and, with validation data, the accuracy (0 to 1); steps and seconds of it all."""

    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0

    def rows(self):
        yield ("epoch", "loss", "validation accuracy")
        for i, loss in enumerate(self.losses):
            yield (i + 1, f"{loss:.3f}", f"{self.accuracies[i]:.1%}" if i < len(self.accuracies) else "")
        yield (f"{self.steps} steps, {self.seconds:.0f} s", "", "")


def fine_tune(model, tokenizer, data: Intents, epochs: int = 1, learning_rate: float = 5e-5, batch_size: int = 32,
              validation: Intents | None = None, patience: int | None = None, folder: str | Path | None = None,
              save_every: int = 200, freeze_embeddings: bool = True, seed: int = 0, progress: bool = True) -> Training:
    """Train a classifier in place on labelled sentences with AdamW; pruned models stay as small as they are.

    The rate rises over a tenth of the steps and falls to zero linearly; gradients are clipped at norm 1. Word embeddings
    stay frozen by default, so that languages without training sentences keep their place. validation: evaluated after
    each epoch; the best epoch's weights are put back at the end, and with `patience` training stops after so many epochs
    without a better one. folder: where the state is written after every epoch and every `save_every` steps, whole or not
    at all; after an interruption the same call goes on from there and ends with the same weights. Devices are
    `accelerate`'s: one CPU or GPU, or several under `accelerate launch` (each takes its share of the batches).

    Raises `ValueError` or `TypeError` if data, model or options do not fit, and if `folder` is of another training.
    """
    def loss(batch: dict) -> Tensor:
        return F.cross_entropy(_logits(model, batch), batch["labels"])
    options = dict(epochs=epochs, learning_rate=learning_rate, batch_size=batch_size, patience=patience,
                   freeze_embeddings=freeze_embeddings, seed=seed)
    return _train(model, tokenizer, data, loss, options, validation, folder, save_every, progress)


def distill(student, teacher, tokenizer, data: Intents, temperature: float = 2.0, alpha: float = 0.5, hidden: float = 1.0,
            layer_map: dict[int, int] | None = None, epochs: int = 1, learning_rate: float = 5e-5, batch_size: int = 32,
            validation: Intents | None = None, patience: int | None = None, folder: str | Path | None = None,
            save_every: int = 200, freeze_embeddings: bool = True, seed: int = 0, progress: bool = True) -> Training:
    """Train `student` in place to answer as `teacher` does; options as in `fine_tune`.

    The loss is alpha · CE(labels) + (1 - alpha) · T² · KL(teacher ‖ student) with both softened by the temperature T (Hinton,
    Vinyals, Dean 2015, section 2), plus `hidden` times the mean squared difference of hidden states at real tokens, over
    the layers of `layer_map` {student's layer: teacher's layer} (TinyBERT, Jiao et al. 2020, section 3, here without a
    projection, for widths agree; CoFi, Xia et al. 2022, section 2.3). By default a student's layer is held against the last
    of the teacher's layers that come before the next one that it kept, and its last against the teacher's last.

    Raises also `ValueError` for a temperature that is not above 0, weights out of range, or a map out of range.
    """
    known = getattr(student.config, "kept_layers", None) or list(range(len(layers_of(student))))
    n = len(layers_of(teacher))
    if layer_map is None:
        layer_map = {i: (known[i + 1] - 1 if i + 1 < len(known) else n - 1) for i in range(len(known))}
    if temperature <= 0 or not 0 <= alpha <= 1 or hidden < 0:
        raise ValueError(f"temperature, alpha, hidden: are {temperature}, {alpha}, {hidden}, must be above 0, from 0 to 1, at least 0")
    if student.config.hidden_size != teacher.config.hidden_size or student.config.num_labels != teacher.config.num_labels:
        raise ValueError("teacher: must have the student's hidden size and labels")
    if not all(0 <= s < len(known) and 0 <= t < n for s, t in layer_map.items()):
        raise ValueError(f"layer_map: is {layer_map}, must map from 0..{len(known) - 1} to 0..{n - 1}")
    device, was_training = [], teacher.training

    def loss(batch: dict) -> Tensor:
        if not device:
            device.append(teacher.to(batch["input_ids"].device).eval())
        with torch.no_grad(), _states(teacher) as theirs:
            wanted = _logits(teacher, batch)
        with _states(student) as mine:
            logits = _logits(student, batch)
        soft = F.kl_div((logits / temperature).log_softmax(-1), (wanted / temperature).log_softmax(-1), log_target=True,
                        reduction="batchmean")
        total = alpha * F.cross_entropy(logits, batch["labels"]) + (1 - alpha) * temperature ** 2 * soft
        real = batch["attention_mask"].bool()
        gaps = [F.mse_loss(mine[s][real], theirs[t][real]) for s, t in layer_map.items()] if hidden else []
        return total + hidden * sum(gaps) / len(gaps) if gaps else total

    options = dict(epochs=epochs, learning_rate=learning_rate, batch_size=batch_size, patience=patience,
                   freeze_embeddings=freeze_embeddings, seed=seed)
    extra = dict(temperature=temperature, alpha=alpha, hidden=hidden, layer_map=sorted(layer_map.items()))
    try:
        return _train(student, tokenizer, data, loss, options, validation, folder, save_every, progress, extra)
    finally:
        teacher.train(was_training)


def _logits(model, batch: dict) -> Tensor:
    return model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits


@contextmanager
def _states(model) -> Iterator[list[Tensor]]:
    """Collects every layer's output (batch, T, d) of the forward passes inside the `with`."""
    found = []
    handles = [layer.register_forward_hook(lambda module, args, output: found.append(output)) for layer in layers_of(model)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _check(model, data: Intents, options: dict) -> None:
    layers_of(model)
    if not hasattr(model, "classifier"):
        raise TypeError(f"model: is a {type(model).__name__}, must be a classifier (task='intents')")
    if not len(data):
        raise ValueError("data: has no sentences")
    if max(data.labels) >= model.config.num_labels or min(data.labels) < 0:
        raise ValueError(f"data: has labels up to {max(data.labels)}, the model knows {model.config.num_labels}")
    for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 1)):
        if options[name] is not None and options[name] < least:
            raise ValueError(f"{name}: is {options[name]}, must be at least {least}")
    if not options["learning_rate"] > 0:
        raise ValueError(f"learning_rate: is {options['learning_rate']}, must be above 0")


def _train(model, tokenizer, data: Intents, loss: Callable, options: dict, validation, folder, save_every: int, progress: bool,
           extra: dict | None = None) -> Training:
    _check(model, data, options)
    from accelerate import Accelerator
    accelerator = Accelerator()
    journal = _Journal(folder, model, {**options, **(extra or {}), "data": _digest(data)}, accelerator.is_main_process)
    frozen = model.base_model.embeddings.word_embeddings.weight
    was = (model.training, next(model.parameters()).device, frozen.requires_grad)
    frozen.requires_grad_(was[2] and not options["freeze_embeddings"])
    try:
        model.to(accelerator.device)
        _loop(model, tokenizer, data, loss, options, validation, accelerator, journal, save_every, progress)
    finally:
        frozen.requires_grad_(was[2])
        model.train(was[0]).to(was[1])
    return journal.result


def _loop(model, tokenizer, data, loss, options, validation, accelerator, journal, save_every, progress) -> None:
    plan = _batches(tokenizer, data, options["batch_size"])
    per_epoch = -(-len(plan) // accelerator.num_processes)
    total, result, step = per_epoch * options["epochs"], journal.result, 0
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options["learning_rate"], weight_decay=0.01)
    rise = max(1, total // 10)
    journal.restore(model, optimizer)
    done, began = result.steps, time.perf_counter() - result.seconds
    bar = tqdm(total=total, initial=done, desc="training", disable=not (progress and accelerator.is_main_process))
    for epoch in range(options["epochs"]):
        order = list(range(len(plan)))
        random.Random(options["seed"] + epoch).shuffle(order)
        order = (order * 2)[:per_epoch * accelerator.num_processes][accelerator.process_index::accelerator.num_processes]
        if journal.stopped or step + len(order) < done or (step + len(order) == done and len(result.losses) > epoch):
            step += len(order)
            continue                                                     # this epoch was finished before
        for place in order:
            step += 1
            if step <= done:
                continue
            rate = min(step / rise, (total - step + 1) / max(1, total - rise + 1))
            for group in optimizer.param_groups:
                group["lr"] = options["learning_rate"] * rate
            batch = {k: v.to(accelerator.device) for k, v in plan[place].items()}
            model.train()
            with torch.random.fork_rng(devices=[]):                      # a step's dropout depends on its number alone
                torch.manual_seed(options["seed"] * 1_000_003 + step)
                value = loss(batch)
                optimizer.zero_grad()
                value.backward()
            _average(trained, accelerator)
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            journal.running.append(value.item())
            result.steps, result.seconds = step, time.perf_counter() - began
            bar.update(1), bar.set_postfix_str(f"loss {value.item():.3f}")
            if step % save_every == 0:
                journal.write(model, optimizer)
        result.losses.append(sum(journal.running) / max(1, len(journal.running)))
        journal.running = []
        if validation is not None:
            result.accuracies.append(evaluate(model, tokenizer, validation).accuracy)
            journal.note_best(model, options["patience"])
        result.seconds = time.perf_counter() - began
        journal.write(model, optimizer)
    bar.close()
    if journal.best:
        model.load_state_dict(journal.best, strict=False)


def _average(parameters: list, accelerator) -> None:
    """The same gradients in every process: their mean."""
    if accelerator.num_processes > 1:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad = accelerator.reduce(parameter.grad, "mean")


def _batches(tokenizer, data: Intents, size: int) -> list[dict]:
    """Batches of sentences of like length, so that little is padding."""
    order = sorted(range(len(data)), key=lambda i: len(data.sentences[i]))
    return list(data.subset(order).batches(tokenizer, size))


def _digest(data: Intents) -> str:
    return hashlib.sha256(json.dumps([data.sentences, data.labels], ensure_ascii=False).encode()).hexdigest()[:16]


class _Journal:
    """The state of a training, in one safetensors file if there is a folder: weights, Adam's moments, best weights, history."""

    def __init__(self, folder, model, settings: dict, writes: bool):
        self.file, self.writes = folder and Path(folder) / "training.safetensors", writes
        self.result, self.running, self.best, self.stopped, self.tensors = Training(), [], {}, False, {}
        if not folder:
            return
        start = hashlib.sha256(b"".join(p.detach().cpu().float().sum().numpy().tobytes() for p in model.parameters())).hexdigest()
        self.settings = json.dumps({**settings, "start": start[:16]}, sort_keys=True)
        Path(folder).mkdir(parents=True, exist_ok=True)
        if not self.file.exists():
            return
        with safe_open(self.file, "pt") as stored:
            known = stored.metadata()
            if known["settings"] != self.settings:
                raise ValueError(f"folder: {str(folder)!r} is of a training with other data, model or options: name a new folder")
            self.tensors = {name: stored.get_tensor(name) for name in stored.keys()}
        history = json.loads(known["history"])
        self.result = Training(history["losses"], history["accuracies"], history["steps"], history["seconds"])
        self.running, self.stopped = history["running"], history["stopped"]
        self.best = {name[5:]: t for name, t in self.tensors.items() if name.startswith("best.")}

    def restore(self, model, optimizer) -> None:
        if not self.tensors:
            return
        part = lambda kind: {n[len(kind):]: t for n, t in self.tensors.items() if n.startswith(kind)}
        model.load_state_dict(part("model."), strict=False)
        state = {}
        for name, tensor in part("adam.").items():
            i, key = name.split(".")
            state.setdefault(int(i), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.tensors = {}

    def note_best(self, model, patience: int | None) -> None:
        best = max(range(len(self.result.accuracies)), key=self.result.accuracies.__getitem__)
        if best == len(self.result.accuracies) - 1:
            self.best = {k: v.detach().cpu().clone() for k, v in _own(model).items()}
        self.stopped = patience is not None and len(self.result.accuracies) - 1 - best >= patience

    def write(self, model, optimizer) -> None:
        if not self.file or not self.writes:
            return
        adam = {f"adam.{i}.{key}": value for i, values in optimizer.state_dict()["state"].items() for key, value in values.items()}
        tensors = {f"model.{k}": v for k, v in _own(model).items()} | adam | {f"best.{k}": v for k, v in self.best.items()}
        history = dict(losses=self.result.losses, accuracies=self.result.accuracies, steps=self.result.steps,
                       seconds=self.result.seconds, running=self.running, stopped=self.stopped)
        fresh = self.file.with_suffix(".part")
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, fresh,
                  {"settings": self.settings, "history": json.dumps(history)})
        os.replace(fresh, self.file)


def _own(model) -> dict[str, Tensor]:
    """The weights, without buffers, each tied one once."""
    return dict(model.named_parameters())
