"""Models in other states: modes, frozen parts, types, wrappers, hooks, threads, NaN."""

import copy
import threading
from collections.abc import Callable
from contextlib import nullcontext
from random import Random

import torch
import world as w
from inputs import seen
from machine import Kind, Trial

import pruning_lessons as pl

# --- what is done with a model, and what can be compared of it ---


def whole_masks(network):
    return pl.random_masks(network, 0.5, seed=3)


def _saved(network):
    pl.save(network, w.tokenizer(), "out")
    return w.answers(pl.load("out")[0])


def _trained(network, **options):
    options = dict(batch_size=8, learning_rate=1e-3, progress=False) | options
    training = pl.fine_tune(network, w.tokenizer(), w.texts(), **options)
    return [training.losses[0], w.answers(network.float())]


def _distilled(network):
    student = w.copy.deepcopy(w.pruned(0))
    options = dict(batch_size=8, learning_rate=1e-3, progress=False)
    return pl.distill(student, network, w.tokenizer(), w.texts(), **options).losses[0]


USES: dict[str, Callable] = {
    "evaluate": lambda m: pl.evaluate(m, w.tokenizer(), w.texts()).scores["accuracy"],
    "Fisher": lambda m: seen(pl.importance(m, w.batches(), targets="labels")),
    "Taylor": lambda m: seen(pl.importance(m, w.batches(), "taylor", targets="labels")),
    "activation": lambda m: seen(pl.importance(m, w.batches(), "activation")),
    "leave one out": lambda m: seen(
        pl.importance(m, w.batches(), "leave_one_out", targets="labels")
    ),
    "magnitude": lambda m: seen(pl.importance(m, None, "magnitude")),
    "prune": lambda m: w.answers(pl.prune(m, whole_masks(m))),
    "repair": lambda m: w.answers(pl.repair(pl.prune(m, whole_masks(m)), m, w.batches())),
    "prune_weights": lambda m: w.answers(pl.prune_weights(m, 0.5, permanent=True)),
    "wanda": lambda m: w.answers(
        pl.prune_weights(m, 0.5, method="wanda", batches=w.batches(), permanent=True)
    ),
    "summary": lambda m: [pl.summary(m).parameters, pl.summary(m).macs],
    "layers_to_drop": lambda m: pl.layers_to_drop(m, 1, "block_influence", w.batches()),
    "greedy": lambda m: seen(
        pl.greedy_layer_pruning(m, w.tokenizer(), w.texts(), 1, progress=False)
    ),
    "best_layers": lambda m: seen(pl.best_layers(m, w.tokenizer(), w.texts(), 1, progress=False)),
    "prune_vocabulary": lambda m: (
        pl.prune_vocabulary(m, w.tokenizer(), w.SENTENCES)[0].config.vocab_size
    ),
    "save": _saved,
    "distill from": _distilled,
    "fine_tune": _trained,
    "attention_maps": lambda m: pl.attention_maps(m, w.tokenizer(), "turn on the light").maps,
}
CHANGES = ("fine_tune",)  # weights
WHOSE = ("model", "original", "pruned", "teacher", "student")


def wanted(use: str):
    """What it gives for the plain model."""
    return w.clean(use, lambda: USES[use](w.fresh())) if use in CHANGES else USES[use](w.fresh())


# --- states ---


def _each(change: Callable, of: Callable = lambda m: m.modules(), share: float = 0.5) -> Callable:
    def make(network, random: Random):
        for part in of(network):
            if random.random() < share:
                change(part)
        return network

    return make


def _whole(change: Callable) -> Callable:
    return lambda network, random: change(network) or network


def _frozen(p) -> None:
    p.requires_grad_(False)


def _hooked(network, random: Random):
    network.seen = []
    network.roberta.encoder.layer[1].register_forward_hook(lambda *a: network.seen.append(1))
    return network


def _under_masks(network, random: Random):
    with pl.masked(network, whole_masks(network)):
        return copy.deepcopy(network)


class Wrapper(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, *args, **options):
        return self.network(*args, **options)


def _compiled_inside(network, random: Random):
    network.roberta.encoder.layer[0] = torch.compile(network.roberta.encoder.layer[0])
    return network


