"""Scores of models on the same texts, and what of their differences is noise."""

from argparse import Namespace
from math import isnan, sqrt

from tqdm.auto import tqdm

from ..measuring.scores import READINGS, answers_of, places_by_language
from ..models.tasks import task_of
from .split import in_order, keys_of

GROUPS = 20  # that are left out in turn, for standard errors
TINY = 1e-12  # scores that differ by less are equal


class _Watched:
    """Data with a progress bar over its batches."""

    def __init__(self, data, name: str, progress: bool):
        self.data, self.name, self.progress = data, name, progress

    def __len__(self) -> int:
        return len(self.data)

    def __getattr__(self, name: str):
        return getattr(self.data, name)

    def batches(self, tokenizer, batch_size: int, max_length: int | None = None):
        total = -(-len(self.data) // batch_size)
        bar = tqdm(total=total, desc=self.name, disable=not self.progress, leave=False)
        with bar:
            for batch in self.data.batches(tokenizer, batch_size, max_length):
                yield batch
                bar.update(1)


class Ruler:
    """Scores of models on the same texts, against their labels or, without them, the whole model.

    `measure` gives the scores by name, the main one by language, and the main one without each of
    20 groups of texts: what a difference is worth follows from these (`difference`).
    """

    def __init__(self, name: str, data, whole, tokenizer, agreement: bool, options: Namespace):
        self.name, self.tokenizer, self.options = name, tokenizer, options
        self.data = data.by_length()
        self.task, self.whole, self.agreement = task_of(whole).name, whole, agreement
        self.reading = READINGS[self.task]
        keys = keys_of(self.data)
        order = in_order(keys, options.seed)
        self.count = min(GROUPS, len(order))
        group = {key: i % self.count for i, key in enumerate(order)}
        self.groups = [group[key] for key in keys]
        self._reference = None

    def measure(self, model, batch_size: int | None = None) -> dict:
        """model: in PyTorch, or an `OnnxModel`."""
        found, right = self._answers(model, batch_size or self.options.batch_size)
        if self.agreement:
            right = self._whole_answers()
        right = self.reading.right(self.data, right)
        judges = self.reading.judges
        if self.agreement:
            judges = self.reading.agreement or judges
        scores = {name: judge(found, right, self.data) for name, judge in judges.items()}
        scores = {name: float(score) for name, score in scores.items() if score is not None}
        main = judges[next(iter(scores))]
        part = lambda places: main(
            [found[i] for i in places], [right[i] for i in places], self.data.subset(places)
        )
        rows = range(len(self.data))
        languages = places_by_language(self.data)
        return {
            "score": next(iter(scores.values())),
            "scores": scores,
            "by_language": {name: part(places) for name, places in sorted(languages.items())},
            "left_out": [part([i for i in rows if self.groups[i] != g]) for g in range(self.count)],
        }

    def _answers(self, model, batch_size: int) -> tuple[list, list | None]:
        watched = _Watched(self.data, f"{self.name} texts", not self.options.quiet)
        return answers_of(model, self.reading, self.tokenizer, watched, batch_size)

    def _whole_answers(self) -> list:
        if self._reference is None:
            answers, _ = self._answers(self.whole, self.options.batch_size)
            self._reference = [self.reading.as_right(answer) for answer in answers]
        return self._reference


def difference(one: dict, other: dict) -> dict[str, float]:
    """The other's score less the first's, in points (hundredths), and its standard error.

    The grouped jackknife (Quenouille 1956; Tukey 1958): the error of a difference on the same texts
    from how it moves when a twentieth of them is left out.
    """
    moved = [b - a for a, b in zip(one["left_out"], other["left_out"])]
    mean, n = sum(moved) / len(moved), len(moved)
    error = sqrt((n - 1) / n * sum((d - mean) ** 2 for d in moved))
    return {"points": 100 * (other["score"] - one["score"]), "error": 100 * error}


def better(one: dict, other: dict) -> bool:
    """Whether the other's score is at least as good; one that is no number never is."""
    return not isnan(other["score"]) and not other["score"] < one["score"]


def choose(whole: dict, sizes: list[dict], points: float) -> tuple[dict, bool]:
    """(the smallest model that loses at most so many points, True); the best, False if there is
    none. sizes: in falling order of MACs.
    """
    floor = whole["score"] - points / 100 - TINY
    allowed = [size for size in sizes if size["best"]["score"] >= floor]
    if allowed:
        return allowed[-1], True
    score = lambda size: -2 if isnan(size["best"]["score"]) else size["best"]["score"]
    return max(reversed(sizes), key=score), False
