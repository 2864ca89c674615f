"""Tiny random models of every family and head, and batches for them."""

import torch
import transformers

from pruning_lessons.models.anatomy import FAMILIES
from pruning_lessons.models.tasks import TASKS

SIZES = dict(
    vocab_size=120,
    hidden_size=24,
    num_hidden_layers=3,
    num_attention_heads=4,
    intermediate_size=20,
    max_position_embeddings=40,
    pad_token_id=1,
)
PROBLEMS = {
    "classification": "single_label_classification",
    "multi-label": "multi_label_classification",
    "regression": "regression",
}
FAMILIES_AND_TASKS = [(family, task) for family in FAMILIES for task in TASKS]


def tiny(family: str, task: str, seed: int = 0, **changes):
    """A model of transformers' own class, all of whose parameters are random and none is zero."""
    name, kind = FAMILIES[family], TASKS[task].kind
    outputs = {"regression": 1, "question-answering": 2}.get(task, 5)
    config = dict(SIZES, num_labels=outputs, problem_type=PROBLEMS.get(task))
    if family == "bert":
        config |= dict(pad_token_id=0, type_vocab_size=2)
    torch.manual_seed(seed)
    config = getattr(transformers, f"{name}Config")(**config | changes)
    options = {}
    if task == "embedding":
        config.pooling, config.normalize, config.prompts = "mean", True, {}
        options = dict(add_pooling_layer=False)
    model = getattr(transformers, name + kind)(config, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def batch(task: str, n: int = 6, T: int = 9, seed: int = 1, labels: bool = True, family="") -> dict:
    """A padded batch with labels of the task; token types where the family has them."""
    random = torch.Generator().manual_seed(seed)
    draw = lambda high, *shape: torch.randint(0, high, shape, generator=random)
    ids, mask = 5 + draw(110, n, T), torch.ones(n, T, dtype=torch.long)
    for row in range(n):
        mask[row, T - row % 4 :] = 0
    made = {"input_ids": ids.where(mask.bool(), torch.tensor(1)), "attention_mask": mask}
    if family == "bert":
        made["token_type_ids"] = (torch.arange(T) > 3).long().expand(n, T) * mask
    per_token = draw(5, n, T).where(mask.bool() & (torch.arange(T) % 3 > 0), torch.tensor(-100))
    wanted = {
        "classification": lambda: draw(5, n),
        "multi-label": lambda: draw(2, n, 5).float(),
        "regression": lambda: torch.randn(n, generator=random),
        "tokens": lambda: per_token,
        "fill-mask": lambda: per_token.where(per_token < 0, per_token + 50),
        "question-answering": lambda: draw(T - 4, n, 2) + 1,
    }.get(task)
    if task == "question-answering":  # no question to leave out, and the start is a place, too
        made["counts"] = mask.bool()
    if labels and wanted:
        made["labels"] = wanted()
    return made


def padded(one: dict, more: int) -> dict:
    """The same batch with `more` columns of padding."""
    fill = {"input_ids": 1, "labels": -100}
    wide = lambda name, t: torch.nn.functional.pad(t, (0, more), value=fill.get(name, 0))
    T = one["input_ids"].shape[1]
    return {
        name: wide(name, t) if t.dim() == 2 and t.shape[1] == T else t for name, t in one.items()
    }


def part(one: dict, places: slice) -> dict:
    return {name: tensor[places] for name, tensor in one.items()}
