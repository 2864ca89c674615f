"""TextPruner 1.1.post2 on the same checkpoint, data and budgets. Runs in an environment of its own
(transformers 4.57.6):

python textpruner_peer.py CHECKPOINT DATA.json RESULTS.json
"""

import json
import sys
import time

import torch
from textpruner import GeneralConfig, TransformerPruner, TransformerPruningConfig
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

checkpoint, data_file, results_file = sys.argv[1:]
data = json.load(open(data_file, encoding="utf-8"))
tokenizer = PreTrainedTokenizerFast(
    tokenizer_file=checkpoint + "/tokenizer.json", pad_token="<pad>", model_max_length=512
)


def batches(split, size=32):
    for start in range(0, len(data[split]["sentences"]), size):
        part = slice(start, start + size)
        encoded = tokenizer(
            data[split]["sentences"][part], padding=True, truncation=True, return_tensors="pt"
        )
        yield {
            "input_ids": encoded["input_ids"],
            "attention_mask": encoded["attention_mask"],
            "labels": torch.tensor(data[split]["labels"][part]),
        }


@torch.inference_mode()
def accuracy(model, split):
    model.eval()
    right = [
        hit
        for b in batches(split, 64)
        for hit in (
            model(b["input_ids"], attention_mask=b["attention_mask"]).logits.argmax(-1)
            == b["labels"]
        ).tolist()
    ]
    return sum(right) / len(right)


def prune(heads: int, neurons: int, steps: int, even: bool):
    model = AutoModelForSequenceClassification.from_pretrained(
        checkpoint, torch_dtype=torch.float32
    )
    config = TransformerPruningConfig(
        target_num_of_heads=heads,
        target_ffn_size=neurons,
        pruning_method="iterative",
        n_iters=steps,
        head_even_masking=even,
        ffn_even_masking=even,
    )
    pruner = TransformerPruner(
        model,
        transformer_pruning_config=config,
        general_config=GeneralConfig(use_device="cpu", output_dir=results_file + ".textpruner"),
    )
    pruner.prune(dataloader=list(batches("calibration")), save_model=False)
    return model


results = []
for keep, heads, neurons in data["budgets"]:
    found = {"keep": keep, "heads": heads, "neurons": neurons}
    for even in (False, True):  # uneven heads fail where a layer is left without
        try:
            start = time.perf_counter()
            model = prune(heads, neurons, 4, even)
            found |= {
                "seconds": time.perf_counter() - start,
                "even": even,
                "test": accuracy(model, "test"),
                "zero_shot": accuracy(model, "zero_shot"),
            }
            break
        except Exception as error:
            found[f"failed, even={even}"] = f"{type(error).__name__}: {error}"
    print(found, flush=True)
    results.append(found)
    json.dump(results, open(results_file, "w", encoding="utf-8"), indent=1)
