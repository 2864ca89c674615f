"""Tasks: a head on the encoder, and the distribution that its output describes.

From the distribution follow the loss on labels, targets drawn from the model itself (so that scores
need no labels), the divergence of one model's answers from another's, and the distillation loss.
Whatever scores, repairs, trains or exports asks the task and knows none by its name.

Shapes: B examples, T tokens, d hidden size, C classes, V pieces; N rows: one an example, or, where
each token has an answer, one for every token that counts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .anatomy import PLAINLY, inputs_of, layers_of
from .families import PRUNED_CLASS

IGNORED = -100  # the label of what does not count, as in transformers
NOWHERE = -1e9  # the logit of a place where no answer can be: no share of the softmax


class Categorical:
    """Exclusive classes. out: logits (..., K); targets: classes (...), `IGNORED` where none is."""

    noise, discrete = "uniform", True

    def shape(self, out: Tensor) -> torch.Size:
        """The shape of targets."""
        return out.shape[:-1]

    def wrong(self, out: Tensor, targets: Tensor) -> str | None:
        """What is wrong with targets of the right shape, in words; None if nothing is."""
        if targets.is_floating_point():
            return f"are {targets.dtype}, must be whole numbers (classes)"
        known = targets[targets != IGNORED]
        if known.numel() and int(known.max()) >= out.shape[-1]:
            return f"go up to {int(known.max())}, the model has {out.shape[-1]} classes"
        if known.numel() and int(known.min()) < 0:
            return f"go down to {int(known.min())}, must be at least 0, or {IGNORED} to be left out"
        return None

    def nll(self, out: Tensor, targets: Tensor) -> Tensor:
        """-log p of the targets: (...); 0 where they are ignored."""
        flat = F.cross_entropy(
            out.flatten(0, -2), targets.flatten(), reduction="none", ignore_index=IGNORED
        )
        return flat.view(targets.shape)

    def draw(self, out: Tensor, noise: Tensor) -> Tensor:
        """Targets (...) with the probabilities that `out` gives; noise: uniform (...)."""
        shares = out.double().softmax(-1).cumsum(-1)
        return (shares < noise[..., None]).sum(-1).clamp(max=out.shape[-1] - 1)

    def divergence(self, theirs: Tensor, mine: Tensor) -> Tensor:
        """KL(theirs ‖ mine): (...)."""
        mine, theirs = mine.log_softmax(-1), theirs.log_softmax(-1)
        return F.kl_div(mine, theirs, log_target=True, reduction="none").sum(-1)

    def answer(self, out: Tensor) -> Tensor:
        """The likeliest class: (...)."""
        return out.argmax(-1)


class Bernoulli:
    """Independent labels. out: their logits (...); targets: 0 or 1 (...)."""

    noise, discrete = "uniform", True

    def shape(self, out: Tensor) -> torch.Size:
        return out.shape

    def wrong(self, out: Tensor, targets: Tensor) -> str | None:
        return None if ((targets >= 0) & (targets <= 1)).all() else "must be from 0 to 1"

    def nll(self, out: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(out, targets.to(out.dtype), reduction="none")

    def draw(self, out: Tensor, noise: Tensor) -> Tensor:
        return (noise < out.double().sigmoid()).to(out.dtype)

    def divergence(self, theirs: Tensor, mine: Tensor) -> Tensor:
        """KL of each label: (...); log(1 - p) is log p of the opposite logit."""
        yes = F.logsigmoid(theirs) - F.logsigmoid(mine)
        no = F.logsigmoid(-theirs) - F.logsigmoid(-mine)
        return theirs.sigmoid() * yes + (-theirs).sigmoid() * no

    def answer(self, out: Tensor) -> Tensor:
        """1 where a label is likelier than not: (...)."""
        return (out > 0).long()


@dataclass(frozen=True)
class Gaussian:
    """Numbers with a known variance. out: their means (...); targets: numbers (...).

    On unit vectors u, v with variance 1 the divergence, summed over a vector, is 1 - cos(u, v).
    """

    variance: float = 0.5  # with it -log p is the squared error, and nothing else
    noise, discrete = "normal", False

    def shape(self, out: Tensor) -> torch.Size:
        return out.shape

    def wrong(self, out: Tensor, targets: Tensor) -> str | None:
        return None if targets.isfinite().all() else "must be finite numbers"

    def nll(self, out: Tensor, targets: Tensor) -> Tensor:
        """-log p without the part that depends on the variance alone: (...)."""
        return (out - targets.to(out.dtype)).square() / (2 * self.variance)

    def draw(self, out: Tensor, noise: Tensor) -> Tensor:
        return out.detach() + self.variance**0.5 * noise.to(out.dtype)

    def divergence(self, theirs: Tensor, mine: Tensor) -> Tensor:
        return (theirs - mine).square() / (2 * self.variance)

    def answer(self, out: Tensor) -> Tensor:
        return out


@dataclass(frozen=True)
class Task:
    """A head and its distribution.

    kind: the end of its transformers classes' names. scores: names of the scores that tell how good
    answers are, the main one first. per_token: whether each token has an answer. head: from hidden
    states (B, T, d), and where an answer is wanted (B, T) bool, to the distribution's parameters.
    labels: the kind that data have for it; also: other kinds that it can be measured on.
    """

    name: str
    kind: str
    distribution: Categorical | Bernoulli | Gaussian
    scores: tuple[str, ...]
    head: Callable[[torch.nn.Module, Tensor, Tensor], Tensor]
    labels: str = ""
    also: tuple[str, ...] = ()
    per_token: bool = False
    needs_labels: bool = True

    def where(self, batch: dict) -> Tensor:
        """Where an answer counts, (B, T) bool: `counts`, else labelled tokens, else real tokens."""
        if batch.get("counts") is not None:
            return batch["counts"].bool()
        if self.per_token and batch.get("labels") is not None:
            self._check_shape(batch["labels"], batch["input_ids"].shape)
            return batch["labels"] != IGNORED
        return batch["attention_mask"].bool()

    def outputs(self, model, hidden: Tensor, batch: dict) -> Tensor:
        """The distribution's parameters from the last hidden states (B, T, d), row by row: N first.

        Classes (N, C), labels (N, C), numbers (N, C), answers' first and last place (N, 2, T),
        pieces (N, V), unit vectors (N, d).
        """
        return self.head(model, hidden, self.where(batch).to(hidden.device))

    def reads(self, model, batch: dict) -> Tensor:
        """Whose last hidden states the head reads, (B, T) bool: all real tokens, or `<s>` alone."""
        real = batch["attention_mask"].bool()
        pools = getattr(model.config, "pooling", None) == "cls"
        if self.head is _text or self.head is _vector and pools:
            real = torch.zeros_like(real)
            real[:, 0] = True
        return real

    def rows(self, dense: Tensor, batch: dict) -> Tensor:
        """`outputs` from the output at every place (see `dense`)."""
        where = self.where(batch).to(dense.device)
        if self.per_token:
            return dense[where]
        if self.head is _places:
            return _only(dense, where)
        return F.normalize(dense, dim=-1) if self.head is _vector else dense

    def targets(self, batch: dict, out: Tensor) -> Tensor:
        """The batch's labels, row by row as `out`. `ValueError` if they are none of this task's."""
        labels = batch.get("labels")
        if labels is None:
            raise ValueError(f"batches: have no labels, task {self.name!r} needs them here")
        labels = labels.to(out.device)
        wanted = self.distribution.shape(out)
        if self.per_token:
            self._check_shape(labels, batch["input_ids"].shape)
            labels = labels[self.where(batch).to(labels.device)]
        elif labels.dim() == 1 and wanted == (len(labels), 1):
            labels = labels[:, None]  # one number an example
        self._check_shape(labels, wanted)
        wrong = self.distribution.wrong(out, labels) or self._misplaced(labels, batch)
        if wrong:
            raise ValueError(f"batches: labels {wrong} for task {self.name!r}")
        return labels if labels.is_floating_point() else labels.long()

    def _misplaced(self, labels: Tensor, batch: dict) -> str | None:
        if self.head is not _places:
            return None
        can = self.where(batch).to(labels.device).gather(1, labels.long().clamp(min=0))
        fits = (can | (labels == IGNORED)).all()
        return None if fits else f"stand where no answer can be, must be {IGNORED} there"

    def _check_shape(self, labels: Tensor, wanted: torch.Size) -> None:
        if labels.shape != wanted:
            raise ValueError(
                f"batches: labels have shape {tuple(labels.shape)}, must be {tuple(wanted)} "
                f"for task {self.name!r}"
            )

    def drawn(self, out: Tensor, batch: dict, seed: int, first: int) -> Tensor:
        """Targets drawn from the model's own distribution; the batch starts at example `first`.

        The random numbers belong to the example and the token: batches and padding change nothing.
        """
        B, T = batch["input_ids"].shape
        shape = (T,) if self.per_token else tuple(self.distribution.shape(out)[1:])
        rows = []
        for example in range(first, first + B):
            rng = np.random.default_rng([seed, example])
            uniform = self.distribution.noise == "uniform"
            rows.append(rng.random(shape) if uniform else rng.standard_normal(shape))
        noise = torch.from_numpy(np.asarray(rows))  # (B, *shape)
        if self.per_token:
            noise = noise[self.where(batch).cpu()]
        return self.distribution.draw(out.detach(), noise.to(out.device))

    def loss(self, out: Tensor, targets: Tensor) -> Tensor:
        """The mean over all answers that count, as transformers' own loss of this head: ()."""
        total = self.distribution.nll(out, targets).sum()
        return total / max(self.answers_in(targets), 1)

    @staticmethod
    def answers_in(targets: Tensor) -> int:
        """How many answers count."""
        return (
            int((targets != IGNORED).sum()) if not targets.is_floating_point() else targets.numel()
        )

    def divergence(self, theirs: Tensor, mine: Tensor) -> Tensor:
        """How far `mine` is from `theirs`, row by row: (N,).

        KL of classes, summed over labels or places; the squared error; 1 - cos of vectors.
        """
        rows = self.distribution.divergence(theirs, mine)
        return rows.flatten(1).sum(1) if rows.dim() > 1 else rows

    def soft_loss(self, theirs: Tensor, mine: Tensor, temperature: float) -> Tensor:
        """T²·mean divergence of both softened by the temperature: ().

        Hinton, Vinyals, Dean 2015, section 2. A Gaussian's does not depend on T.
        """
        soft = self.divergence(theirs / temperature, mine / temperature)
        return temperature**2 * soft.sum() / max(len(soft), 1)


