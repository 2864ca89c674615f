"""What a model gets right, how large it is, and how long it takes."""

from dataclasses import dataclass

import torch

from .data import Intents
from .tables import Table


@dataclass(repr=False)
class Evaluation(Table):
    """Share of right answers (0 to 1): over all sentences, and by language; `n` sentences."""

    accuracy: float
    by_language: dict[str, float]
    n: int

    def rows(self):
        yield ("language", "accuracy")
        yield from (
            (language, f"{share:.1%}") for language, share in sorted(self.by_language.items())
        )
        yield (f"all {self.n} sentences", f"{self.accuracy:.1%}")


@torch.inference_mode()
def evaluate(model, tokenizer, data: Intents, batch_size: int = 64) -> Evaluation:
    """How many of the sentences the model classifies right. Raises `ValueError` if data or model do
    not fit.

    `model` may be an `OnnxClassifier`, too; it has a tokenizer of its own, and `tokenizer` is not
    used.
    """
    if not len(data):
        raise ValueError("data: has no sentences")
    if hasattr(model, "session"):
        return _evaluate_onnx(model, data, batch_size)
    labels = getattr(model.config, "num_labels", None)
    if not hasattr(model, "classifier") or labels != len(data.label_names):
        raise ValueError(
            f"model: has {labels} labels and is a {type(model).__name__}, "
            f"must be a classifier with the data's {len(data.label_names)} labels (task='intents')"
        )
    # Sentences of like length share a batch: less padding, same answers.
    data = data.by_length()
    device, training, right = next(model.parameters()).device, model.training, []
    model.eval()
    try:
        for batch in data.batches(tokenizer, batch_size):
            logits = model(
                batch["input_ids"].to(device), attention_mask=batch["attention_mask"].to(device)
            ).logits
            right += (
                logits.argmax(-1).cpu() == batch["labels"]
            ).tolist()  # logits: (batch, labels)
    finally:
        model.train(training)
    return _evaluation(right, data)


def _evaluate_onnx(classifier, data: Intents, batch_size: int) -> Evaluation:
    if classifier.labels != data.label_names:
        raise ValueError(
            f"model: its {len(classifier.labels)} labels are not the data's {len(data.label_names)}"
        )
    data, right = data.by_length(), []
    for start in range(0, len(data), batch_size):
        found = classifier.logits(data.sentences[start : start + batch_size]).argmax(1)
        right += [int(f) == label for f, label in zip(found, data.labels[start:])]
    return _evaluation(right, data)


def _evaluation(right: list[bool], data: Intents) -> Evaluation:
    by_language = {}
    for language in dict.fromkeys(data.languages):
        hits = [hit for hit, other in zip(right, data.languages) if other == language]
        by_language[language] = sum(hits) / len(hits)
    return Evaluation(sum(right) / len(right), by_language, len(right))
