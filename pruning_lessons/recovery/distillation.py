"""Recover by distillation: a student learns to answer as the unpruned model does."""

from collections.abc import Iterator
from numbers import Integral
from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from ..measuring.data import Texts
from ..measuring.scores import fitting
from ..models.anatomy import kept_layers, layers_of, longest
from ..models.batches import as_batch
from ..models.checks import arguments, encoder, number, share, whole
from ..models.state import at_rest
from ..models.tasks import check_partners, outputs, task_of
from .teacher import Teacher, at, real_tokens, states_of
from .training import Training, labelled, train

SAMPLE = 256  # sentences that tell how much the teacher's hidden states vary


@arguments(student=encoder, teacher=encoder, epochs=whole(), cache=whole(0))
def distill(
    student,
    teacher,
    tokenizer,
    data: Texts,
    temperature: float = 2.0,
    alpha: float | None = None,
    hidden: float = 1.0,
    layer_map: dict[int, int] | None = None,
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
    cache: int = 2**30,
) -> Training:
    """Train `student` in place to answer as `teacher` does; options as in `fine_tune`.

    The loss is alpha · loss(labels) + (1 - alpha) · T² · divergence(teacher, student) with both
    softened by the temperature T (Hinton, Vinyals, Dean 2015, section 2), plus `hidden` times the
    mean over `layer_map` {student's layer: teacher's layer} of

        mean squared difference of hidden states at real tokens / variance of the teacher's there.

    The difference is that of TinyBERT (Jiao et al. 2020, section 3), without a projection, for
    widths agree, over a map as in CoFi (Xia et al. 2022, section 3.2). Dividing it is our own: with
    it 1 means an error as large as the teacher's states vary, in every layer and every model. The
    variance is around each coordinate's mean, over the tokens of 256 sentences.

    By default a student's layer is held against the last of the teacher's layers that come before
    the next one that it kept, and its last against the teacher's last. Loss and divergence are
    those of the task: cross-entropy and KL for classes, 1 - cos for vectors. alpha is 0.5 if left
    out, and 0 where there are no labels: none are needed.

    cache: the most bytes for what the teacher said, which is kept from the first epoch for the
    later ones: its outputs, and its hidden states in float16. Batches that do not fit are put to
    the teacher in each epoch; it makes no difference to the result. 0 keeps nothing. Each process
    keeps its own.

    Raises also `ValueError` for a temperature that is not above 0, weights out of range, a map out
    of range, and models that do not answer the same question about the same words.
    """
    count, n = len(layers_of(student)), len(layers_of(teacher))
    if layer_map is None:
        layer_map = _layer_map(student, teacher)
    temperature, hidden = number("temperature", temperature, above=True), number("hidden", hidden)
    alpha = None if alpha is None else share("alpha", alpha)
    if student is teacher:
        raise ValueError("student: is the teacher itself, must be another model")
    check_partners(student, teacher, "student", "teacher")
    task, data = task_of(student), fitting(data, student)
    if alpha is None:
        alpha = 0.5 if labelled(data, task) else 0.0
    if alpha and not labelled(data, task):
        raise ValueError(f"alpha: is {alpha}, must be 0 or None where data have no labels")
    pairs = layer_map.items() if isinstance(layer_map, dict) else [(None, None)]
    inside = lambda i, most: isinstance(i, Integral) and 0 <= i < most
    if not all(inside(s, count) and inside(t, n) for s, t in pairs):
        raise ValueError(f"layer_map: is {layer_map}, must map from 0..{count - 1} to 0..{n - 1}")

    held = layer_map if hidden else {}
    sample = lambda: _sample(student, tokenizer, data)
    limit = cache if epochs > 1 else 0  # no batch comes twice in one
    guide = Teacher(teacher, held.values(), alpha < 1, sample, limit)

    def loss(batch: dict, place: int) -> Tensor:
        wanted, theirs = guide.ask(place, batch)
        with states_of(student, held) as mine:
            out = outputs(student, batch)
        parts = []
        if alpha < 1:
            parts.append((1 - alpha) * task.soft_loss(wanted, out, temperature))
        if alpha:
            parts.append(alpha * task.loss(out, task.targets(batch, out)))
        tokens = real_tokens(batch)
        for s, t in held.items():
            state = at(mine[s], tokens)
            gap = F.mse_loss(state, theirs[t].to(state.dtype)) / guide.variance[t]
            parts.append(hidden / len(held) * gap)
        return sum(parts)

    options = dict(
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        patience=patience,
        freeze_embeddings=freeze_embeddings,
        seed=seed,
        temperature=temperature,
        alpha=alpha,
        hidden=hidden,
        layer_map=sorted(layer_map.items()),
    )
    device = next(teacher.parameters()).device
    try:
        with at_rest(teacher, gradients=True):
            return train(
                student,
                tokenizer,
                data,
                loss,
                options,
                validation,
                folder,
                save_every,
                progress,
                teacher,
            )
    finally:
        teacher.to(device)


def _layer_map(student, teacher) -> dict[int, int]:
    """Each of the student's layers with the teacher's last before the next that it kept; spread
    evenly, if it was not cut from the teacher.
    """
    mine, theirs = kept_layers(student), kept_layers(teacher)
    if not theirs:
        return {}
    if set(mine) <= set(theirs):
        ends = [theirs.index(place) - 1 for place in mine[1:]] + [len(theirs) - 1] * bool(mine)
    else:
        ends = [max(0, (i + 1) * len(theirs) // len(mine) - 1) for i in range(len(mine))]
    return dict(enumerate(ends))


def _sample(model, tokenizer, data: Texts) -> Iterator[dict]:
    """Batches of some sentences, short and long ones: the same whatever the training's batches."""
    n = min(SAMPLE, len(data))
    some = data.by_length().subset([i * len(data) // n for i in range(n)])
    for place, batch in enumerate(some.batches(tokenizer, 32, longest(model))):
        yield as_batch(model, batch, place)
