"""A folder that opens again."""

from pathlib import Path

from ..models.anatomy import has_masks, layers_of
from ..models.checkpoints import quiet
from ..models.files import written_beside


def save(model, tokenizer, folder: str | Path) -> Path:
    """Write `folder`, which `load` and transformers' Auto classes open with the same weights, bit
    for bit.

    All is written beside it first and then moved into place: if something fails, what was there
    stays. Raises `ValueError` if `folder` holds something that is no checkpoint, or the model is
    not what its configuration says.
    """
    folder = Path(folder)
    if folder.exists() and (
        not folder.is_dir() or any(folder.iterdir()) and not (folder / "config.json").is_file()
    ):
        raise ValueError(
            f"folder: {str(folder)!r} holds other things and no checkpoint: name a new folder"
        )
    if has_masks(model):
        raise ValueError(
            "model: has weight masks, must have none: use prune_weights(..., permanent=True)"
        )
    if len(layers_of(model)) != model.config.num_hidden_layers:
        raise ValueError(
            f"model: has {len(layers_of(model))} layers, its config says "
            f"{model.config.num_hidden_layers}: "
            "it would load with random layers. Remove layers with prune()"
        )
    with written_beside(folder) as fresh, quiet():
        model.save_pretrained(fresh)
        tokenizer.save_pretrained(fresh)
    return folder
