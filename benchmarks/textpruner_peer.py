"""TextPruner 1.1.post2 on the same checkpoint, data and budgets. Runs in an environment of its own
(transformers 4.57.6), without this package:

    python textpruner_peer.py CHECKPOINT DATA.json RESULTS.json

DATA.json: threads; calibration, with sentences and labels; sets, such by their names; budgets:
[share, heads, neurons], both of a layer on average. RESULTS.json: a list; heads and neurons there
are what a layer really keeps on average: TextPruner leaves every layer at least one of each, so
that with uneven layers it may keep more than it was asked to. Uneven layers are tried first; where
they fail, the error is there, and layers are even.
"""

import argparse
import json
import time
import traceback
from pathlib import Path

import torch
from textpruner import GeneralConfig, TransformerPruner, TransformerPruningConfig
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

STEPS = 4


class Peer:
    def __init__(self, checkpoint: str, data: dict, cache: str):
        self.checkpoint, self.data, self.cache = checkpoint, data, cache
        self.tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=checkpoint + "/tokenizer.json", pad_token="<pad>", model_max_length=512
        )

    def batches(self, data: dict, size: int = 32):
        sentences, labels = data["sentences"], data["labels"]
        for start in range(0, len(sentences), size):
            part = slice(start, start + size)
            encoded = self.tokenizer(
                sentences[part], padding=True, truncation=True, return_tensors="pt"
            )
            yield {
                "input_ids": encoded["input_ids"],
                "attention_mask": encoded["attention_mask"],
                "labels": torch.tensor(labels[part]),
            }

    @torch.inference_mode()
    def right(self, model, data: dict) -> list[bool]:
        """Which sentences it has right, in order."""
        model.eval()
        right = []
        for batch in self.batches(data, 64):
            logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            right += (logits.argmax(-1) == batch["labels"]).tolist()
        return right

    def prune(self, heads: int, neurons: int, even: bool):
        model = AutoModelForSequenceClassification.from_pretrained(
            self.checkpoint, dtype=torch.float32
        )
        config = TransformerPruningConfig(
            target_num_of_heads=heads,
            target_ffn_size=neurons,
            pruning_method="iterative",
            n_iters=STEPS,
            head_even_masking=even,
            ffn_even_masking=even,
        )
        pruner = TransformerPruner(
            model,
            transformer_pruning_config=config,
            general_config=GeneralConfig(use_device="cpu", output_dir=self.cache),
        )
        pruner.prune(dataloader=list(self.batches(self.data["calibration"])), save_model=False)
        return model

    def measured(self, heads: int, neurons: int, even: bool) -> dict:
        start = time.process_time()
        model = self.prune(heads, neurons, even)
        seconds = time.process_time() - start
        layers = model.base_model.encoder.layer
        size = model.config.hidden_size // model.config.num_attention_heads
        each = [  # by the weights: TextPruner leaves out_features as they were
            (len(x.attention.self.query.weight) // size, len(x.intermediate.dense.weight))
            for x in layers
        ]
        return {
            "seconds": seconds,
            "even": even,
            "heads": sum(h for h, _ in each) / len(layers),
            "neurons": sum(n for _, n in each) / len(layers),
            "heads and neurons by layer": each,
            "right": {kind: self.right(model, own) for kind, own in self.data["sets"].items()},
        }


def described(error: Exception) -> str:
    """The error and the line that raised it."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    name = type(error).__name__
    said = f"{name}: {error}" if str(error) else name
    return f"{said}, in {Path(place.filename).name}, line {place.lineno}: {place.line}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    for name in ("checkpoint", "data", "results"):
        parser.add_argument(name)
    args = parser.parse_args()
    data = json.loads(Path(args.data).read_text("utf-8"))
    torch.set_num_threads(data["threads"])
    peer, results = Peer(args.checkpoint, data, args.results + ".textpruner"), []
    for keep, heads, neurons in data["budgets"]:
        found = {"keep": keep, "heads": heads, "neurons": neurons}
        for even in (False, True):  # even only where uneven fails
            try:
                found |= peer.measured(heads, neurons, even)
                break
            except Exception as error:
                traceback.print_exc()
                found[f"failed, even={even}"] = described(error)
        results.append(found)
        Path(args.results).write_text(json.dumps(results, indent=1), "utf-8")


if __name__ == "__main__":
    main()
