"""Compute once what lesson 06 shows and is too long for a lesson: `python scripts/sweep_layers.py`
(about a quarter of an hour).

Which layers to drop, by rules, greedily and exactly, and what distillation between the steps or at
the end brings back. Validation sentences decide; test and zero-shot sentences report. Writes
pruning_lessons/assets/sweeps/layers.json.
"""

import json
import statistics
import time
from pathlib import Path

import torch

import pruning_lessons as pl

OUT = Path(pl.__file__).parent / "assets" / "sweeps" / "layers.json"
SIZES = {"validation": 384, "test": 1000, "zero_shot": 500, "recovery": 640}
DROPS, EXACT, RECOVERED, SEEDS = range(1, 7), (3, 4), (2, 4, 6), range(3)
RECOVERY = {"epochs": 1, "learning_rate": 1e-4, "batch_size": 32}  # after every removal
VALIDATION, TEST, ZERO_SHOT = (
    pl.load_intents(split, limit=SIZES[split], seed=0)
    for split in ("validation", "test", "zero_shot")
)
LESSONS = pl.load_intents("train", limit=SIZES["recovery"], seed=1)


def main():
    torch.set_num_threads(2)
    began = time.perf_counter()
    model, tokenizer = pl.load()

    def scores(pruned) -> dict:
        return {
            "test": pl.evaluate(pruned, tokenizer, TEST).accuracy,
            "zero_shot": pl.evaluate(pruned, tokenizer, ZERO_SHOT).accuracy,
        }

    def without(layers: list[int]) -> dict:
        return {"layers": layers, **scores(pl.prune(model, pl.layer_masks(model, layers)))}

    def note(name: str, value) -> None:
        print(f"{time.perf_counter() - began:.0f} s", name, value, flush=True)
        found[name] = value

    found = {
        "command": "python scripts/sweep_layers.py",
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__.split("+")[0],
        "threads": 2,
        "sentences": SIZES,
        "layers": model.config.num_hidden_layers,
    }
    note("whole", scores(model))
    greedy = pl.greedy_layer_pruning(model, tokenizer, VALIDATION, max(DROPS), progress=False)
    note("whole_validation", greedy.start.accuracy)
    note(
        "greedy",
        {
            "order": greedy.order,
            "evaluations": greedy.evaluations,
            "plain_evaluations": greedy.plain_evaluations,
            "seconds": greedy.seconds,
            "points": [
                {
                    "drop": n,
                    "validation": greedy.scores[n - 1].accuracy,
                    **without(greedy.order[:n]),
                }
                for n in DROPS
            ],
        },
    )
    exact = []
    for n in EXACT:
        best = pl.best_layers(model, tokenizer, VALIDATION, n, progress=False)
        ranks = sorted((s for s in best.choices.values()), key=lambda s: (-s.accuracy, s.loss))
        exact.append(
            {
                "drop": n,
                "validation": best.scores[0].accuracy,
                "choices": len(best.choices),
                "evaluations": best.evaluations,
                "plain_evaluations": best.plain_evaluations,
                "seconds": best.seconds,
                "greedy_rank": 1 + ranks.index(best.choices[tuple(sorted(greedy.order[:n]))]),
                "median_choice": statistics.median(s.accuracy for s in ranks),
                **without(best.order),
            }
        )
        print(exact[-1], flush=True)
    note("exact", exact)

    batches = list(pl.load_intents("train", limit=192, seed=0).batches(tokenizer, 32))
    rules = {}
    for method in ("top", "bottom", "alternate", "block_influence"):
        order = pl.layers_to_drop(model, max(DROPS), method, batches)
        rules[method] = [{"drop": n, **without(order[:n])} for n in DROPS]
    orders = [pl.layers_to_drop(model, max(DROPS), "random", seed=seed) for seed in SEEDS]
    rules["random"] = []
    for n in DROPS:
        drawn = [without(order[:n]) for order in orders]
        rules["random"].append(
            {
                "drop": n,
                **{k: statistics.mean(d[k] for d in drawn) for k in ("test", "zero_shot")},
                "draws": drawn,
            }
        )
    note("rules", rules)

    between, clock = [], [0.0]

    def recover(pruned) -> None:
        result = pl.distill(pruned, model, tokenizer, LESSONS, progress=False, **RECOVERY)
        clock[0] += result.seconds
        between.append(
            {
                "drop": len(between) + 1,
                "steps": result.steps * (len(between) + 1),
                "seconds": clock[0],
                **scores(pruned.eval()),
            }
        )
        print(between[-1], flush=True)

    search = pl.greedy_layer_pruning(
        model, tokenizer, VALIDATION, max(RECOVERED), recover=recover, progress=False
    )
    recovery = {
        **RECOVERY,
        "order_between": search.order,
        "evaluations_between": search.evaluations,
        "between": between,
    }
    for kind, train in (("distill_once", pl.distill), ("fine_tune_once", pl.fine_tune)):
        recovery[kind] = []
        for n in RECOVERED:
            student = pl.prune(model, pl.layer_masks(model, greedy.order[:n]))
            teacher = (model,) if train is pl.distill else ()
            result = train(
                student,
                *teacher,
                tokenizer,
                LESSONS,
                progress=False,
                **RECOVERY | {"epochs": n * RECOVERY["epochs"]},
            )
            recovery[kind].append(
                {
                    "drop": n,
                    "steps": result.steps,
                    "seconds": result.seconds,
                    **scores(student.eval()),
                }
            )
            print(kind, recovery[kind][-1], flush=True)
    note("recovery", recovery)
    found["seconds"] = time.perf_counter() - began
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