def _config(**values) -> Callable:
    def make(network, random: Random):
        for name, value in values.items():
            setattr(network.config, name, value)
        return network

    return make


def _eager(network):
    network.set_attn_implementation("eager")
    return network


def _grads(network) -> None:
    for p in network.parameters():
        p.grad = torch.ones_like(p)


def _transposed(p) -> None:
    if p.dim() == 2:
        p.data = p.data.t().contiguous().t()


STATES = {
    "train mode": _whole(lambda m: m.train()),
    "some modules in train mode": _each(lambda m: setattr(m, "training", True)),
    "some weights frozen": _each(_frozen, lambda m: m.parameters()),
    "all weights frozen": _each(_frozen, lambda m: m.parameters(), 1.0),
    "gradients left behind": _whole(_grads),
    "a hook of the user's": _hooked,
    "a copy made under masks": _under_masks,
    "compiled": lambda m, random: torch.compile(m),
    "compiled in place": _whole(lambda m: m.compile()),
    "a layer compiled": _compiled_inside,
    "DataParallel": lambda m, random: torch.nn.DataParallel(m),
    "wrapped": lambda m, random: Wrapper(m),
    "tuples asked for": _config(return_dict=False),
    "attentions asked for": lambda m, random: _config(output_attentions=True)(_eager(m), random),
    "hidden states asked for": _config(output_hidden_states=True),
    "eager attention": lambda m, random: _eager(m),
    "weights not contiguous": _each(_transposed, lambda m: m.parameters()),
    "weights as views": _each(
        lambda p: setattr(p, "data", p.data[None].expand(1, *p.shape)[0]), lambda m: m.parameters()
    ),
    "gradients switched off": lambda m, random: m,
    "on the meta device": lambda m, random: m.to("meta"),
    "feed-forward in chunks": _config(chunk_size_feed_forward=2),
}


def state(random: Random, place: int) -> Trial:
    """A use of a model in another state: the plain model's result, the state kept; or refused."""
    what, use = list(STATES)[place % len(STATES)], random.choice(list(USES))
    network = STATES[what](w.fresh(), random)
    off, changed = what == "gradients switched off", use in CHANGES
    frozen = any(not p.requires_grad for p in network.parameters())

    def act():
        with torch.no_grad() if off else nullcontext():
            return USES[use](network)

    return Trial(
        f"{use}: {what}",
        act,
        WHOSE,
        lambda found: None if changed and frozen else w.differs(wanted(use))(found),
        models=() if changed else (network,),
        trained=(network,) if changed else (),
        entry=use != "save",
    )


# --- types ---

TYPES = (torch.float16, torch.bfloat16, torch.float64)


def _mixed(network, kind, random: Random):
    for part in random.sample(list(network.roberta.encoder.layer), 1):
        part.to(kind)
    return network


def types(random: Random, place: int) -> Trial:
    """A model in another type, or of two: the result of float32, nearly; or refused."""
    kind, use = TYPES[place % 3], random.choice(list(USES))
    mixed = random.random() < 0.3
    network = _mixed(w.fresh(), kind, random) if mixed else w.fresh().to(kind)
    small = kind is not torch.float64
    changed = use in CHANGES

    def wrong(found) -> str | None:
        ranks = use in ("greedy", "best_layers", "layers_to_drop", "evaluate") and small
        if not _finite(found):
            return "not finite"
        # a float16 model is another model than the float32 one, by rounding: the more so the
        # more of it is in squares, and where a rounded score decides what is cut
        loose = {"repair": 0.5, "prune_weights": 0.3, "wanda": 0.3, "Fisher": 0.2}.get(use, 0.1)
        return None if ranks else w.differs(wanted(use), tolerance=loose if small else 1e-3)(found)

    return Trial(
        f"{use}: {'partly ' * mixed}{str(kind).removeprefix('torch.')}",
        lambda: USES[use](network),
        WHOSE,
        wrong,
        models=() if changed else (network,),
        trained=(network,) if changed else (),
        entry=use != "save",
    )


