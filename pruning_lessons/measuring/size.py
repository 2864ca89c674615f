"""How large a model is: parameters, multiply-accumulates (MACs), bytes."""

from dataclasses import dataclass

from torch import nn

from ..models.anatomy import head_size, heads_per_layer, layers_of, neurons_per_layer
from ..models.checks import arguments, encoder, whole
from ..models.tasks import task_of
from .tables import Table, table


@arguments(length=whole())
def unit_macs(model, length: int = 24) -> tuple[int, int]:
    """MACs of one head and of one neuron for a sentence of `length` (T) tokens.

    4·T·d·d_h + 2·T²·d_h and 2·T·d (Kwon et al. 2022, section 4.1).
    """
    d, size = model.config.hidden_size, head_size(model)
    return 4 * length * d * size + 2 * length**2 * size, 2 * length * d


@arguments(model=encoder, length=whole())
def encoder_macs(model, length: int = 24) -> int:
    """MACs of all layers for a sentence of `length` tokens."""
    head, neuron = unit_macs(model, length)
    return head * sum(heads_per_layer(model)) + neuron * sum(neurons_per_layer(model))


def _head_macs(model, length: int) -> int:
    """MACs of all matrices outside the encoder, at every token or at the first alone."""
    inside = {id(module) for module in model.base_model.encoder.modules()}
    matrices = sum(
        module.weight.numel()
        for module in model.modules()
        if isinstance(module, nn.Linear) and id(module) not in inside
    )
    per_text = task_of(model).kind in ("ForSequenceClassification", "Model")
    return matrices * (1 if per_text else length)


@dataclass(repr=False)
class Summary(Table):
    """Sizes of a model. `parts` maps a component to (parameters, MACs for one sentence of `length`
    tokens).
    """

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
        lines = [
            (
                "layer",
                "heads",
                "neurons",
                "query, key, value",
                "attention output",
                "feed-forward in",
                "feed-forward out",
            )
        ]
        for i, (heads, neurons) in enumerate(zip(self.heads, self.neurons)):
            shape = lambda name: " × ".join(map(str, self.shapes[f"{i}.{name}.weight"]))
            lines.append(
                (
                    i,
                    heads,
                    neurons,
                    shape("attention.self.query"),
                    shape("attention.output.dense"),
                    shape("intermediate.dense"),
                    shape("output.dense"),
                )
            )
        return table(lines)


@arguments(model=encoder, length=whole())
def summary(model, length: int = 24) -> Summary:
    """Parameters, multiply-accumulates (MACs) and bytes of a model, by component.

    MACs are those of one sentence of `length` (T) tokens, matrix products only: a head costs
    4·T·d·d_h + 2·T²·d_h, a neuron 2·T·d (Kwon et al. 2022, section 4.1); looking up embeddings
    costs none.
    """
    d, size, T = model.config.hidden_size, head_size(model), length
    heads, neurons = heads_per_layer(model), neurons_per_layer(model)
    kinds = {
        "word embeddings": "word_embeddings",
        "other embeddings": "embeddings.",
        "attention": ".attention.",
        "feed-forward": "encoder.layer.",
        "task head": "",
    }
    sizes = dict.fromkeys(kinds, 0)
    for name, parameter in model.named_parameters():
        sizes[next(kind for kind, part in kinds.items() if part in name)] += parameter.numel()
    macs = dict.fromkeys(kinds, 0)
    macs["attention"] = sum(heads) * (4 * T * d * size + 2 * T * T * size)
    macs["feed-forward"] = sum(neurons) * 2 * T * d
    macs["task head"] = _head_macs(model, T)
    n_bytes = sum(p.numel() * p.element_size() for p in model.parameters())
    shapes = {name: tuple(p.shape) for name, p in layers_of(model).named_parameters()}
    return Summary(
        {kind: (sizes[kind], macs[kind]) for kind in kinds}, heads, neurons, n_bytes, T, shapes
    )