def _text(model, hidden: Tensor, where: Tensor) -> Tensor:
    """(B, C). BERT pools outside the classifier, the others inside."""
    pooler = model.base_model.pooler
    return model.classifier(hidden if pooler is None else model.dropout(pooler(hidden)))


def _tokens(model, hidden: Tensor, where: Tensor) -> Tensor:
    """(N, C)."""
    return model.classifier(model.dropout(hidden[where]))


def _places(model, hidden: Tensor, where: Tensor) -> Tensor:
    """(B, 2, T): logits of the answer's first and last token; none where no answer can be."""
    logits = model.qa_outputs(hidden).transpose(1, 2)
    return _only(logits, where)


def _only(logits: Tensor, where: Tensor) -> Tensor:
    """Logits (B, 2, T) where an answer can be; half precision has no number like `NOWHERE`."""
    nowhere = max(NOWHERE, torch.finfo(logits.dtype).min / 2)
    return logits.masked_fill(~where[:, None], nowhere)


def _pieces(model, hidden: Tensor, where: Tensor) -> Tensor:
    """(N, V)."""
    head = model.lm_head if hasattr(model, "lm_head") else model.cls
    return head(hidden[where])


def _vector(model, hidden: Tensor, where: Tensor) -> Tensor:
    """(B, d), of length 1."""
    return F.normalize(pooled(model, hidden, where), dim=-1)


