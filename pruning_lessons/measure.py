"""What a model gets right, how large it is, and how long it takes."""
import time
from dataclasses import dataclass

import torch

from .data import Intents
from .models import head_size, heads_per_layer, layers_of, neurons_per_layer
from .tables import Table, table


@dataclass(repr=False)
class Evaluation(Table):
    """Share of right answers (0 to 1): over all sentences, and by language; `n` sentences."""

    accuracy: float
    by_language: dict[str, float]
    n: int

    def rows(self):
        yield ("language", "accuracy")
        yield from ((language, f"{share:.1%}") for language, share in sorted(self.by_language.items()))
        yield (f"all {self.n} sentences", f"{self.accuracy:.1%}")


@torch.inference_mode()
def evaluate(model, tokenizer, data: Intents, batch_size: int = 64) -> Evaluation:
    """How many of the sentences the model classifies right. Raises `ValueError` if data or model do not fit.

    `model` may be an `OnnxClassifier`, too; it has a tokenizer of its own, and `tokenizer` is not used.
    """
    if not len(data):
        raise ValueError("data: has no sentences")
    if hasattr(model, "session"):
        return _evaluate_onnx(model, data, batch_size)
    labels = getattr(model.config, "num_labels", None)
    if not hasattr(model, "classifier") or labels != len(data.label_names):
        raise ValueError(f"model: has {labels} labels and is a {type(model).__name__}, "
                         f"must be a classifier with the data's {len(data.label_names)} labels (task='intents')")
    # Sentences of like length share a batch: less padding, same answers.
    data = data.by_length()
    device, training, right = next(model.parameters()).device, model.training, []
    model.eval()
    try:
        for batch in data.batches(tokenizer, batch_size):
            logits = model(batch["input_ids"].to(device), attention_mask=batch["attention_mask"].to(device)).logits
            right += (logits.argmax(-1).cpu() == batch["labels"]).tolist()        # logits: (batch, labels)
    finally:
        model.train(training)
    return _evaluation(right, data)


def _evaluate_onnx(classifier, data: Intents, batch_size: int) -> Evaluation:
    if classifier.labels != data.label_names:
        raise ValueError(f"model: its {len(classifier.labels)} labels are not the data's {len(data.label_names)}")
    data, right = data.by_length(), []
    for start in range(0, len(data), batch_size):
        found = classifier.logits(data.sentences[start:start + batch_size]).argmax(1)
        right += [int(f) == label for f, label in zip(found, data.labels[start:])]
    return _evaluation(right, data)


def _evaluation(right: list[bool], data: Intents) -> Evaluation:
    by_language = {}
    for language in dict.fromkeys(data.languages):
        hits = [hit for hit, other in zip(right, data.languages) if other == language]
        by_language[language] = sum(hits) / len(hits)
    return Evaluation(sum(right) / len(right), by_language, len(right))


@dataclass(repr=False)
class Summary(Table):
    """Sizes of a model. `parts` maps a component to (parameters, MACs for one sentence of `length` tokens)."""

    parts: dict[str, tuple[int, int]]
    heads: list[int]
    neurons: list[int]
    bytes: int
    length: int
    shapes: dict[str, tuple[int, ...]]

    @property
    def parameters(self) -> int:
        return sum(parameters for parameters, _ in self.parts.values())

    @property
    def macs(self) -> int:
        return sum(macs for _, macs in self.parts.values())

    def rows(self):
        yield ("component", "parameters", "share", f"MACs ({self.length} tokens)")
        for name, (parameters, macs) in self.parts.items():
            yield (name, f"{parameters:,}", f"{parameters / self.parameters:.0%}", f"{macs:,}")
        yield (f"all, {self.bytes / 1e6:.1f} MB", f"{self.parameters:,}", "100%", f"{self.macs:,}")

    def layers(self) -> Table:
        """Heads and neurons of every layer, with the shapes of its weights, as a table."""
        lines = [("layer", "heads", "neurons", "query, key, value", "attention output", "feed-forward in", "feed-forward out")]
        for i, (heads, neurons) in enumerate(zip(self.heads, self.neurons)):
            shape = lambda name: " × ".join(map(str, self.shapes[f"{i}.{name}.weight"]))
            lines.append((i, heads, neurons, shape("attention.self.query"), shape("attention.output.dense"),
                          shape("intermediate.dense"), shape("output.dense")))
        return table(lines)