def _finite(found) -> bool:
    if isinstance(found, torch.Tensor):
        return bool((found.isfinite() | (found.isnan() & found.isnan().all())).all())
    if isinstance(found, list):
        return all(map(_finite, found))
    return not isinstance(found, float) or found == found and abs(found) < 1e30


# --- NaN and infinity ---


def not_finite(random: Random, place: int) -> Trial:
    """One weight that is NaN or infinite: named by whatever measures, scores, cuts or saves."""
    use = list(USES)[place % len(USES)]
    value, network = random.choice([float("nan"), float("inf"), -float("inf")]), w.fresh()
    name, weight = random.choice(list(network.named_parameters()))
    flat = weight.data.flatten()
    spot = random.randrange(len(flat))
    flat[spot] = value
    weight.data = flat.view(weight.shape)
    where = f"{use}: {value} in {name}[{spot}]"
    harmless = {"summary", "prune_vocabulary", "prune", "layers_to_drop"}

    def wrong(found) -> str | None:
        shapes = (
            use in harmless or w.alike(found, USES[use](w.fresh())) or _finite_everywhere(network)
        )
        return None if shapes else f"gives {str(found)[:60]!r} without a word"

    return Trial(
        where[:100],
        lambda: USES[use](network),
        (*WHOSE, "batches", "data", "scores", "step"),
        wrong,
        trained=(network,),
        entry=False,
    )


def _finite_everywhere(network) -> bool:
    """Whether the answers to these texts do not depend on the weight."""
    return bool(w.answers(network).isfinite().all())


def diverging(random: Random, place: int) -> Trial:
    """A training that runs away stops, says at which step, and keeps the last good state."""
    rate = 10 ** random.uniform(3, 30)
    how = ("fine_tune", "distill")[place % 2]
    folder = random.choice([None, "out"])
    network = w.fresh()
    options = dict(learning_rate=rate, epochs=3, batch_size=4, folder=folder, progress=False)

    def finite() -> bool:
        return all(bool(p.isfinite().all()) for p in network.parameters())

    def act():
        try:
            if how == "distill":
                return pl.distill(network, w.model(seed=1), w.tokenizer(), w.texts(), **options)
            return pl.fine_tune(network, w.tokenizer(), w.texts(), **options)
        except ValueError as error:
            if not finite():
                raise RuntimeError("the weights are NaN") from error
            raise

    return Trial(
        f"{how}: learning rate {rate:.0e}, folder {folder}",
        act,
        ("step", "learning_rate"),
        lambda found: None if finite() and _finite(found.losses) else f"losses {found.losses}",
        trained=(network,),
        entry=False,
    )


# --- threads ---


def threads(random: Random, place: int) -> Trial:
    """Masks or gates put on one model by two threads: each sees its own."""
    network, n = w.fresh(), random.randrange(2, 5)
    sets = [pl.random_masks(network, random.uniform(0.2, 0.9), seed=i) for i in range(n)]
    alone = [_masked_answers(network, masks) for masks in sets]
    use_gates = place % 2

    def act() -> list:
        found = [None] * n

        def one(i: int) -> None:
            for _ in range(3):
                if use_gates and i == 0:
                    found[0] = seen(pl.importance(network, w.batches(), targets="labels"))
                else:
                    found[i] = _masked_answers(network, sets[i])

        crew = [threading.Thread(target=one, args=(i,)) for i in range(n)]
        [t.start() for t in crew]
        [t.join() for t in crew]
        return found

    def wrong(found) -> str | None:
        if use_gates:
            alone[0] = seen(pl.importance(network, w.batches(), targets="labels"))
        return w.differs(alone)(found)

    return Trial(
        f"{n} threads, {'gates and masks' if use_gates else 'masks'}",
        act,
        ("model",),
        wrong,
        models=(network,),
        entry=False,
    )


def _masked_answers(network, masks):
    with pl.masked(network, masks), torch.no_grad():
        return torch.cat([pl.outputs(network, b) for b in w.batches()])


KINDS = [
    Kind("models in other states", state, 7 * len(STATES)),
    Kind("models of other types", types, 75),
    Kind("NaN and infinity in weights", not_finite, 4 * len(USES)),
    Kind("trainings that diverge", diverging, 20),
    Kind("threads", threads, 24),
]