def pooled(model, hidden: Tensor, where: Tensor) -> Tensor:
    """The vector of each text as the checkpoint pools it, (B, d): the mean of tokens, or `<s>`."""
    if getattr(model.config, "pooling", "mean") == "cls":
        return hidden[:, 0]
    weight = where[..., None].to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)


_TEXTS = "ForSequenceClassification"
_TOKENS, _ANSWERS = "ForTokenClassification", "ForQuestionAnswering"
_PIECES = dict(labels="pieces", per_token=True)
_NONE = dict(labels="", also=("pairs", "numbers"), needs_labels=False)
TASKS = {
    task.name: task
    for task in (
        Task("classification", _TEXTS, Categorical(), ("accuracy",), _text, "classes"),
        Task("multi-label", _TEXTS, Bernoulli(), ("micro_f1",), _text, "several"),
        Task("regression", _TEXTS, Gaussian(), ("spearman",), _text, "numbers"),
        Task("tokens", _TOKENS, Categorical(), ("span_f1",), _tokens, "tags", per_token=True),
        Task("question-answering", _ANSWERS, Categorical(), ("f1",), _places, "answers"),
        Task("fill-mask", "ForMaskedLM", Categorical(), ("top_5",), _pieces, **_PIECES),
        Task("embedding", "Model", Gaussian(1.0), ("retrieval",), _vector, **_NONE),
    )
}


