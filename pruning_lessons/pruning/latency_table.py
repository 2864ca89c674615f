"""What heads and neurons cost in milliseconds: the prices of a time budget."""

from dataclasses import dataclass

from ..measuring.latency import latency
from ..measuring.tables import Table
from ..models.anatomy import heads_per_layer, layers_of, neurons_per_layer
from ..models.checks import arguments, encoder, whole
from ..models.masks import Masks
from .surgery import prune


@dataclass(repr=False)
class LatencyTable(Table):
    """Milliseconds of one layer's attention by number of heads, of its feed-forward part by width;
    `rest` is all else.
    """

    attention: dict[int, float]
    feed_forward: dict[int, float]
    rest: float
    setting: dict

    def rows(self):
        yield ("part", "units", "ms in one layer")
        yield from (("attention", n, f"{ms:.3f}") for n, ms in self.attention.items())
        yield from (("feed-forward", n, f"{ms:.3f}") for n, ms in self.feed_forward.items())
        yield ("embeddings, head", "", f"{self.rest:.3f}")

    def promise(self, masks: Masks) -> float:
        """The milliseconds that a model pruned with `masks` should take."""
        heads, neurons = (
            masks.heads[masks.layers].sum(1).tolist(),
            masks.neurons[masks.layers].sum(1).tolist(),
        )
        return (
            self.rest
            + sum(between(self.attention, n) for n in heads)
            + sum(between(self.feed_forward, n) for n in neurons)
        )

    def measured(self, model, masks: Masks) -> tuple[float, float]:
        """(promised, measured) milliseconds for `model` pruned with `masks`.

        Whole and pruned model are timed in turns, as the table was, and their ratio is applied to
        the table's time of the whole: that the machine is slower or faster than it was then does
        not count.
        """
        ratio = latency({"whole": model, "pruned": prune(model, masks)}, **self.setting).ratio[
            "pruned"
        ]
        return self.promise(masks), self.promise(Masks.keep_all(model)) / ratio


def between(points: dict[int, float], n: int) -> float:
    """Linear between measured points."""
    low = max(p for p in points if p <= n)
    high = min(p for p in points if p >= n)
    return (
        points[low]
        if low == high
        else points[low] + (points[high] - points[low]) * (n - low) / (high - low)
    )


@arguments(
    model=encoder,
    batch_size=whole(),
    length=whole(),
    threads=whole(),
    widths=whole(),
    repeats=whole(),
)
def latency_table(
    model,
    batch_size: int = 1,
    length: int = 24,
    threads: int | None = None,
    widths: int = 16,
    repeats: int = 30,
) -> LatencyTable:
    """Measure how long one layer takes, by its number of heads and by its number of neurons, zero
    included.

    All layers are cut alike, all such models are timed in turns, and differences between them are
    shared out over the layers (Kurtic et al. 2023, ZipLM, section 3.2, times single layers
    instead). Isotonic regression makes them monotone: fewer parts never cost more.
    """
    n, setting = (
        max(len(layers_of(model)), 1),
        dict(batch_size=batch_size, length=length, threads=threads),
    )
    most_heads, most_neurons = (
        max(heads_per_layer(model), default=0),
        max(neurons_per_layer(model), default=0),
    )
    head_points = sorted(
        {
            round(i * most_heads / min(12, max(most_heads, 1)))
            for i in range(min(12, most_heads) + 1)
        }
    )
    neuron_points = sorted(
        {8 * round(i * most_neurons / widths / 8) for i in range(widths)} | {most_neurons}
    )

    def cut(heads: int, neurons: int):
        masks = Masks.keep_all(model)
        masks.heads[:, heads:], masks.neurons[:, neurons:] = False, False
        small = prune(model, masks)
        # The largest part of so many models: the same for all of them, so there once.
        small.base_model.embeddings = model.base_model.embeddings
        return small

    # One part varies while the other is gone: a small whole shows small differences.
    models = {("a", h): cut(h, 0) for h in head_points} | {
        ("f", w): cut(0, w) for w in neuron_points if w
    }
    times = latency(models, repeats=repeats, **setting).median
    empty = times["a", 0]
    attention = _rising({h: (times["a", h] - empty) / n for h in head_points})
    feed_forward = _rising({0: 0.0} | {w: (times["f", w] - empty) / n for w in neuron_points if w})
    return LatencyTable(attention, feed_forward, empty, setting)


def _rising(points: dict[int, float]) -> dict[int, float]:
    """The rising curve nearest to the points by least squares; the first point is no time at all.

    Value i is the largest, over all starts up to i, of the smallest mean from there to an end not
    before i (isotonic regression by the max-min formula; Robertson, Wright, Dykstra 1988, section
    1.4).
    """
    places, values = list(points), list(points.values())
    mean = lambda start, end: sum(values[start:end]) / (end - start)
    fit = [
        max(min(mean(a, b) for b in range(i + 1, len(values) + 1)) for a in range(i + 1))
        for i in range(len(values))
    ]
    return {places[0]: 0.0} | {place: max(value, 0.0) for place, value in zip(places[1:], fit[1:])}
