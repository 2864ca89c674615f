"""Measure what the engine reaches, and peers beside it: `python benchmarks/run.py`.

Writes `results.json` and the tables of `README.md` beside this file. Two threads, about half an
hour. Peers: TextPruner needs an older transformers, so it runs in an environment of its own that
`make benchmark` makes; Torch-Pruning runs here.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch

import pruning_lessons as pl

sys.path.insert(0, str(Path(__file__).parent))
from kwon import tune_masks

HERE = Path(__file__).parent
BUDGETS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.33, 0.25, 0.2, 0.15)
PEER_BUDGETS = (0.5, 0.33, 0.25)
CALIBRATION = 2048
ZERO_SHOT = 1500  # sentences, to keep the whole near half an hour; the test set is used whole


def mixed_batches(data: pl.Intents, tokenizer, size: int = 32) -> list[dict]:
    """Batches of sentences of like length, in random order."""
    order = sorted(range(len(data)), key=lambda i: len(data.sentences[i]))
    groups = [order[i : i + size] for i in range(0, len(order), size)]
    random.Random(0).shuffle(groups)
    return [batch for group in groups for batch in data.subset(group).batches(tokenizer, size)]


class Bench:
    def __init__(self, limit: int | None):
        self.model, self.tokenizer = pl.load()
        self.test, self.zero_shot = (
            pl.load_intents("test", limit=limit),
            pl.load_intents("zero_shot", limit=limit or ZERO_SHOT),
        )
        self.calibration = pl.load_intents("train", limit=CALIBRATION, seed=0)
        self.batches = mixed_batches(self.calibration, self.tokenizer)
        self.base = self.measure(self.model)
        self.scores, self.scoring_seconds = timed(pl.importance, self.model, self.batches)
        print("unpruned", self.base, flush=True)

    def measure(self, model) -> dict:
        trained, unseen = (
            pl.evaluate(model, self.tokenizer, data) for data in (self.test, self.zero_shot)
        )
        return {
            "test": trained.accuracy,
            "zero_shot": unseen.accuracy,
            "by_language": trained.by_language | unseen.by_language,
        }

    def row(self, name: str, keep: float, model, seconds: float) -> dict:
        found = {
            "method": name,
            "keep": keep,
            "macs": pl.encoder_macs(model) / pl.encoder_macs(self.model),
            "seconds": seconds,
            **self.measure(model),
        }
        found["kept"] = found["test"] / self.base["test"]
        found["kept_zero_shot"] = found["zero_shot"] / self.base["zero_shot"]
        print(
            f"{name:22} {keep:.2f}: MACs {found['macs']:.3f}, test {found['kept']:.1%}, "
            f"zero-shot {found['kept_zero_shot']:.1%}, {seconds:.0f} s",
            flush=True,
        )
        return found

    # ---- the engine: scores are computed once for all budgets; their seconds are added to each

    def ours(self, keep: float, repaired: bool = True):
        # Repair makes errors cancel by itself: exchanges inside layers help only where it is left
        # out.
        pruned = pl.prune(
            self.model, pl.select(self.scores, self.model, keep_macs=keep, rearrange=not repaired)
        )
        return pl.repair(pruned, self.model, self.batches) if repaired else pruned

    # ---- baselines

    def kwon(self, keep: float):
        pruned = pl.prune(self.model, pl.select(self.scores, self.model, keep_macs=keep))
        return tune_masks(pruned, self.model, self.batches)

    def by_share(self, method: str, keep: float, seed: int = 0):
        """The best share `keep` of the heads and of the neurons, over all layers."""
        scores = pl.importance(self.model, self.batches, method, seed=seed)
        n_heads, n_neurons = round(keep * scores.heads.numel()), int(keep * scores.neurons.numel())
        masks = pl.select(
            scores, self.model, keep_heads=n_heads, keep_neurons=n_neurons, rearrange=False
        )
        return pl.prune(self.model, masks)

    def torch_pruning(self, keep: float):
        """Torch-Pruning 1.6.1: heads and neurons by first-order Taylor importance, hidden size
        kept.
        """
        import copy

        import torch_pruning as tp

        model = copy.deepcopy(self.model)
        example = next(iter(self.batches))
        inputs = {k: example[k][:2] for k in ("input_ids", "attention_mask")}
        layers = model.roberta.encoder.layer
        ignored = [model.classifier, model.roberta.embeddings]
        ignored += [
            m
            for layer in layers
            for m in (
                layer.attention.output.dense,
                layer.output.dense,
                layer.attention.output.LayerNorm,
                layer.output.LayerNorm,
            )
        ]
        heads = {
            m: self.model.config.num_attention_heads
            for layer in layers
            for m in (
                layer.attention.self.query,
                layer.attention.self.key,
                layer.attention.self.value,
            )
        }
        pruner = tp.pruner.MetaPruner(
            model,
            inputs,
            importance=tp.importance.GroupTaylorImportance(),
            global_pruning=False,
            pruning_ratio=1 - keep,
            head_pruning_ratio=1 - keep,
            num_heads=heads,
            prune_num_heads=True,
            prune_head_dims=False,
            ignored_layers=ignored,
            output_transform=lambda out: out.logits.sum(),
        )
        for batch in self.batches:  # gradients summed over the calibration set
            model(
                batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"]
            ).loss.backward()
        pruner.step()
        for layer in layers:
            layer.attention.self.num_attention_heads = pruner.num_heads[layer.attention.self.query]
        return model.eval()


def textpruner(bench: Bench, python: Path) -> list[dict]:
    """Run TextPruner in its own environment on the same sentences."""
    pack = lambda data: {"sentences": data.sentences, "labels": data.labels}
    with tempfile.TemporaryDirectory() as folder:
        data, results = Path(folder) / "data.json", Path(folder) / "results.json"
        data.write_text(
            json.dumps(
                {
                    "calibration": pack(bench.calibration),
                    "test": pack(bench.test),
                    "zero_shot": pack(bench.zero_shot),
                    "budgets": [
                        (keep, *even_shape(bench.model, keep)) for keep in PEER_BUDGETS[:2]
                    ],
                }
            ),
            encoding="utf-8",
        )
        subprocess.run(
            [python, HERE / "textpruner_peer.py", pl.EMBEDDED, data, results], check=True
        )
        rows = []
        for found in json.loads(results.read_text("utf-8")):
            if "test" not in found:
                print("TextPruner failed:", found)
                continue
            head, neuron = pl.unit_macs(bench.model)
            macs = (
                12
                * (found["heads"] * head + found["neurons"] * neuron)
                / pl.encoder_macs(bench.model)
            )
            rows.append(
                {
                    "method": "TextPruner 1.1.post2",
                    "macs": macs,
                    **found,
                    "kept": found["test"] / bench.base["test"],
                    "kept_zero_shot": found["zero_shot"] / bench.base["zero_shot"],
                }
            )
        return rows


def even_shape(model, keep: float) -> tuple[int, int]:
    """Heads and neurons a layer within the budget, in like shares."""
    head, neuron = pl.unit_macs(model)
    heads = max(1, round(keep * 12))
    return heads, int((keep * pl.encoder_macs(model) / 12 - heads * head) // neuron)


def speed() -> list[dict]:
    """Full size, random weights: measured speed-up against the MAC reduction."""
    rows = []
    big, _ = pl.untrained("base", pieces=2000)
    scores = pl.importance(big, None, "magnitude")
    masks = pl.select(scores, big, keep_macs=0.5, multiple=16, length=128)
    small = pl.prune(big, masks)
    reduction = pl.encoder_macs(big, 128) / pl.encoder_macs(small, 128)
    for batch_size, repeats in ((1, 20), (32, 5)):
        found = pl.latency(
            {"base": big, "half": small},
            batch_size=batch_size,
            length=128,
            threads=2,
            repeats=repeats,
            warm_up=3,
        )
        rows.append(
            {
                "batch": batch_size,
                "mac_reduction": reduction,
                "speed_up": found.ratio["half"],
                "ms": found.median,
                "share": found.ratio["half"] / reduction,
            }
        )
        print(rows[-1], flush=True)
    return rows


def scoring_cost(bench: Bench, rounds: int = 3) -> dict:
    """Seconds to score everything, over those of a plain forward and backward pass, in turns."""
    model, batches, times = bench.model, bench.batches[:24], {"plain": [], "scores": []}
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for batch in batches:
            model(
                batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"]
            ).loss.backward()
        model.zero_grad(set_to_none=True)
        times["plain"].append(time.perf_counter() - start)
        start = time.perf_counter()
        pl.importance(model, batches)
        times["scores"].append(time.perf_counter() - start)
    plain, scores = (statistics.median(t[1:]) for t in times.values())
    return {"plain_seconds": plain, "score_seconds": scores, "ratio": scores / plain}


def timed(function, *args, **options):
    start = time.perf_counter()
    return function(*args, **options), time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--textpruner",
        type=Path,
        help="python of TextPruner's environment; without it that peer is left out",
    )
    parser.add_argument(
        "--limit", type=int, help="so many sentences of each test set, for a quick look"
    )
    args = parser.parse_args()
    torch.set_num_threads(2)
    warnings.simplefilter("ignore")
    bench = Bench(args.limit)
    results = {
        "setting": {
            "torch": torch.__version__.split("+")[0],
            "threads": 2,
            "calibration sentences": CALIBRATION,
            "test sentences": len(bench.test),
            "zero-shot sentences": len(bench.zero_shot),
            "date": time.strftime("%Y-%m-%d"),
        },
        "unpruned": bench.base,
    }
    scored = lambda function, keep, **options: (
        lambda model, s: (model, s + bench.scoring_seconds)
    )(*timed(function, keep, **options))
    results["front"] = [
        bench.row("pruning_lessons", keep, *scored(bench.ours, keep)) for keep in BUDGETS
    ]
    rows = [row for row in results["front"] if row["keep"] in PEER_BUDGETS]
    for keep in PEER_BUDGETS:
        rows.append(bench.row("without repair", keep, *scored(bench.ours, keep, repaired=False)))
        rows.append(bench.row("Kwon et al. 2022", keep, *scored(bench.kwon, keep)))
        rows.append(bench.row("Torch-Pruning 1.6.1", keep, *timed(bench.torch_pruning, keep)))
        rows += [
            bench.row(name, keep, *timed(bench.by_share, name, keep))
            for name in ("taylor", "magnitude")
        ]
        rows.append(bench.row("random", keep, *timed(bench.by_share, "random", keep)))
    results |= {"speed": speed(), "scoring": scoring_cost(bench)}
    results["peers"] = rows
    save(results)
    if args.textpruner:
        rows += textpruner(bench, args.textpruner)
        save(results)


def save(results: dict) -> None:
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    from report import write

    write(results)


if __name__ == "__main__":
    main()