def task_of(model) -> Task:
    """What a model was trained for, from its class and its configuration.

    Raises `TypeError` for a model of another class than transformers' own (or ours, pruned): a head
    of one's own would be treated as something that it is not.
    """
    layers_of(model)
    plain = {ours: theirs for theirs, ours in PRUNED_CLASS.items()}.get(type(model), type(model))
    if plain not in PRUNED_CLASS:
        raise TypeError(
            f"model: is a {type(model).__name__}, must be one of "
            f"{', '.join(sorted(c.__name__ for c in PRUNED_CLASS))}"
        )
    return task_named(plain.__name__, model.config)


def task_named(architecture: str, config) -> Task:
    """The task of a transformers class, by its name and the configuration.

    Several labels at once and numbers share a class with exclusive classes; `problem_type` tells
    them apart, and without it one output is a number, as transformers has it.
    """
    kinds = [task for task in TASKS.values() if architecture.endswith(task.kind)]
    if not kinds:
        raise TypeError(
            f"model: is a {architecture}, must end in one of "
            f"{', '.join(dict.fromkeys(task.kind for task in TASKS.values()))}"
        )
    if len(kinds) == 1:
        return kinds[0]
    named = {
        "multi_label_classification": "multi-label",
        "regression": "regression",
        "single_label_classification": "classification",
    }
    alone = "regression" if config.num_labels == 1 else "classification"
    return TASKS[named.get(getattr(config, "problem_type", None), alone)]


def hidden_states(model, batch: dict) -> Tensor:
    """The last layer's hidden states, (B, T, d)."""
    return model.base_model(**inputs_of(model, batch), **PLAINLY).last_hidden_state


def outputs(model, batch: dict) -> Tensor:
    """The parameters of the model's distribution where answers count: see `Task.outputs`."""
    return task_of(model).outputs(model, hidden_states(model, batch), batch)


def finish(model, hidden: Tensor, batch: dict) -> Tensor:
    """`outputs` from the last layer's hidden states (B, T, d)."""
    return task_of(model).outputs(model, hidden, batch)


def dense(model, batch: dict) -> Tensor:
    """The output at every place: (B, C), (B, 2, T), (B, T, C), (B, T, V), or (B, d) as served."""
    hidden, task = hidden_states(model, batch), task_of(model)
    real = batch["attention_mask"].bool().to(hidden.device)
    if task.per_token:
        return task.head(model, hidden, torch.ones_like(real)).view(*real.shape, -1)
    if task.head is _places:
        return task.head(model, hidden, torch.ones_like(real))
    if task.head is _vector and not getattr(model.config, "normalize", True):
        return pooled(model, hidden, real)
    return task.head(model, hidden, real)


def check_partners(one, other, name: str, other_name: str) -> None:
    """`ValueError` unless two models that meet answer the same question about the same words.

    Compared by what they are: task, hidden size, vocabulary's size, labels by name and order.
    """
    facts = lambda model: {
        "task": task_of(model).name,
        "hidden size": model.config.hidden_size,
        "number of word pieces": model.config.vocab_size,
        "labels": labels_of(model),
    }
    for (what, mine), theirs in zip(facts(one).items(), facts(other).values()):
        if mine != theirs:
            raise ValueError(
                f"{name}: has {what} {_short(mine)}, must be that of {other_name}: {_short(theirs)}"
            )


def labels_of(model) -> list[str] | None:
    """The names of the labels in the order of the outputs; None where outputs have no names."""
    if task_of(model).kind not in (_TEXTS, "ForTokenClassification"):
        return None
    names = {int(i): str(name) for i, name in model.config.id2label.items()}
    return [names.get(i, f"LABEL_{i}") for i in range(model.config.num_labels)]


def check_labels(model) -> None:
    """`ValueError` unless outputs that have names have names of their own, for each one."""
    if labels_of(model) is None:
        return
    names = {int(i): str(name) for i, name in model.config.id2label.items()}
    if sorted(names) != list(range(len(names))) or len(set(names.values())) < len(names):
        raise ValueError(
            f"model: has the labels {dict(list(names.items())[:5])} in its config, must have "
            f"different names for 0 to {len(names) - 1} (id2label)"
        )


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + " …"