def summary(model, length: int = 24) -> Summary:
    """Parameters, multiply-accumulates (MACs) and bytes of a model, by component.

    MACs are those of one sentence of `length` (T) tokens, matrix products only: a head costs
    4·T·d·d_h + 2·T²·d_h, a neuron 2·T·d (Kwon et al. 2022, section 4.1); looking up embeddings costs none.
    """
    d, size, T = model.config.hidden_size, head_size(model), length
    heads, neurons = heads_per_layer(model), neurons_per_layer(model)
    kinds = {"word embeddings": "word_embeddings", "other embeddings": "embeddings.", "attention": ".attention.",
             "feed-forward": "encoder.layer.", "task head": ""}
    sizes = dict.fromkeys(kinds, 0)
    for name, parameter in model.named_parameters():
        sizes[next(kind for kind, part in kinds.items() if part in name)] += parameter.numel()
    macs = dict.fromkeys(kinds, 0)
    macs["attention"] = sum(heads) * (4 * T * d * size + 2 * T * T * size)
    macs["feed-forward"] = sum(neurons) * 2 * T * d
    if hasattr(model, "classifier"):
        macs["task head"] = d * d + d * model.config.num_labels        # it reads the first token only
    elif hasattr(model, "lm_head"):
        macs["task head"] = T * d * (d + model.config.vocab_size)
    elif getattr(model, "pooler", None) is not None:
        macs["task head"] = d * d
    n_bytes = sum(p.numel() * p.element_size() for p in model.parameters())
    shapes = {name: tuple(p.shape) for name, p in layers_of(model).named_parameters()}
    return Summary({kind: (sizes[kind], macs[kind]) for kind in kinds}, heads, neurons, n_bytes, T, shapes)


@dataclass(repr=False)
class Latency(Table):
    """Milliseconds a forward pass: per model the median and the quartiles; `ratio` is the first median over its own."""

    median: dict[str, float]
    quartiles: dict[str, tuple[float, float]]
    ratio: dict[str, float]
    setting: str

    def rows(self):
        yield ("model", "median ms", "middle half", "times as fast as the first")
        for name, ms in self.median.items():
            low, high = self.quartiles[name]
            yield (name, f"{ms:.1f}", f"{low:.1f} to {high:.1f}", f"{self.ratio[name]:.2f}")
        yield (self.setting, "", "", "")


@torch.inference_mode()
def latency(models, batch_size: int = 1, length: int = 24, threads: int | None = None, repeats: int = 30,
            warm_up: int = 10) -> Latency:
    """Time the forward pass of one model, or of several in a dict, in turns on the same random tokens.

    The models take turns, so that a slow moment of the machine hits all alike. `threads`: how many CPU
    threads torch may use (as it is set now, if left out; restored afterwards). Tokenisation is not timed. An
    `OnnxClassifier` may be among the models; its threads are those that it was made with. Then every model runs twice a
    turn, and the second run counts: in the first one threads of the other runtime may still be waiting busily.
    """
    models = models if isinstance(models, dict) else {"model": models}
    if not models:
        raise ValueError("models: is empty, must be a model or a dict of them")
    pieces = [m.tokenizer.get_vocab_size() if hasattr(m, "session") else m.config.vocab_size for m in models.values()]
    ids = torch.randint(5, min(pieces), (batch_size, length), generator=torch.Generator().manual_seed(0))
    before, training = torch.get_num_threads(), {name: m.training for name, m in models.items() if not hasattr(m, "session")}
    times = {name: [] for name in models}
    mixed = any(hasattr(m, "session") for m in models.values())
    try:
        torch.set_num_threads(threads or before)
        for turn in range(warm_up + repeats):
            for name, model in models.items():
                ms = [_run(model, ids) for _ in range(1 + mixed)][-1]
                if turn >= warm_up:
                    times[name].append(ms)
    finally:
        torch.set_num_threads(before)
        for name, was in training.items():
            models[name].train(was)
    quantiles = {name: torch.tensor(ms).quantile(torch.tensor([0.25, 0.5, 0.75])).tolist() for name, ms in times.items()}
    median = {name: q[1] for name, q in quantiles.items()}
    first = next(iter(median.values()))
    return Latency(median, {name: (q[0], q[2]) for name, q in quantiles.items()},
                   {name: first / ms for name, ms in median.items()},
                   f"batch {batch_size}, {length} tokens, {threads or before} threads, {repeats} runs")


def _run(model, ids: torch.Tensor) -> float:
    """Milliseconds of one forward pass on ids (batch, T)."""
    if hasattr(model, "session"):                                        # an OnnxClassifier
        feed = ids.numpy(), torch.ones_like(ids).numpy()
        start = time.perf_counter()
        model.run(*feed)
        return 1000 * (time.perf_counter() - start)
    device = next(model.parameters()).device
    ids = ids.to(device)
    model.eval()
    _wait(device)
    start = time.perf_counter()
    model(ids, attention_mask=torch.ones_like(ids))
    _wait(device)
    return 1000 * (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
