"""How long a model takes."""

import time
from dataclasses import dataclass

import torch

from ..models.anatomy import PLAINLY, longest
from ..models.checks import arguments, encoder, whole
from ..models.state import at_rest
from ..models.tasks import task_of
from .tables import Table


@dataclass(repr=False)
class Latency(Table):
    """Milliseconds a forward pass: per model the median and the quartiles; `ratio` is the first
    median over its own.
    """

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
@arguments(
    batch_size=whole(), length=whole(), threads=whole(), repeats=whole(), warm_up=whole(least=0)
)
def latency(
    models,
    batch_size: int = 1,
    length: int = 24,
    threads: int | None = None,
    repeats: int = 30,
    warm_up: int = 10,
) -> Latency:
    """Time the forward pass of one model, or of several in a dict, in turns on the same random
    tokens.

    The models take turns, so that a slow moment of the machine hits all alike. `threads`: how many
    CPU threads torch may use (as it is set now, if left out; restored afterwards). Tokenisation is
    not timed. An `OnnxModel` may be among the models; its threads are those that it was made
    with. Then every model runs twice a turn, and the second run counts: in the first one threads of
    the other runtime may still be waiting busily.
    """
    models = models if isinstance(models, dict) else {"model": models}
    if not models:
        raise ValueError("models: is empty, must be a model or a dict of them")
    for model in models.values():
        if not hasattr(model, "session"):
            task_of(encoder("models", model))
    most = min(m.max_length if hasattr(m, "session") else longest(m) for m in models.values())
    whole(most=most)("length", length)
    pieces = [
        m.tokenizer.get_vocab_size() if hasattr(m, "session") else m.config.vocab_size
        for m in models.values()
    ]
    ids = torch.randint(
        5, min(pieces), (batch_size, length), generator=torch.Generator().manual_seed(0)
    )
    before, plain = (
        torch.get_num_threads(),
        [m for m in models.values() if not hasattr(m, "session")],
    )
    times = {name: [] for name in models}
    mixed = any(hasattr(m, "session") for m in models.values())
    try:
        torch.set_num_threads(threads or before)
        with at_rest(*plain):
            for turn in range(warm_up + repeats):
                for name, model in models.items():
                    ms = [_run(model, ids) for _ in range(1 + mixed)][-1]
                    if turn >= warm_up:
                        times[name].append(ms)
    finally:
        torch.set_num_threads(before)
    quantiles = {
        name: torch.tensor(ms).quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
        for name, ms in times.items()
    }
    median = {name: q[1] for name, q in quantiles.items()}
    first = next(iter(median.values()))
    return Latency(
        median,
        {name: (q[0], q[2]) for name, q in quantiles.items()},
        {name: first / ms for name, ms in median.items()},
        f"batch {batch_size}, {length} tokens, {threads or before} threads, {repeats} runs",
    )


def _run(model, ids: torch.Tensor) -> float:
    """Milliseconds of one forward pass on ids (batch, T)."""
    if hasattr(model, "session"):  # an OnnxModel
        feed = ids.numpy(), torch.ones_like(ids).numpy()
        start = time.perf_counter()
        model.run(*feed)
        return 1000 * (time.perf_counter() - start)
    device = next(model.parameters()).device
    ids = ids.to(device)
    _wait(device)
    start = time.perf_counter()
    model(ids, attention_mask=torch.ones_like(ids), **PLAINLY)
    _wait(device)
    return 1000 * (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
