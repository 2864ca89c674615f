"""The course on another checkpoint: fine-tune it on the intents once, and keep the result."""

import hashlib
import json
import os
import re
import shutil
import warnings
from pathlib import Path

from ..measuring.data import load_intents
from ..models.checkpoints import UntrainedHead, chosen, load
from ..models.files import at_work
from ..models.journal import digest
from ..recovery.training import fine_tune
from ..shipping.save import save


def prepare(
    checkpoint: str | Path = "embedded",
    limit: int | None = None,
    epochs: int = 2,
    learning_rate: float = 5e-5,
    progress: bool = True,
) -> str | Path:
    """What `load` should open for a lesson: `checkpoint` itself if it knows the intents, else a
    folder where it does.

    The first call fine-tunes the checkpoint on the training sentences (at most `limit` of them) and
    writes the result to a folder below PRUNING_LESSONS_CACHE, or else ~/.cache/pruning_lessons; all
    later calls find it there, whatever their other arguments: delete the folder to train anew. An
    interrupted call goes on where it was, if the other arguments are the same; while one is at
    work, another waits for it. A GPU is used if there is one. Raises `ValueError` if the
    checkpoint cannot be loaded, or has been fine-tuned for labels of its own.
    """
    checkpoint = chosen(checkpoint)
    if checkpoint == "embedded":
        return checkpoint
    name = str(Path(checkpoint).resolve()) if Path(checkpoint).is_dir() else str(checkpoint)
    short = re.sub(r"[^\w.]+", "-", name)[-40:].strip("-")
    cache = Path(
        os.environ.get("PRUNING_LESSONS_CACHE") or Path.home() / ".cache" / "pruning_lessons"
    )
    folder = cache / f"{short}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    if (folder / "config.json").is_file():
        return folder
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model, tokenizer = load(checkpoint, task="intents")
    if not any(issubclass(warning.category, UntrainedHead) for warning in said):
        return checkpoint
    print(
        f"{checkpoint} does not know the intents yet: it is fine-tuned now, once, and kept in "
        f"{folder}."
    )
    settings = json.dumps([limit, epochs, learning_rate, digest(model.state_dict().values())])
    begun = cache / f"{folder.name}-training"
    with at_work(begun, "checkpoint"):
        if not (folder / "config.json").is_file():  # else another process has made it meanwhile
            fine_tune(
                model,
                tokenizer,
                load_intents("train", limit=limit),
                epochs,
                learning_rate,
                folder=begun / hashlib.sha256(settings.encode()).hexdigest()[:16],
                progress=progress,
            )
            save(model, tokenizer, folder)
        shutil.rmtree(begun, ignore_errors=True)
    return folder
